/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The children in which probes run, their time limits, and what their ends
 * mean.
 *
 * A child limits itself: ITIMER_PROF counts its processor time, the guest's
 * included, ITIMER_REAL what passes; SIGPROF or SIGALRM then ends it, also out
 * of KVM_RUN. The parent's own limit is for a child that cannot even be ended so.
 */
#include "host/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/fd.h"

/* What the parent waits beyond a child's own limit, and for its end. */
#define GRACE_MS 1000

typedef struct {
    pid_t pid;
    MoseFd pipe;
    MoseProbeOutcome *outcome;
} Child;

const char *
mose_probe_status_name(MoseProbeStatus status)
{
    switch (status) {
    case MOSE_PROBE_PASS:
        return "pass";
    case MOSE_PROBE_FAIL:
        return "fail";
    case MOSE_PROBE_SKIP:
        return "skip";
    }
    return "fail";
}

static void
set_outcome(MoseProbeOutcome *ret, MoseProbeStatus status, const char *format,
            va_list args)
{
    ret->status = status;
    vsnprintf(ret->detail, sizeof ret->detail, format, args);
}

void
mose_probe_fail(MoseProbeOutcome *ret, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_outcome(ret, MOSE_PROBE_FAIL, format, args);
    va_end(args);
}

void
mose_probe_skip(MoseProbeOutcome *ret, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_outcome(ret, MOSE_PROBE_SKIP, format, args);
    va_end(args);
}

static void
start_timer(int which, guint ms)
{
    struct itimerval timer = { .it_value = { .tv_sec = ms / 1000,
                                             .tv_usec = ms % 1000 * 1000 } };

    setitimer(which, &timer, NULL);
}

static void
limit_child(const MoseProbeLimits *limits)
{
    struct rlimit no_core = { 0, 0 };
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    start_timer(ITIMER_PROF, limits->cpu_ms);
    start_timer(ITIMER_REAL, limits->wall_ms);
}

static gint64
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (gint64)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void G_GNUC_NORETURN
run_child(const MoseProbe *probe, const void *data, const MoseProbeLimits *limits,
          int pipe_fd)
{
    MoseProbeOutcome outcome = { 0 };
    gint64 start = now_us();
    ssize_t n;

    limit_child(limits);
    probe->run(data, &outcome);
    outcome.time_us = (guint32)(now_us() - start);
    n = write(pipe_fd, &outcome, sizeof outcome);
    _exit(n == (ssize_t)sizeof outcome ? 0 : 1);
}

static void
start_child(const MoseProbe *probe, const void *data, const MoseProbeLimits *limits,
            Child *ret)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0) {
        mose_probe_fail(ret->outcome, "not run: pipe: %s", g_strerror(errno));
        return;
    }
    ret->pid = fork();
    if (ret->pid == 0)
        run_child(probe, data, limits, fds[1]);
    if (ret->pid < 0)
        mose_probe_fail(ret->outcome, "not run: fork: %s", g_strerror(errno));
    else
        ret->pipe = fds[0];
    if (ret->pid < 0)
        mose_fd_close(fds[0]);
    mose_fd_close(fds[1]);
}

/* Wait for the child's end until @deadline; its status is 0 where the caller's
 * own caller has SIGCHLD ignored, and so nobody keeps it. */
static gboolean
wait_child(pid_t pid, gint64 deadline, int *ret_status)
{
    g_auto(MoseFd) pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };
    int flags = 0;

    *ret_status = 0;
    if (pidfd >= 0) {
        int rc;

        do
            rc = poll(&poll_fd, 1, (int)(MAX(deadline - now_us(), 0) / 1000));
        while (rc < 0 && errno == EINTR);
        flags = rc == 0 ? WNOHANG : 0;
    }
    return waitpid(pid, ret_status, flags) != 0;
}

static void
explain_end(int status, const MoseProbeLimits *limits, MoseProbeOutcome *ret)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
        mose_probe_fail(ret, "spins: ended after %u ms of processor time",
                        limits->cpu_ms);
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        mose_probe_fail(ret, "hangs: ended after %u ms", limits->wall_ms);
    else if (WIFSIGNALED(status))
        mose_probe_fail(ret, "ended by signal %d (%s)", WTERMSIG(status),
                        g_strsignal(WTERMSIG(status)));
    else
        mose_probe_fail(ret, "ended with status %d and no result", WEXITSTATUS(status));
}

/* Read the outcome. FALSE: the child ended, or @deadline passed, without one. */
static gboolean
read_outcome(Child *child, gint64 deadline)
{
    struct pollfd poll_fd = { .fd = child->pipe, .events = POLLIN };
    MoseProbeOutcome outcome;
    int rc;

    do
        rc = poll(&poll_fd, 1, (int)(MAX(deadline - now_us(), 0) / 1000));
    while (rc < 0 && errno == EINTR);
    if (rc <= 0 || read(child->pipe, &outcome, sizeof outcome) != sizeof outcome)
        return FALSE;
    outcome.detail[sizeof outcome.detail - 1] = '\0';
    *child->outcome = outcome;
    return TRUE;
}

static void
finish_child(Child *child, const MoseProbeLimits *limits, gint64 start)
{
    gint64 deadline = start + (gint64)(limits->wall_ms + GRACE_MS) * 1000;
    gboolean answered = read_outcome(child, deadline);
    int status;
    gboolean ended = wait_child(child->pid, deadline, &status);

    if (!ended) {
        kill(child->pid, SIGKILL);
        ended = wait_child(child->pid, now_us() + GRACE_MS * 1000, &status);
    }
    if (!answered) {
        if (ended)
            explain_end(status, limits, child->outcome);
        else
            mose_probe_fail(child->outcome, "does not end, not even by SIGKILL");
        child->outcome->time_us = (guint32)(now_us() - start);
    }
    mose_fd_close(child->pipe);
}

void
mose_probe_run_all(const MoseProbe *probes, gsize n, const void *data,
                   const MoseProbeLimits *limits, MoseProbeOutcome *ret)
{
    g_autofree Child *children = g_new0(Child, n);
    gint64 start = now_us();

    for (gsize i = 0; i < n; i++) {
        ret[i] = (MoseProbeOutcome){ 0 };
        children[i] = (Child){ .pid = -1, .pipe = MOSE_FD_NONE, .outcome = &ret[i] };
        start_child(&probes[i], data, limits, &children[i]);
    }
    for (gsize i = 0; i < n; i++) {
        if (children[i].pid > 0)
            finish_child(&children[i], limits, start);
    }
}

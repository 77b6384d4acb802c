/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes by pidfd; see process.h. */
#include "util/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"
#include "util/surroundings.h"

#define KILL_WAIT_MS 10000
#define FREEZE_WAIT_US G_USEC_PER_SEC
/* Of what a process said: bytes and lines that an error can hold. */
#define SAID_MAX 1000
#define SAID_LINES 4

/* Runs in the child between fork and exec: async-signal-safe calls only. */
static void
child_setup(gpointer data)
{
    setsid();
    signal(SIGPIPE, SIG_DFL);
    if (data)
        mose_surroundings_take(data);
}

static MoseProcess *
process_for_child(pid_t pid, GError **error)
{
    g_autoptr(MoseProcess) process = g_new0(MoseProcess, 1);

    process->pid = pid;
    process->pidfd = pidfd_open(pid, 0);
    process->start_time = mose_process_start_time(pid);
    if (process->pidfd < 0) {
        mose_error_set_errno(error, errno, "cannot open pid %d", (int)pid);
        /* Nobody could end it later; nobody has reaped it, so the pid is its. */
        kill(pid, SIGKILL);
        return NULL;
    }
    return g_steal_pointer(&process);
}

MoseProcess *
mose_process_spawn_in(const MoseSurroundings *surroundings, const char *const *argv,
                      const char *cwd, const char *log, const MoseInheritedFd *fds,
                      gsize n_fds, GError **error)
{
    g_auto(MoseFd) log_fd =
        open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    g_auto(MoseFd) null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    g_autofree int *sources = g_new(int, n_fds);
    g_autofree int *targets = g_new(int, n_fds);
    g_autoptr(GError) cause = NULL;
    GPid pid;

    if (log_fd < 0 || null_fd < 0) {
        mose_error_set_errno(error, errno, "cannot open %s", log);
        return NULL;
    }
    for (gsize i = 0; i < n_fds; i++) {
        sources[i] = fds[i].fd;
        targets[i] = fds[i].number;
    }
    if (!g_spawn_async_with_pipes_and_fds(
            cwd, argv, mose_surroundings_environment(surroundings),
            G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, child_setup,
            (gpointer)surroundings, null_fd, log_fd, log_fd, sources, targets, n_fds,
            &pid, NULL, NULL, NULL, &cause)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "cannot start %s: %s",
                    argv[0], cause->message);
        return NULL;
    }
    return process_for_child(pid, error);
}

MoseProcess *
mose_process_spawn(const char *const *argv, const char *cwd, const char *log,
                   const MoseInheritedFd *fds, gsize n_fds, GError **error)
{
    return mose_process_spawn_in(NULL, argv, cwd, log, fds, n_fds, error);
}

MoseProcess *
mose_process_open(pid_t pid, guint64 start_time, GError **error)
{
    g_autoptr(MoseProcess) process = g_new0(MoseProcess, 1);

    process->pid = pid;
    process->start_time = start_time;
    process->pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    /* In this order: a pid that was taken over before the open shows here. A
     * killed process whose main thread is a zombie may still hold its files: the
     * pidfd tells when all of it is gone. */
    if (process->pidfd < 0 || start_time == 0 ||
        mose_process_start_time(pid) != start_time || !mose_process_alive(process)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "process %d (started at tick %" G_GUINT64_FORMAT ") is gone",
                    (int)pid, start_time);
        return NULL;
    }
    return g_steal_pointer(&process);
}

void
mose_process_free(MoseProcess *process)
{
    if (!process)
        return;
    mose_fd_close(process->pidfd);
    g_free(process);
}

gboolean
mose_process_alive(const MoseProcess *process)
{
    return !mose_process_wait(process, 0);
}

gboolean
mose_process_wait(const MoseProcess *process, int timeout_ms)
{
    struct pollfd fd = { process->pidfd, POLLIN, 0 };
    gint64 deadline = g_get_monotonic_time() + timeout_ms * (gint64)1000;
    int n;

    do {
        gint64 left = deadline - g_get_monotonic_time();

        n = poll(&fd, 1, left > 0 ? (int)((left + 999) / 1000) : 0);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return FALSE;
    /* Reap it where it is our child, so that it leaves no zombie. */
    waitid(P_PIDFD, process->pidfd, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
    return TRUE;
}

void
mose_process_doom(const MoseProcess *process)
{
    pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
}

gboolean
mose_process_kill(const MoseProcess *process)
{
    mose_process_doom(process);
    return mose_process_wait(process, KILL_WAIT_MS);
}

/* Whether the thread of /proc/PID/task/@name has been stopped, by a signal or by a
 * debugger, or has ended. */
static gboolean
thread_stands_still(const char *tasks, const char *name)
{
    g_autofree char *path = g_build_filename(tasks, name, "stat", NULL);
    g_autofree char *text = NULL;
    const char *rest;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return TRUE;
    rest = strrchr(text, ')');
    return rest && rest[1] && strchr("TtZX", rest[2]) != NULL;
}

gboolean
mose_process_frozen(const MoseProcess *process)
{
    g_autofree char *tasks = g_strdup_printf("/proc/%d/task", (int)process->pid);
    g_autoptr(GDir) dir = g_dir_open(tasks, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir)))
        if (!thread_stands_still(tasks, name))
            return FALSE;
    return dir && mose_process_alive(process);
}

gboolean
mose_process_freeze(const MoseProcess *process)
{
    gint64 deadline = g_get_monotonic_time() + FREEZE_WAIT_US;

    pidfd_send_signal(process->pidfd, SIGSTOP, NULL, 0);
    while (!mose_process_frozen(process)) {
        if (!mose_process_alive(process) || g_get_monotonic_time() > deadline)
            return FALSE;
        /* No event tells of it but to the parent. */
        sched_yield();
    }
    return TRUE;
}

void
mose_process_thaw(const MoseProcess *process)
{
    pidfd_send_signal(process->pidfd, SIGCONT, NULL, 0);
}

int
mose_process_get_fd(const MoseProcess *process, int number, GError **error)
{
    int fd = pidfd_getfd(process->pidfd, number, 0);

    if (fd < 0)
        mose_error_set_errno(error, errno,
                             "cannot take descriptor %d out of process %d "
                             "(it needs the rights of ptrace)",
                             number, (int)process->pid);
    return fd;
}

guint64
mose_process_start_time(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) fields = NULL;
    char *rest;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    /* The second field, the name in parentheses, may hold anything. */
    rest = strrchr(text, ')');
    if (!rest || rest[1] == '\0')
        return 0;
    fields = g_strsplit(rest + 2, " ", -1);
    if (g_strv_length(fields) < 20)
        return 0;
    return g_ascii_strtoull(fields[19], NULL, 10);
}

gint64
mose_boottime_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return ts.tv_sec * G_USEC_PER_SEC + ts.tv_nsec / 1000;
}

char *
mose_boot_id(void)
{
    char *text = NULL;

    if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &text, NULL, NULL))
        return g_strdup("unknown");
    return g_strstrip(text);
}

char *
mose_log_tail(const char *log, goffset offset, gsize max)
{
    g_autofree char *text = NULL;
    g_autofree char *valid = NULL;
    gsize len;

    if (!g_file_get_contents(log, &text, &len, NULL) || (goffset)len <= offset)
        return g_strdup("");
    if (len - offset > max)
        offset = len - max;
    valid = g_utf8_make_valid(text + offset, len - offset);
    return g_strdup(g_strstrip(valid));
}

/* A line of QEMU's without "qemu-system-x86_64: "; NULL where it says nothing. */
static const char *
without_name(char *line)
{
    char *colon =
        g_str_has_prefix(line, "qemu-system-") || g_str_has_prefix(line, "qemu: ")
            ? strstr(line, ": ")
            : NULL;

    line = g_strstrip(colon ? colon + 2 : line);
    if (*line == '\0' || g_str_has_prefix(line, "warning:"))
        return NULL;
    return line;
}

char *
mose_log_said(const char *log)
{
    g_autofree char *tail = mose_log_tail(log, 0, SAID_MAX);
    g_auto(GStrv) lines = NULL;
    g_autoptr(GPtrArray) said = g_ptr_array_new();

    for (char *p = tail; *p; p++)
        if (g_ascii_iscntrl(*p) && *p != '\n')
            *p = ' ';
    lines = g_strsplit(tail, "\n", -1);
    for (char **line = lines; *line; line++) {
        const char *text = without_name(*line);

        if (text && !g_ptr_array_find_with_equal_func(said, text, g_str_equal, NULL))
            g_ptr_array_add(said, (gpointer)text);
    }
    if (said->len > SAID_LINES)
        g_ptr_array_remove_range(said, 0, said->len - SAID_LINES);
    g_ptr_array_add(said, NULL);
    return g_strjoinv("; ", (char **)said->pdata);
}

goffset
mose_log_size(const char *log)
{
    struct stat st;

    return stat(log, &st) == 0 ? st.st_size : 0;
}

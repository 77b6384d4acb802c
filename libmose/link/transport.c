/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The transport command; see transport.h. */
#include "link/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"

/* The most that an unprivileged user may have (pipe(7), /proc/sys/fs/pipe-max-size). */
#define PIPE_SIZE (1024 * 1024)
/* For it to end when its input has ended, when it is asked to, and when it is killed.
 */
#define END_MS 500
#define TERM_MS 1000
#define KILL_MS 5000

/*
 * Runs in the child between fork and exec: async-signal-safe calls only. What the
 * terminal sends to the command's process group is not for the transport. ssh leaves
 * signals alone that it finds ignored (OpenSSH clientloop.c:client_loop), and still
 * takes Ctrl-C while it asks for a password (readpassphrase.c).
 */
static void
child_setup(gpointer data)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTSTP, SIG_IGN);
    signal(SIGPIPE, SIG_DFL);
}

static void
prepare_end(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    /* Where there is no room for so much, it is slower. */
    fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

gboolean
mose_transport_start(MoseTransport *transport, const char *const *argv, GError **error)
{
    g_autoptr(GError) cause = NULL;
    GPid pid;

    *transport = (MoseTransport){ 0, -1, -1, -1, -1, 0 };
    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                  G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                                  child_setup, NULL, &pid, &transport->out,
                                  &transport->in, &transport->words, &cause)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "cannot start %s: %s",
                    argv[0], cause->message);
        return FALSE;
    }
    prepare_end(transport->in);
    prepare_end(transport->out);
    prepare_end(transport->words);
    transport->pid = pid;
    transport->pidfd = pidfd_open(pid, 0);
    if (transport->pidfd < 0) {
        mose_error_set_errno(error, errno, "cannot open pid %d", (int)pid);
        kill(pid, SIGKILL);
        waitpid(pid, &transport->status, 0);
        transport->pid = 0;
        mose_transport_close(transport);
        return FALSE;
    }
    return TRUE;
}

gboolean
mose_transport_wait(MoseTransport *transport, int timeout_ms)
{
    struct pollfd fd = { transport->pidfd, POLLIN, 0 };
    int n;

    if (transport->pid == 0)
        return TRUE;
    while ((n = poll(&fd, 1, timeout_ms)) < 0 && errno == EINTR)
        ;
    if (n <= 0)
        return FALSE;
    if (waitpid(transport->pid, &transport->status, WNOHANG) == 0)
        return FALSE;
    transport->pid = 0;
    return TRUE;
}

void
mose_transport_close(MoseTransport *transport)
{
    mose_fd_close(mose_fd_steal(&transport->in));
    mose_fd_close(mose_fd_steal(&transport->out));
    mose_fd_close(mose_fd_steal(&transport->words));
}

void
mose_transport_end(MoseTransport *transport)
{
    mose_transport_close(transport);
    /* An ssh that asks for a password gives the terminal its echo back. */
    if (!mose_transport_wait(transport, END_MS))
        pidfd_send_signal(transport->pidfd, SIGTERM, NULL, 0);
    if (!mose_transport_wait(transport, TERM_MS)) {
        pidfd_send_signal(transport->pidfd, SIGKILL, NULL, 0);
        mose_transport_wait(transport, KILL_MS);
    }
    mose_fd_close(mose_fd_steal(&transport->pidfd));
}

char *
mose_transport_fate(const MoseTransport *transport)
{
    if (WIFSIGNALED(transport->status))
        return g_strdup_printf("was ended by signal %d", WTERMSIG(transport->status));
    return g_strdup_printf("has ended with status %d", WEXITSTATUS(transport->status));
}

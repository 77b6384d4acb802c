/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the command knows of its guardians; what these do is in guardian-process.c. */
#include "switch/guardian.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "switch/guardian-process.h"
#include "util/error.h"
#include "util/fd.h"

/* How long they may take to see that they are no longer needed. */
#define END_MS 1000

struct MoseGuardian {
    pid_t first; /* our child */
    MoseFd done; /* an eventfd, readable by all of them when the work is done */
    MoseFd left; /* a pipe of which each guardian holds the other end */
};

MoseGuardian *
mose_guardian_start(const MoseGuest *guest, GError **error)
{
    g_auto(MoseFd) command = pidfd_open(getpid(), 0);
    g_auto(MoseFd) done = eventfd(0, EFD_CLOEXEC);
    g_auto(MoseFd) left = MOSE_FD_NONE;
    g_auto(MoseFd) held = MOSE_FD_NONE;
    MoseGuardian *guardian;
    int ends[2];
    pid_t pid;

    if (command < 0 || done < 0 || pipe2(ends, O_CLOEXEC) < 0) {
        mose_error_set_errno(error, errno, "cannot prepare the guardian");
        return NULL;
    }
    left = ends[0];
    held = ends[1];
    pid = fork();
    if (pid < 0) {
        mose_error_set_errno(error, errno, "cannot start the guardian");
        return NULL;
    }
    if (pid == 0)
        mose_guardian_main(guest, command, done, held);
    guardian = g_new0(MoseGuardian, 1);
    guardian->first = pid;
    guardian->done = mose_fd_steal(&done);
    guardian->left = mose_fd_steal(&left);
    return guardian;
}

pid_t
mose_guardian_pid(const MoseGuardian *guardian)
{
    return guardian->first;
}

int
mose_guardian_fd(const MoseGuardian *guardian)
{
    return guardian->left;
}

/* Nobody writes to the pipe: what can be read there is its end. */
static gboolean
none_left(const MoseGuardian *guardian, int timeout_ms)
{
    struct pollfd fd = { guardian->left, POLLIN, 0 };
    int n;

    while ((n = poll(&fd, 1, timeout_ms)) < 0 && errno == EINTR)
        ;
    return n == 1;
}

gboolean
mose_guardian_alive(const MoseGuardian *guardian)
{
    return !none_left(guardian, 0);
}

void
mose_guardian_leave(MoseGuardian *guardian)
{
    if (!guardian)
        return;
    mose_fd_close(guardian->done);
    mose_fd_close(guardian->left);
    g_free(guardian);
}

void
mose_guardian_stop(MoseGuardian *guardian)
{
    guint64 one = 1;

    if (!guardian)
        return;
    /* One that a signal has stopped will end when it is let on. */
    if (write(guardian->done, &one, sizeof(one)) < 0 || !none_left(guardian, END_MS))
        kill(guardian->first, SIGKILL);
    waitpid(guardian->first, NULL, 0);
    mose_guardian_leave(guardian);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guardian's process; see guardian.h. */
#include "switch/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "switch/guest-dir.h"
#include "switch/recover.h"
#include "util/error.h"
#include "util/fd.h"

/* Another command may hold the lock for as long as a switch takes. */
#define LOCK_TRIES 100
#define LOCK_WAIT_MS 50
/* A QEMU that hangs for a while (in its storage, say) answers later. */
#define RECOVER_TRIES 5
#define RECOVER_WAIT_MS 1000

/* Keep nothing of the command's: an open socket would hide its end from QEMU,
 * and an open lock from the next command. */
static void
leave_command(int pidfd)
{
    int null_fd;

    setsid();
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_NAME, "mose-guardian");
    dup2(pidfd, 3);
    close_range(4, ~0U, 0);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2 && null_fd >= 0; fd++)
        dup2(null_fd, fd);
}

/* The guest, locked. Whoever holds the lock meanwhile recovers it as well. */
static MoseGuest *
open_guest(const char *name)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        g_autoptr(GError) error = NULL;
        MoseGuest *guest = mose_guest_open(name, MOSE_GUEST_LOCK, &error);

        if (guest || !g_error_matches(error, MOSE_ERROR, MOSE_ERROR_BUSY))
            return guest;
        poll(NULL, 0, LOCK_WAIT_MS);
    }
    return NULL;
}

/* FALSE: it may be tried again. Nobody is kept from the guest between two tries. */
static gboolean
recover(const char *name)
{
    g_autoptr(MoseGuest) guest = open_guest(name);
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    MoseRecovered recovered;

    if (!guest || mose_recover(guest, &recovered, &error))
        return TRUE;
    path = g_build_filename(guest->dir, "guardian.log", NULL);
    mose_guest_dir_write(path, error->message, NULL);
    return FALSE;
}

static void
guard(const char *name)
{
    struct pollfd command = { 3, POLLIN, 0 };

    while (poll(&command, 1, -1) < 0 && errno == EINTR)
        ;
    for (int i = 0; i < RECOVER_TRIES && !recover(name); i++)
        poll(NULL, 0, RECOVER_WAIT_MS);
}

MoseProcess *
mose_guardian_start(const MoseGuest *guest, GError **error)
{
    g_auto(MoseFd) pidfd = pidfd_open(getpid(), 0);
    g_autofree char *name = g_strdup(guest->name);
    pid_t pid = pidfd < 0 ? -1 : fork();

    if (pid < 0) {
        mose_error_set_errno(error, errno, "cannot start the guardian");
        return NULL;
    }
    if (pid == 0) {
        leave_command(pidfd);
        guard(name);
        _exit(0);
    }
    return mose_process_open(pid, mose_process_start_time(pid), error);
}

void
mose_guardian_stop(MoseProcess *guardian)
{
    if (!guardian)
        return;
    mose_process_kill(guardian);
    mose_process_free(guardian);
}

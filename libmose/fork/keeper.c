/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keeper's process; see keeper.h. */
#include "fork/keeper.h"

#include <errno.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "fork/fork.h"
#include "guest/forks.h"
#include "util/cgroup.h"
#include "util/detach.h"
#include "util/error.h"
#include "util/fd.h"

/* Between two looks whether something is left to keep: the forks may have been
 * discarded, and no event tells of that. */
#define LOOK_MS 5000
/* Who holds a guest's lock lets go of it soon. */
#define TRIES 20
#define TRY_MS 500

typedef struct {
    char *guest;
    char **names;
    gboolean owned;
} Keep;

static gboolean
is_ours(const Keep *keep, const char *name)
{
    g_autoptr(MoseGuest) fork = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);

    return fork && g_strcmp0(fork->fork_of, keep->guest) == 0;
}

static gboolean
has_some(const Keep *keep)
{
    for (char **name = keep->names; *name; name++)
        if (is_ours(keep, *name))
            return TRUE;
    return FALSE;
}

static gboolean
is_left(const Keep *keep)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(keep->guest, MOSE_GUEST_LOOK, NULL);

    return guest && (mose_fork_is_left(guest) || mose_fork_has_stale_state(guest));
}

/* Until none of those that are to go is there, and the guest is its own. */
static void
tidy(const Keep *keep, gboolean all)
{
    for (int i = 0; i < TRIES; i++) {
        if (i > 0)
            poll(NULL, 0, TRY_MS);
        mose_fork_tidy(keep->guest);
        if ((!all || !has_some(keep)) && !is_left(keep))
            return;
    }
}

/* TRUE: @fd's process has ended. FALSE: nothing is left to keep. */
static gboolean
wait_for_end(const Keep *keep, int fd)
{
    for (;;) {
        struct pollfd end = { fd, POLLIN, 0 };
        int n = poll(&end, 1, LOOK_MS);

        if (n > 0)
            return TRUE;
        if (n == 0 && !has_some(keep) && !is_left(keep))
            return FALSE;
    }
}

G_NORETURN static void
keeper_main(const Keep *keep, pid_t of, int command, int owner)
{
    int kept[] = { command, owner };

    mose_detach("mose-keeper", kept, G_N_ELEMENTS(kept));
    if (of > 0)
        mose_cgroup_join(getpid(), of);
    /* While it works it has the locks; whatever it leaves is ours. */
    if (wait_for_end(keep, command))
        tidy(keep, FALSE);
    if (keep->owned && wait_for_end(keep, owner))
        tidy(keep, TRUE);
    _exit(0);
}

gboolean
mose_keeper_start(const MoseGuest *guest, const char *const *names, pid_t owner,
                  GError **error)
{
    const Keep keep = { guest->name, (char **)names, owner > 0 };
    g_auto(MoseFd) command = pidfd_open(getpid(), 0);
    g_auto(MoseFd) owner_fd = owner > 0 ? pidfd_open(owner, 0) : MOSE_FD_NONE;
    pid_t pid;

    if (command < 0 || (owner > 0 && owner_fd < 0)) {
        mose_error_set_errno(error, errno, "cannot watch process %d",
                             (int)(command < 0 ? getpid() : owner));
        return FALSE;
    }
    pid = fork();
    if (pid == 0)
        keeper_main(&keep, guest->pid, command, owner_fd);
    if (pid > 0)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot start the forks' keeper");
    return FALSE;
}

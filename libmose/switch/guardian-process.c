/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guardian's process: waiting, for the command and for the other one, and what is
 * done then. See guardian.h. */
#include "switch/guardian-process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu/command.h"
#include "guest/guest-dir.h"
#include "guest/journal.h"
#include "switch/recover.h"
#include "util/cgroup.h"
#include "util/detach.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* Another command may hold the lock for as long as a switch takes. */
#define LOCK_TRIES 100
#define LOCK_WAIT_MS 50
/* A QEMU that hangs for a while (in its storage, say) answers later. */
#define RECOVER_TRIES 5
#define RECOVER_WAIT_MS 1000
/* A guest that another host may have is asked for until that host answers. */
#define DOUBT_WAIT_MS 5000
/* Looks at the guest while a switch lasts, and how many of them may find it still.
 * The command's own limits end its waits before (move.h). */
#define LOOK_MS 1000
#define LOOK_LIMIT_MS 500
#define MAX_STILL 10
/* A command in doubt asks the other host, which takes longer (move-far.c, doubt.c). */
#define MAX_STILL_IN_DOUBT 90

/* The descriptors that a guardian keeps. */
enum { COMMAND_FD = 3, DONE_FD, HELD_FD, N_FDS };

typedef struct {
    char *name; /* of the guest */
    MoseFd other;
    gboolean first; /* who looks at the guest: its monitor has room for one */
    int still;
} Guard;

/* Keep nothing of the command's but @from, as COMMAND_FD and so on. */
static void
leave_command(const int *from)
{
    int keep[N_FDS - COMMAND_FD];

    for (int i = 0; i < N_FDS - COMMAND_FD; i++)
        keep[i] = fcntl(from[i], F_DUPFD_CLOEXEC, N_FDS);
    for (int i = 0; i < N_FDS - COMMAND_FD; i++)
        keep[i] = dup2(keep[i], COMMAND_FD + i);
    mose_detach("mose-guardian", keep, G_N_ELEMENTS(keep));
}

/* --- when the command has ended --- */

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

/* Whether another host was told to run the guest, and nobody knows yet if it does. */
static gboolean
is_in_doubt(const char *name)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);
    MoseJournalEntry entry;

    return guest && mose_journal_read(guest->dir, &entry, NULL) &&
           (entry.phase == MOSE_PHASE_DOUBT ||
            (entry.phase == MOSE_PHASE_TAKE && mose_guest_is_away(guest)));
}

/* FALSE: it may be tried again. Nobody is kept from the guest between two tries. */
static gboolean
recover(const char *name)
{
    g_autoptr(MoseGuest) guest = open_guest(name);
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    MoseRecovered recovered;

    if (!guest || mose_recover(guest, &recovered, &error) ||
        g_error_matches(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
        return TRUE;
    path = g_build_filename(guest->dir, "guardian.log", NULL);
    mose_guest_dir_write(path, error->message, NULL);
    return FALSE;
}

/* Try for a while; where the other host has to answer first, for as long as it takes.
 */
static void
recover_at_last(const char *name)
{
    for (int tries = 0; tries < RECOVER_TRIES;) {
        gboolean done = recover(name);

        if (is_in_doubt(name)) {
            poll(NULL, 0, DOUBT_WAIT_MS);
            continue;
        }
        if (done)
            return;
        tries++;
        poll(NULL, 0, RECOVER_WAIT_MS);
    }
}

/* --- while it lives --- */

/* Whether @status is of a source that a migration has stopped. A guest that stopped of
 * itself (a disk has failed, say) may be copied for as long as that takes. */
static gboolean
has_stopped_to_move(JsonObject *status)
{
    const char *state = mose_json_string(status, "status", "");

    return strcmp(state, "finish-migrate") == 0 || strcmp(state, "postmigrate") == 0;
}

/* Whether a switch holds the guest still. A source that does not answer is at work
 * itself (it writes back its disks' caches, say): ending the command would not help. */
static gboolean
is_still(const char *name)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseProcess) source = NULL;
    g_autoptr(JsonObject) status = NULL;
    g_autoptr(MoseQmp) qmp = NULL;
    g_autofree char *monitor = NULL;
    MoseJournalEntry entry;

    if (!guest || !mose_journal_read(guest->dir, &entry, NULL) || !entry.was_running ||
        entry.phase < MOSE_PHASE_MOVE)
        return FALSE;
    source = mose_guest_process(guest, NULL);
    if (source && mose_process_frozen(source))
        return TRUE;
    monitor = mose_guest_monitor(guest, MOSE_MONITOR_GUARDIAN, guest->generation);
    qmp = mose_qmp_connect(monitor, LOOK_LIMIT_MS, NULL);
    if (qmp)
        mose_qmp_set_timeout(qmp, LOOK_LIMIT_MS);
    status = qmp ? mose_qmp_query(qmp, "query-status", NULL, NULL) : NULL;
    return status && has_stopped_to_move(status);
}

/* A command that was stopped by a signal between the guest's stop and the commit
 * would keep the guest still for ever. */
static void
look(Guard *guard)
{
    guard->still = is_still(guard->name) ? guard->still + 1 : 0;
    if (guard->still >= (is_in_doubt(guard->name) ? MAX_STILL_IN_DOUBT : MAX_STILL))
        pidfd_send_signal(COMMAND_FD, SIGKILL, NULL, 0);
}

/* Have a second guardian. In the new process this returns as it does in the old one,
 * each watching the other. */
static void
divide(Guard *guard)
{
    g_auto(MoseFd) self = pidfd_open(getpid(), 0);
    pid_t pid = self < 0 ? -1 : fork();

    if (pid == 0) {
        setsid(); /* A signal to the one's session shall not reach the other. */
        guard->first = FALSE;
        guard->other = mose_fd_steal(&self);
    } else if (pid > 0) {
        guard->first = TRUE;
        guard->other = pidfd_open(pid, 0);
    }
}

/* TRUE when the command has ended, FALSE when its work is done. */
static gboolean
wait_for_command(Guard *guard)
{
    for (;;) {
        struct pollfd fds[] = { { COMMAND_FD, POLLIN, 0 },
                                { DONE_FD, POLLIN, 0 },
                                { guard->other, POLLIN, 0 } };
        int n = poll(fds, G_N_ELEMENTS(fds), guard->first ? LOOK_MS : -1);

        if (n > 0 && fds[1].revents)
            return FALSE;
        if (n > 0 && fds[0].revents)
            return TRUE;
        if (n > 0 && fds[2].revents) {
            mose_fd_close(guard->other);
            waitpid(-1, NULL, WNOHANG);
            guard->other = MOSE_FD_NONE;
            guard->first = TRUE; /* also if there is no room for another one yet */
            divide(guard);
        }
        if (n == 0 && guard->other < 0)
            divide(guard);
        if (n == 0 && guard->first)
            look(guard);
    }
}

void
mose_guardian_main(const MoseGuest *guest, int command, int done, int held)
{
    const int keep[] = { command, done, held };
    Guard guard = { g_strdup(guest->name), MOSE_FD_NONE, TRUE, 0 };
    pid_t process = guest->pid;

    leave_command(keep);
    divide(&guard);
    /* What ends the command's service or session must not end its guardians. */
    if (process > 0)
        mose_cgroup_join(getpid(), process);
    if (wait_for_command(&guard))
        recover_at_last(guard.name);
    _exit(0);
}

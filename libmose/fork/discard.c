/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forks ended, and their guest on its own again; see fork.h. */
#include "fork/fork.h"

#include <unistd.h>

#include "guest/disks.h"
#include "guest/forks.h"
#include "guest/generation.h"
#include "guest/journal.h"
#include "guest/launch.h"
#include "qemu/command.h"
#include "qemu/frozen.h"
#include "switch/recover.h"
#include "util/error.h"

gboolean
mose_fork_end(MoseGuest *fork, GError **error)
{
    g_autoptr(GPtrArray) overlays = NULL;

    g_return_val_if_fail(fork->fork_of, FALSE);
    /* Without the record the overlays would stay for ever, and nobody know of them. */
    overlays = mose_disks_read(fork, fork->generation, error);
    if (!overlays || !mose_end_generation(fork, fork->generation, error))
        return FALSE;
    mose_launch_forget_files(fork, fork->generation);
    return mose_disks_discard(overlays, error) && mose_guest_remove(fork, error);
}

/* --- the guest --- */

static gboolean
has_forks(const MoseGuest *guest)
{
    g_auto(GStrv) forks = mose_guest_forks(guest->name, NULL);

    /* Who cannot see them shall not write under them. */
    return !forks || *forks;
}

gboolean
mose_fork_is_left(const MoseGuest *guest)
{
    g_autoptr(MoseProcess) process =
        guest->fork_of ? NULL : mose_guest_process(guest, NULL);
    MoseFrozen state;

    return process && mose_frozen_look(process, FALSE, &state, NULL) &&
           (state.frozen || (state.shared && guest->spec->ram_private)) &&
           !has_forks(guest);
}

gboolean
mose_fork_thaw(MoseGuest *guest, int interrupt_fd,
               void (*progress)(const MoseSwitchProgress *, gpointer),
               MoseSwitchReport *ret, GError **error)
{
    const MoseSwitchOptions how = { .side = guest->side,
                                    .thaw = TRUE,
                                    .progress = progress,
                                    .interrupt_fd = interrupt_fd };
    MoseSwitchReport report = { 0 };
    gboolean good;

    if (!mose_fork_is_left(guest))
        return TRUE;
    good = mose_switch(guest, &how, &report, error);
    if (ret)
        *ret = report;
    else
        mose_switch_report_clear(&report);
    return good;
}

gboolean
mose_fork_settle_disks(MoseGuest *guest, GError **error)
{
    g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_SWITCH, error);
    const MoseDisksCommit how = { 0 };
    guint committed;

    return qmp && mose_disks_commit(guest, qmp, &how, &committed, error);
}

/* --- what was left --- */

gboolean
mose_fork_has_lost_owner(const MoseGuest *fork)
{
    g_autoptr(MoseProcess) owner =
        fork->owner ? mose_process_open(fork->owner, fork->owner_start_time, NULL)
                    : NULL;

    return fork->fork_of && fork->owner && !owner;
}

/* Its command died before it ran. */
static gboolean
is_unborn(const MoseGuest *fork)
{
    MoseJournalEntry entry;

    return mose_journal_read(fork->dir, &entry, NULL);
}

/* Whoever wants a guest shall not find it locked because we looked. */
static gboolean
needs_us(const char *name, gboolean (*needs)(const MoseGuest *guest))
{
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);

    return guest && needs(guest);
}

static gboolean
is_to_end(const MoseGuest *fork)
{
    return is_unborn(fork) || mose_fork_has_lost_owner(fork);
}

/* Of a command that died before the guest was frozen. */
gboolean
mose_fork_has_stale_state(const MoseGuest *guest)
{
    g_autofree char *state = mose_guest_fork_state(guest);

    return g_file_test(state, G_FILE_TEST_EXISTS) && !has_forks(guest);
}

static void
forget_state(const MoseGuest *guest)
{
    g_autofree char *state = mose_guest_fork_state(guest);

    unlink(state);
}

/* A start that died is cleared away by its recovery. */
static void
tidy_fork(const char *name)
{
    g_autoptr(MoseGuest) fork =
        needs_us(name, is_to_end) ? mose_guest_open(name, MOSE_GUEST_LOCK, NULL) : NULL;
    MoseRecovered recovered;

    if (fork && mose_recover(fork, &recovered, NULL) && mose_fork_has_lost_owner(fork))
        mose_fork_end(fork, NULL);
}

void
mose_fork_tidy(const char *name)
{
    g_auto(GStrv) forks = mose_guest_forks(name, NULL);
    g_autoptr(MoseGuest) guest = NULL;
    MoseRecovered recovered;

    for (char **fork = forks; fork && *fork; fork++)
        tidy_fork(*fork);
    if (needs_us(name, mose_fork_is_left) || needs_us(name, mose_fork_has_stale_state))
        guest = mose_guest_open(name, MOSE_GUEST_LOCK, NULL);
    if (guest && mose_recover(guest, &recovered, NULL) &&
        mose_fork_thaw(guest, 0, NULL, NULL, NULL) && mose_fork_has_stale_state(guest))
        forget_state(guest);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One fork made; see newborn.h. */
#include "fork/newborn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fork/load.h"
#include "guest/disks.h"
#include "qemu/frozen.h"
#include "qemu/spec-fork.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

#define QMP_TIMEOUT_MS 5000
#define MOST_EXPENDABLE "1000"

void
mose_newborn_free(MoseNewborn *newborn)
{
    if (!newborn)
        return;
    mose_ram_free(newborn->ram);
    mose_launch_free(newborn->launch);
    mose_journal_free(newborn->journal);
    mose_guest_free(newborn->guest);
    g_free(newborn);
}

void
mose_newborn_undo(MoseNewborn *newborn)
{
    if (newborn->launch)
        mose_launch_abort(newborn->guest, newborn->launch);
    if (newborn->guest->fork_of)
        mose_fork_end(newborn->guest, NULL);
    else
        mose_guest_remove(newborn->guest, NULL);
}

/* --- its process --- */

static gboolean
prepare(MoseNewborn *newborn, const MoseForkSource *source, GError **error)
{
    const MoseGuest *of = source->guest;
    MoseGuest *fork = newborn->guest;
    MoseJournalEntry entry = { .phase = MOSE_PHASE_START,
                               .generation = 1,
                               .side = MOSE_SIDE_EMULATOR };

    fork->spec = mose_spec_fork(of->spec, fork->name, fork->dir, error);
    if (!fork->spec)
        return FALSE;
    fork->machine_type = g_strdup(of->machine_type);
    fork->side = entry.side;
    fork->generation = fork->generations = entry.generation;
    fork->fork_of = g_strdup(of->name);
    fork->owner = source->options->owner;
    fork->owner_start_time = fork->owner ? mose_process_start_time(fork->owner) : 0;
    newborn->journal = mose_journal_begin(fork->dir, &entry, error);
    return newborn->journal && mose_guest_save(fork, error);
}

MoseNewborn *
mose_newborn_new(const char *name, const MoseForkSource *source, GError **error)
{
    MoseGuest *fork = mose_guest_create(name, error);
    g_autoptr(MoseNewborn) newborn = NULL;

    if (!fork)
        return NULL;
    newborn = g_new0(MoseNewborn, 1);
    newborn->guest = fork;
    if (prepare(newborn, source, error))
        return g_steal_pointer(&newborn);
    mose_newborn_undo(newborn);
    return NULL;
}

/* A host whose memory runs out has throw-away copies to end before it ends a guest
 * (proc(5), oom_score_adj). */
static void
make_expendable(const MoseProcess *process)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/oom_score_adj", (int)process->pid);
    g_auto(MoseFd) fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, MOST_EXPENDABLE, strlen(MOST_EXPENDABLE)) < 0)
        g_debug("%s: %s", path, g_strerror(errno));
}

gboolean
mose_newborn_begin(MoseNewborn *newborn, const MoseForkSource *source, int ram_fd,
                   GError **error)
{
    const MoseLaunchFor what = { .side = MOSE_SIDE_EMULATOR,
                                 .generation = newborn->guest->generation,
                                 .ram_fd = ram_fd,
                                 .frozen = TRUE,
                                 .like = source->process,
                                 .incoming = TRUE,
                                 .open_tap = mose_fork_open_tap };

    newborn->launch = mose_launch_begin(newborn->guest, &what, error);
    if (newborn->launch)
        make_expendable(newborn->launch->process);
    return newborn->launch != NULL;
}

/* --- into it --- */

static guint
direction_of(const MoseForkSource *source)
{
    const MoseSpec *spec = source->guest->spec;

    return mose_direction(spec->accel[source->guest->side],
                          spec->accel[MOSE_SIDE_EMULATOR]);
}

/* Whether the guest's process is what an emulator of it would be. */
static gboolean
is_emulator_alike(const MoseGuest *guest)
{
    const MoseSpec *spec = guest->spec;

    return strcmp(spec->accel[guest->side], spec->accel[MOSE_SIDE_EMULATOR]) == 0 &&
           strcmp(spec->cpu[guest->side], spec->cpu[MOSE_SIDE_EMULATOR]) == 0;
}

/* What the emulator lacks is the same for each of them. That the guest's devices are
 * those of its description was found when it was frozen. */
static gboolean
judge(MoseForkSource *source, MoseQmp *fork, GError **error)
{
    g_autoptr(MoseQmp) qmp = NULL;
    g_autoptr(MoseFactHalf) half = NULL;

    if (source->facts || is_emulator_alike(source->guest))
        return TRUE;
    qmp = mose_guest_connect(source->guest, MOSE_MONITOR_SWITCH, error);
    if (!qmp)
        return FALSE;
    mose_qmp_set_timeout(qmp, QMP_TIMEOUT_MS);
    half = mose_facts_half(qmp, error);
    source->facts =
        half ? mose_facts_gather(qmp, half, fork, direction_of(source), error) : NULL;
    return source->facts && mose_facts_check(&source->facts->facts,
                                             source->options->without_rule, error);
}

/* As in a switch: a module that was not loaded would let it write the guest's memory.
 */
static gboolean
is_apart(const MoseNewborn *newborn, GError **error)
{
    MoseFrozen state;

    if (!mose_frozen_look(newborn->launch->process, FALSE, &state, error))
        return FALSE;
    if (!state.frozen)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s does not load %s (LD_PRELOAD), which keeps forks apart",
                    newborn->guest->spec->qemu, MOSE_FROZEN_NAME);
    if (state.frozen && state.locked)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "QEMU locks its memory, which cannot be shared then");
    return state.frozen && !state.locked;
}

/* @error is this fork's; with what its QEMU has said, if it has ended. */
static gboolean
fail(const MoseNewborn *newborn, GError **cause, GError **error)
{
    mose_launch_explain(newborn->launch, cause);
    g_propagate_prefixed_error(error, g_steal_pointer(cause),
                               "fork %s: ", newborn->guest->name);
    return FALSE;
}

gboolean
mose_newborn_get_ready(MoseNewborn *newborn, const MoseForkSource *source,
                       GError **error)
{
    const MoseForkOptions *options = source->options;
    g_autoptr(GError) cause = NULL;

    if (newborn->ram)
        return TRUE;
    if (mose_launch_wait(newborn->guest, newborn->launch, options->interrupt_fd,
                         &cause) &&
        is_apart(newborn, &cause) &&
        mose_disks_overlay(newborn->guest, newborn->guest->generation,
                           newborn->launch->qmp, options->overlay_dir, &cause))
        newborn->ram = mose_fork_load_prepare(newborn->launch, &cause);
    return newborn->ram || fail(newborn, &cause, error);
}

static gboolean
load(MoseForkSource *source, MoseNewborn *newborn, GError **error)
{
    MoseQmp *qmp = newborn->launch->qmp;
    MoseForkLoad how = {
        newborn->launch,      newborn->ram, source->state_fd,
        direction_of(source), NULL,         source->options->without_rule
    };

    if (!judge(source, qmp, error))
        return FALSE;
    how.facts = source->facts ? &source->facts->facts : NULL;
    return mose_fork_load(&how, error) &&
           (source->options->paused || mose_qmp_run(qmp, "cont", NULL, error));
}

static gboolean
begin_life(MoseForkSource *source, MoseNewborn *newborn, GError **error)
{
    MoseGuest *fork = newborn->guest;

    fork->pid = newborn->launch->process->pid;
    fork->start_time = newborn->launch->process->start_time;
    mose_guest_note(fork, "fork",
                    mose_json_object("reason", "s", source->guest->name, "accel", "s",
                                     fork->spec->accel[fork->side], NULL));
    return mose_launch_settle(newborn->launch->qmp, newborn->launch->line, error) &&
           mose_guest_save(fork, error) && mose_journal_end(fork->dir, error);
}

gboolean
mose_newborn_finish(MoseNewborn *newborn, MoseForkSource *source, GError **error)
{
    g_autoptr(GError) cause = NULL;

    return (load(source, newborn, &cause) && begin_life(source, newborn, &cause)) ||
           fail(newborn, &cause, error);
}

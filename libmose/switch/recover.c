/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the journal of a dead MOSE asks for; see recover.h. */
#include "switch/recover.h"

#include <string.h>

#include "qemu/command.h"
#include "switch/debug.h"
#include "switch/doubt.h"
#include "guest/disks.h"
#include "guest/exports.h"
#include "guest/generation.h"
#include "guest/guest-dir.h"
#include "guest/journal.h"
#include "guest/launch.h"
#include "guest/plug.h"
#include "guest/writes.h"
#include "switch/resume.h"
#include "switch/tether.h"
#include "util/error.h"
#include "util/json.h"

#define CONNECT_TIMEOUT_MS 5000
#define END_TIMEOUT_MS 1000
#define LOOK_TIMEOUT_MS 500

/* The guest's first process had not been let run when its `mose run` ended: there is
 * no guest. */
static gboolean
unstart(MoseGuest *guest, const MoseJournalEntry *entry, GError **error)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, entry->generation, NULL);

    if (!mose_end_generation(guest, entry->generation, error))
        return FALSE;
    mose_launch_forget_files(guest, entry->generation);
    /* A fork's: nobody has written to them what anybody wants. */
    if (overlays)
        mose_disks_discard(overlays, NULL);
    if (mose_guest_remove(guest, error))
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "guest %s was never started: its `mose run` ended before",
                    guest->name);
    return FALSE;
}

static gboolean
undo(MoseGuest *guest, const MoseJournalEntry *entry, GError **error)
{
    g_autoptr(MoseProcess) destination = mose_find_generation(guest, entry->generation);
    g_autoptr(MoseProcess) process = mose_guest_process(guest, NULL);
    g_autoptr(MoseQmp) source = NULL;

    /* It does nothing more of its own after the signal: the guest need not wait until
     * the kernel has taken it apart. */
    if (destination)
        mose_process_doom(destination);
    /* Disks that were to stay here: the guest has not run elsewhere. */
    if (entry->role == MOSE_ROLE_GIVER && !mose_exports_abandon(guest, error))
        return FALSE;
    if (process) {
        mose_process_thaw(process);
        source = mose_guest_connect(guest, MOSE_MONITOR_GUARDIAN, error);
        if (!source || !mose_resume_source(source, entry->was_running, error))
            return FALSE;
        /* A commit of overlays that is left under way does no harm but to the images,
         * which are half written by then. */
        mose_disks_recover(guest, source, NULL);
    }
    /* One that the kernel keeps (in its storage, say) is doomed all the same, and
     * nobody will take its generation. */
    if (destination)
        mose_process_wait(destination, END_TIMEOUT_MS);
    mose_launch_forget_files(guest, entry->generation);
    return TRUE;
}

/* What the process of @entry has to take over from the one before it. */
static gboolean
settle(MoseGuest *guest, const MoseJournalEntry *entry, MoseQmp *qmp, GError **error)
{
    g_autofree char *pidfile = mose_guest_pidfile(guest, entry->generation);
    MoseCommandFor what = { entry->side, entry->generation, TRUE, pidfile,
                            guest->machine_type };
    g_autoptr(MoseCommandLine) line = mose_command_build(guest->spec, &what, error);

    return line && mose_launch_settle(qmp, line, error);
}

/* Whether the destination has loaded the guest and not run it yet (QEMU
 * migration/migration.c:process_incoming_migration_bh). One that stands still for
 * another reason has run, and stopped of itself. */
static gboolean
is_fresh(MoseQmp *qmp, gboolean *ret, GError **error)
{
    g_autoptr(JsonObject) status = mose_qmp_query(qmp, "query-status", NULL, error);
    const char *state = status ? mose_json_string(status, "status", "") : "";

    *ret = strcmp(state, "paused") == 0 || strcmp(state, "inmigrate") == 0;
    return status != NULL;
}

/* Let the destination run; *@ret_refused when QEMU would not, and it has not. */
static gboolean
run_destination(MoseQmp *qmp, gboolean *ret_refused, GError **error)
{
    g_autoptr(GError) cause = NULL;
    gboolean fresh;

    if (!is_fresh(qmp, &fresh, error))
        return FALSE;
    if (!fresh || mose_qmp_run(qmp, "cont", NULL, &cause))
        return TRUE;
    *ret_refused = g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_QMP) &&
                   is_fresh(qmp, &fresh, NULL) && fresh;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* What the rules had planned for the guest's memory, in the destination that has not
 * run yet: done, again if need be, or taken back. */
static gboolean
write_memory(const MoseGuest *guest, const MoseJournalEntry *entry,
             const MoseProcess *destination, MoseQmp *qmp, gboolean back,
             GError **error)
{
    g_autoptr(MoseWrites) writes = mose_writes_load(guest, entry->generation, error);
    g_autoptr(MoseRam) ram = NULL;

    if (!writes)
        return FALSE;
    ram = mose_ram_of(destination, qmp, error);
    return ram && (back ? mose_writes_undo : mose_writes_do)(writes, ram, error);
}

/* The journal says "done" before the destination is let run: what the guest has written
 * itself by then is not overwritten. */
static gboolean
finish_writes(const MoseGuest *guest, MoseJournalEntry *entry,
              const MoseProcess *destination, MoseQmp *qmp, GError **error)
{
    gboolean fresh;

    if (entry->writes != MOSE_WRITES_PLANNED)
        return TRUE;
    if (!is_fresh(qmp, &fresh, error) ||
        (fresh && !write_memory(guest, entry, destination, qmp, FALSE, error)))
        return FALSE;
    entry->writes = MOSE_WRITES_DONE;
    return mose_journal_rewrite(guest->dir, entry, error);
}

/* The destination would not run: back to the source. The journal says so before the
 * destination is ended, or a death in between would make it look like one that has
 * had the guest and is gone. */
static gboolean
take_back(MoseGuest *guest, const MoseJournalEntry *entry,
          const MoseProcess *destination, MoseQmp *qmp, GError **error)
{
    MoseJournalEntry back = *entry;

    if (entry->writes != MOSE_WRITES_NONE) {
        back.writes = MOSE_WRITES_PLANNED;
        if (!mose_journal_rewrite(guest->dir, &back, error) ||
            !write_memory(guest, entry, destination, qmp, TRUE, error))
            return FALSE;
        back.writes = MOSE_WRITES_NONE;
    }
    back.phase = MOSE_PHASE_MOVE;
    return mose_journal_rewrite(guest->dir, &back, error) && undo(guest, entry, error);
}

static void
take_over(MoseGuest *guest, const MoseJournalEntry *entry, const MoseProcess *process)
{
    if (entry->role == MOSE_ROLE_TAKER && guest->far)
        guest->far->away = FALSE;
    guest->generation = entry->generation;
    guest->side = entry->side;
    guest->pid = process ? process->pid : 0;
    guest->start_time = process ? process->start_time : 0;
}

static gboolean
end_source(const MoseProcess *source, GError **error)
{
    if (!source || mose_process_kill(source))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                "the source (pid %d) does not end", (int)source->pid);
    return FALSE;
}

/* The destination had the guest, may have run it, and is gone: the guest has ended,
 * since the source's devices no longer fit its memory. */
static gboolean
bury(MoseGuest *guest, const MoseJournalEntry *entry, const MoseProcess *source,
     GError **error)
{
    /* guest.json may name the destination already, and its process be the "source". */
    if (guest->generation != entry->generation) {
        if (!end_source(source, error))
            return FALSE;
        take_over(guest, entry, NULL);
    }
    mose_launch_forget_channels(guest, entry->generation);
    mose_launch_forget_files(guest, entry->source);
    return TRUE;
}

/* Its disks are the new process's, and nothing is needed of the other host. */
static gboolean
come_home(MoseGuest *guest, GError **error)
{
    return !guest->far || !guest->far->host || mose_tether_clear(guest, error);
}

static gboolean
finish(MoseGuest *guest, MoseJournalEntry *entry, GError **error)
{
    g_autoptr(MoseProcess) source = mose_guest_process(guest, NULL);
    g_autoptr(MoseProcess) destination = mose_find_generation(guest, entry->generation);
    g_autofree char *monitor =
        mose_guest_monitor(guest, MOSE_MONITOR_GUARDIAN, entry->generation);
    g_autoptr(MoseQmp) qmp = NULL;
    g_autoptr(GError) later = NULL;
    gboolean refused = FALSE;
    guint old = guest->generation;

    if (!destination)
        return bury(guest, entry, source, error);
    qmp = mose_qmp_connect(monitor, CONNECT_TIMEOUT_MS, error);
    if (!qmp || !finish_writes(guest, entry, destination, qmp, error))
        return FALSE;
    /* The source stands still after its migration: it can wait for its end until
     * it is certain that the destination runs. */
    if (entry->was_running && !run_destination(qmp, &refused, error)) {
        if (refused && entry->role == MOSE_ROLE_TAKER)
            return mose_doubt_refuse(guest, entry, error);
        if (!refused || old == entry->generation || !source)
            return FALSE;
        g_clear_error(error);
        return take_back(guest, entry, destination, qmp, error);
    }
    /* guest.json may name the destination already. */
    if (old != entry->generation && !end_source(source, error))
        return FALSE;
    take_over(guest, entry, destination);
    if (entry->role == MOSE_ROLE_TAKER && !come_home(guest, &later))
        g_debug("coming home: %s", later->message);
    g_clear_error(&later);
    if (!settle(guest, entry, qmp, &later))
        g_debug("settling: %s", later->message);
    mose_launch_forget_channels(guest, entry->generation);
    mose_launch_forget_files(guest, entry->source);
    mose_writes_forget(guest, entry->generation);
    return TRUE;
}

/* Somebody else has let the destination run before the commit: the guest's memory has
 * gone on in it, and there is no way back. */
static gboolean
runs_early(const MoseGuest *guest, const MoseJournalEntry *entry)
{
    g_autofree char *monitor =
        mose_guest_monitor(guest, MOSE_MONITOR_GUARDIAN, entry->generation);
    g_autoptr(MoseProcess) destination = NULL;
    g_autoptr(JsonObject) status = NULL;
    g_autoptr(MoseQmp) qmp = NULL;

    if (entry->phase != MOSE_PHASE_MOVE ||
        !(destination = mose_find_generation(guest, entry->generation)) ||
        !(qmp = mose_qmp_connect(monitor, LOOK_TIMEOUT_MS, NULL)))
        return FALSE;
    mose_qmp_set_timeout(qmp, LOOK_TIMEOUT_MS);
    status = mose_qmp_query(qmp, "query-status", NULL, NULL);
    return mose_json_bool(status, "running", FALSE);
}

/* The event of @guest's timeline that came last, "" if there is none. */
static const char *
last_event(const MoseGuest *guest)
{
    guint n = json_array_get_length(guest->timeline);

    return n == 0 ? ""
                  : mose_json_string(mose_json_element(guest->timeline, n - 1), "event",
                                     "");
}

/* Tell the timeline, once, of a guest that has ended with its QEMU. */
static gboolean
note_end(MoseGuest *guest, GError **error)
{
    g_autoptr(MoseProcess) process = mose_guest_process(guest, NULL);
    g_autofree char *log = NULL;
    g_autofree char *said = NULL;

    if (process || mose_guest_is_away(guest) || strcmp(last_event(guest), "ended") == 0)
        return TRUE;
    log = mose_guest_log(guest, guest->generation);
    said = mose_log_said(log);
    mose_guest_note(guest, "ended",
                    mose_json_object("side", "s", mose_side_name(guest->side), "reason",
                                     "s", *said ? said : "its QEMU said nothing",
                                     NULL));
    return mose_guest_save(guest, error);
}

/* A guest that is away may need its home; the tether may have died. */
static gboolean
tie(const MoseGuest *guest, GError **error)
{
    return !mose_tether_is_needed(guest) || mose_tether_start(guest, NULL, 0, error);
}

/* The other host was told to run the guest, and this one's MOSE died before it had an
 * answer, or after it. */
static gboolean
recover_given(MoseGuest *guest, const MoseJournalEntry *entry, MoseRecovered *ret,
              GError **error)
{
    gboolean taken = entry->phase == MOSE_PHASE_COMMIT;

    if (!taken && !mose_doubt_recover(guest, entry->since_us, entry->was_running,
                                      &taken, error)) {
        g_prefix_error(error,
                       "whether %s has guest %s is not known; it is kept still here "
                       "until it is: ",
                       mose_far_label(guest->far), guest->name);
        return FALSE;
    }
    mose_guest_note(guest, taken ? "finished-after-death" : "undone-after-death",
                    mose_json_object("phase", "s", mose_phase_name(entry->phase),
                                     "side", "s", mose_side_name(entry->side), NULL));
    *ret = taken ? MOSE_RECOVERED_FINISHED : MOSE_RECOVERED_UNDONE;
    if (!taken)
        return undo(guest, entry, error) && mose_guest_save(guest, error) &&
               mose_journal_end(guest->dir, error);
    if (!mose_doubt_give(guest, entry->side, error))
        return FALSE;
    if (!mose_guest_is_away(guest))
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "guest %s has gone back to %s", guest->name,
                    mose_far_label(guest->far));
    return mose_guest_is_away(guest) && tie(guest, error);
}

gboolean
mose_recover(MoseGuest *guest, MoseRecovered *ret, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MoseJournalEntry entry;
    gboolean committed, finished;

    *ret = MOSE_RECOVERED_NOTHING;
    mose_guest_dir_tidy(guest->dir);
    if (!mose_debug_recover(guest, error))
        return FALSE;
    if (!mose_journal_read(guest->dir, &entry, &cause)) {
        mose_doubt_tell_late(guest);
        if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
            return mose_journal_end(guest->dir, error) &&
                   mose_plug_recover(guest, error) && note_end(guest, error) &&
                   tie(guest, error);
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (entry.phase == MOSE_PHASE_START)
        return unstart(guest, &entry, error);
    if (entry.phase == MOSE_PHASE_TAKE)
        return mose_doubt_untake(guest, &entry, error);
    if (entry.role == MOSE_ROLE_GIVER && entry.phase >= MOSE_PHASE_DOUBT)
        return recover_given(guest, &entry, ret, error);
    guest->generations = MAX(guest->generations, entry.generation);
    committed = entry.phase == MOSE_PHASE_COMMIT || runs_early(guest, &entry);
    if (!(committed ? finish(guest, &entry, &cause) : undo(guest, &entry, &cause))) {
        if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
            g_prefix_error(&cause,
                           "cannot %s the switch of guest %s that was interrupted: ",
                           committed ? "finish" : "undo", guest->name);
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    /* What was committed is undone where the destination refused to run. */
    finished = committed && guest->generation == entry.generation;
    mose_guest_note(guest, finished ? "finished-after-death" : "undone-after-death",
                    mose_json_object("phase", "s", mose_phase_name(entry.phase), "side",
                                     "s", mose_side_name(guest->side), NULL));
    *ret = finished ? MOSE_RECOVERED_FINISHED : MOSE_RECOVERED_UNDONE;
    /* The host that it came from may wait for a word. */
    if (finished && entry.role == MOSE_ROLE_TAKER)
        mose_doubt_tell(guest, MOSE_DOUBT_TAKEN, NULL);
    return mose_guest_save(guest, error) && mose_journal_end(guest->dir, error) &&
           note_end(guest, error);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a switch: the guest is given over, or goes back. See move.h. */
#include <string.h>
#include <unistd.h>

#include "guest/forks.h"
#include "switch/guardian.h"
#include "switch/move.h"
#include "switch/resume.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

#define RESUME_TIMEOUT_MS 5000
/* For the moment that the guest's clocks were set for (move-rewrite.c). */
#define MAX_WAIT_US 1500000
/* How long a QEMU whose monitor has closed may take to end. */
#define LAST_WORDS_MS 200
/* For the events that a stopped QEMU had sent. */
#define LAST_EVENTS_MS 20

static gboolean
is_running(MoseQmp *qmp, gboolean *ret, GError **error)
{
    g_autoptr(JsonObject) status = mose_qmp_query(qmp, "query-status", NULL, error);

    *ret = mose_json_bool(status, "running", FALSE);
    return status != NULL;
}

/*
 * Whether the guest asked for a reset in its last moment: the source's main loop does
 * that after the stop (QEMU system/runstate.c:main_loop_should_exit), the destination
 * knows nothing of it, and the guest would wait for it for ever.
 */
static gboolean
was_reset(MoseMove *move, GError **error)
{
    gboolean after = FALSE;
    MoseQmpEvent event;

    while (mose_qmp_take_event(move->source_qmp, "RESET", &event))
        after |= move->stop_stamp_us && event.time_us >= move->stop_stamp_us;
    if (after)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the guest was reset in the moment at which it was to move; it "
                    "starts anew where it is");
    return after;
}

/*
 * The guest runs in neither: it is the destination's. If somebody
 * else's `cont` has let that run already (QEMU monitor/qmp-cmds.c:qmp_cont while it
 * waits for the guest; it then starts by itself), the guest's memory has gone on in it
 * and there is no way back.
 */
static gboolean
source_stands_still(MoseMove *move, GError **error)
{
    g_autoptr(GError) cause = NULL;
    gboolean source;

    mose_move_limit(move, move->source_qmp, MOSE_MOVE_STILL_TIMEOUT_MS);
    if (!is_running(move->destination->qmp, &move->early, error))
        return FALSE;
    /* The destination has all of the guest: it can do without a source that has died.
     */
    if (!is_running(move->source_qmp, &source, &cause)) {
        if (mose_process_wait(move->source, LAST_WORDS_MS))
            return TRUE;
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    /* Of earlier times. */
    while (mose_qmp_take_event(move->source_qmp, "RESUME", NULL))
        ;
    if (source)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the source runs where it should stand still; somebody else has "
                    "told it to%s",
                    move->early ? ", and the destination, too" : "");
    return !source && (move->early || !was_reset(move, error));
}

/*
 * From here to its end the source can't be let run, whoever asks for it. Who did before
 * has made it tell us: QEMU sends RESUME before the first instruction
 * (system/cpus.c:vm_prepare_start).
 */
static gboolean
freeze_source(MoseMove *move, GError **error)
{
    if (!mose_process_freeze(move->source) && mose_process_alive(move->source)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the source (pid %d) cannot be held still", (int)move->source->pid);
        return FALSE;
    }
    if (!mose_process_alive(move->source) || mose_qmp_is_quiet(move->source_qmp) ||
        !mose_qmp_wait_event(move->source_qmp, "RESUME", LAST_EVENTS_MS, -1, NULL,
                             NULL))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                "the source was let run by somebody else when it should stand still");
    return FALSE;
}

/*
 * QEMU refused to run the destination (a disk that a third process holds, say),
 * and it has not run: the one way back after the commit record.
 */
static gboolean
take_back(MoseMove *move, GError **error)
{
    g_autoptr(JsonObject) status =
        mose_qmp_query(move->destination->qmp, "query-status", NULL, NULL);

    if (!status || mose_json_bool(status, "running", TRUE) ||
        mose_qmp_take_event(move->destination->qmp, "RESUME", NULL))
        return FALSE;
    return mose_move_undo_writes(move, error) &&
           mose_journal_advance(move->journal, MOSE_PHASE_MOVE, error);
}

/* Its RESUME came before it answered that it runs. */
static void
note_early(MoseMove *move)
{
    MoseQmpEvent event;

    move->resume_us = mose_qmp_take_event(move->destination->qmp, "RESUME", &event)
                          ? mose_move_event_us(&event)
                          : g_get_monotonic_time();
}

/*
 * Whether the destination died before it ran. It sends RESUME before anything in it
 * runs (system/cpus.c:vm_prepare_start), straight into its socket, so that it arrives
 * whatever becomes of the sender; its monitor was read to the end (CLOSED).
 */
static gboolean
died_unrun(MoseMove *move, gboolean answered, const GError *cause)
{
    return !answered && g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_CLOSED) &&
           !mose_qmp_take_event(move->destination->qmp, "RESUME", NULL) &&
           mose_move_undo_writes(move, NULL) &&
           mose_journal_advance(move->journal, MOSE_PHASE_MOVE, NULL);
}

static void
explain_death(const MoseMove *move, GError **error)
{
    g_autofree char *said = mose_log_said(move->destination->log);

    g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                "the destination ended before it ran the guest%s%s",
                *said ? "; it said: " : "", said);
}

/*
 * Let the destination run. FALSE: it did not, and the guest is the source's again;
 * or it has not said so, and lives (a disk that takes long to open): then the source
 * must not be ended yet, and who has the guest is for recovery to find out. One that
 * has died took the guest along: that is kept in move->late.
 */
static gboolean
resume(MoseMove *move, GError **error)
{
    MoseQmpEvent event;
    g_autoptr(GError) cause = NULL;
    gboolean answered = mose_qmp_run(move->destination->qmp, "cont", NULL, &cause);

    if (answered && mose_qmp_wait_event(move->destination->qmp, "RESUME",
                                        RESUME_TIMEOUT_MS, -1, &event, &cause)) {
        move->resume_us = mose_move_event_us(&event);
        return TRUE;
    }
    if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_QMP) && take_back(move, NULL)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (mose_process_wait(move->destination->process, LAST_WORDS_MS)) {
        if (died_unrun(move, answered, cause)) {
            explain_death(move, error);
            return FALSE;
        }
        move->late = g_steal_pointer(&cause);
        return TRUE;
    }
    move->uncertain = TRUE;
    g_propagate_prefixed_error(error, g_steal_pointer(&cause),
                               "the %s was given the guest and has not said that it "
                               "runs; MOSE's guardian sees to it: ",
                               mose_side_name(move->options->side));
    return FALSE;
}

/* Write the commit record, and what the rules want in the guest's memory. What cannot
 * be done goes back while the destination has not run. */
static gboolean
hand_over(MoseMove *move, GError **error)
{
    if (!mose_journal_advance(move->journal, MOSE_PHASE_COMMIT, error))
        return FALSE;
    if (move->early || mose_move_do_writes(move, error))
        return TRUE;
    move->uncertain = !mose_move_undo_writes(move, NULL) ||
                      !mose_journal_advance(move->journal, MOSE_PHASE_MOVE, NULL);
    return FALSE;
}

/* Wait for the moment that the guest's clocks were set for. */
static void
wait_until_due(MoseMove *move)
{
    gint64 left;

    move->ready_us = g_get_monotonic_time();
    left = move->due_us - move->ready_us;
    if (left > 0 && left < MAX_WAIT_US)
        g_usleep(left);
}

gboolean
mose_move_stand_still(MoseMove *move, GError **error)
{
    if (!source_stands_still(move, error))
        return FALSE;
    if (move->copy)
        mose_move_note_copied(move);
    return freeze_source(move, error);
}

gboolean
mose_move_commit(MoseMove *move, GError **error)
{
    if (move->far)
        return mose_move_far_commit(move, error);
    if (!mose_move_stand_still(move, error) ||
        (!move->early && !mose_move_plan_writes(move, error)))
        return FALSE;
    wait_until_due(move);
    /* The last moment at which the user can have it back. */
    if (!move->early && mose_move_interrupted(move, error))
        return FALSE;
    if (move->own_state && !move->early) {
        move->was_running = FALSE;
        move->run_state = g_steal_pointer(&move->own_state);
    }
    mose_journal_set_running(move->journal, move->was_running);
    if (!hand_over(move, error))
        return FALSE;
    mose_move_limit(move, move->destination->qmp, MOSE_MOVE_QMP_TIMEOUT_MS);
    if (move->early)
        note_early(move);
    else if (move->was_running && !resume(move, error))
        return FALSE;
    move->committed_us = g_get_monotonic_time();
    mose_process_kill(move->source);
    return TRUE;
}

/* Whether the destination, which runs the guest, does not listen to us any more: the
 * guardians do the rest, on another monitor. */
static gboolean
is_cut_off(const MoseMove *move, const GError *error)
{
    return (g_error_matches(error, MOSE_ERROR, MOSE_ERROR_CLOSED) ||
            g_error_matches(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT)) &&
           !mose_process_wait(move->destination->process, LAST_WORDS_MS);
}

/* What its forks were made of, once they have gone. */
static void
forget_state(const MoseMove *move)
{
    g_autofree char *state = mose_guest_fork_state(move->guest);

    if (!move->options->freeze)
        unlink(state);
}

gboolean
mose_move_settle(MoseMove *move, GError **error)
{
    MoseGuest *guest = move->guest;
    guint old = guest->generation;
    g_autoptr(GError) first = g_steal_pointer(&move->late);
    gboolean cut_off;

    if (move->far)
        return mose_move_far_settle(move, error);
    guest->generation = move->destination->generation;
    guest->side = move->options->side;
    guest->pid = move->destination->process->pid;
    guest->start_time = move->destination->process->start_time;
    guest->clock = move->clock;
    if (move->due_us && move->resume_us > move->due_us)
        guest->clock.late_ns = (move->resume_us - move->due_us) * 1000;
    mose_launch_settle(move->destination->qmp, move->destination->line,
                       first ? NULL : &first);
    mose_launch_forget_channels(guest, guest->generation);
    mose_writes_forget(guest, guest->generation);
    cut_off = is_cut_off(move, first);
    if (cut_off)
        g_clear_pointer(&move->guardian, mose_guardian_leave);
    /* In this order: what a death in between leaves is seen to while the journal is
     * there. */
    if (mose_guest_save(guest, first ? NULL : &first) && !cut_off) {
        mose_launch_forget_files(guest, old);
        forget_state(move);
        mose_journal_end(guest->dir, first ? NULL : &first);
    }
    if (!first)
        return TRUE;
    g_propagate_prefixed_error(error, g_steal_pointer(&first),
                               mose_process_alive(move->destination->process)
                                   ? "the guest is in the %s, but: "
                                   : "the guest was given to the %s, which has ended: ",
                               mose_side_name(guest->side));
    return FALSE;
}

/* Add to what went wrong what became of the way back. */
static void
add_words(GError **error, const char *between, const GError *trouble)
{
    g_autofree char *text = NULL;

    if (!*error) {
        *error = g_error_copy(trouble);
        return;
    }
    text = g_strconcat((*error)->message, between, trouble->message, NULL);
    g_free((*error)->message);
    (*error)->message = g_steal_pointer(&text);
}

/* A monitor whose answer did not come in time, or that was cut, is of no more use, nor
 * is another connection to it: that late answer would come there. So another one. */
static gboolean
resume_source(MoseMove *move, GError **error)
{
    g_autoptr(GError) cause = NULL;

    mose_move_limit(move, move->source_qmp, MOSE_MOVE_QMP_TIMEOUT_MS);
    if (mose_resume_source(move->source_qmp, move->was_running, &cause))
        return TRUE;
    if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_CLOSED)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    g_clear_pointer(&move->source_qmp, mose_qmp_free);
    move->source_qmp = mose_guest_connect(move->guest, MOSE_MONITOR_GUARDIAN, error);
    if (!move->source_qmp)
        return FALSE;
    mose_move_limit(move, move->source_qmp, MOSE_MOVE_QMP_TIMEOUT_MS);
    return mose_resume_source(move->source_qmp, move->was_running, error);
}

/* Make the source run again. FALSE: somebody else has to try. */
static gboolean
return_to_source(MoseMove *move, GError **error)
{
    g_autoptr(GError) trouble = NULL;

    /* The other QEMU has not run, and has written nothing. */
    if (move->exports && !mose_exports_abandon(move->guest, &trouble)) {
        add_words(error, "; and the way back failed: ", trouble);
        return FALSE;
    }
    if (!move->touched_source)
        return TRUE;
    mose_process_thaw(move->source);
    if (resume_source(move, &trouble)) {
        if (move->stop_us)
            move->guest->clock.late_ns +=
                (g_get_monotonic_time() - move->stop_us) * 1000;
        return TRUE;
    }
    if (mose_process_wait(move->source, LAST_WORDS_MS)) {
        g_autoptr(MoseProcess) none = NULL;

        g_clear_error(&trouble);
        none = mose_guest_process(move->guest, &trouble); /* with its last words */
        add_words(error, "; ", trouble);
        return TRUE;
    }
    add_words(error, "; and the way back failed: ", trouble);
    return FALSE;
}

void
mose_move_undo(MoseMove *move, GError **error)
{
    g_autoptr(GError) trouble = NULL;

    g_clear_pointer(&move->relay, mose_relay_free);
    /* Channels of the source that wait for it would keep its migration from its end. */
    mose_fd_close(mose_fd_steal(&move->listener));
    if (move->uncertain) {
        g_clear_pointer(&move->guardian, mose_guardian_leave);
        return;
    }
    if (move->destination)
        mose_launch_doom(move->destination);
    if (!return_to_source(move, error)) {
        /* Keep the journal: the guardian tries again on another monitor. */
        g_clear_pointer(&move->guardian, mose_guardian_leave);
        return;
    }
    /* It was not told to commit, and the guest need not wait until it has heard this.
     */
    if (move->far)
        mose_move_far_abort(move);
    if (move->destination)
        mose_launch_abort(move->guest, move->destination);
    if (move->journal && !mose_journal_end(move->guest->dir, &trouble))
        add_words(error, "; ", trouble);
}

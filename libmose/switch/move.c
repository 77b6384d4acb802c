/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of a switch, up to where the guest stops; the stream's way is in
 * move-connect.c, what follows in move-commit.c. */
#include "switch/move.h"

#include <poll.h>
#include <string.h>

#include "switch/guardian.h"
#include "switch/recover.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* In place the stream has some 330 KB: a side that takes longer hangs. */
#define MOVE_TIMEOUT_MS 15000
/* How long a QEMU that failed may take to say so. */
#define LAST_WORDS_MS 200
MoseMove *
mose_move_new(MoseGuest *guest, const MoseSwitchOptions *options)
{
    MoseMove *move = g_new0(MoseMove, 1);

    move->guest = guest;
    move->options = options;
    move->ram_fd = MOSE_FD_NONE;
    g_mutex_init(&move->stop_lock);
    g_cond_init(&move->stop_cond);
    move->wake_fd = MOSE_FD_NONE;
    move->changed = g_ptr_array_new();
    move->begun_us = g_get_monotonic_time();
    move->tsc = mose_tsc_sample();
    move->clock = guest->clock;
    return move;
}

void
mose_move_free(MoseMove *move)
{
    if (!move)
        return;
    mose_relay_free(move->relay);
    mose_guardian_stop(move->guardian);
    mose_journal_free(move->journal);
    mose_launch_free(move->destination);
    mose_ram_free(move->ram);
    mose_fd_close(move->ram_fd);
    mose_fd_close(move->wake_fd);
    g_free(move->run_state);
    mose_qmp_free(move->source_qmp);
    mose_process_free(move->source);
    g_clear_pointer(&move->changed, g_ptr_array_unref);
    g_mutex_clear(&move->stop_lock);
    g_cond_clear(&move->stop_cond);
    g_clear_error(&move->late);
    g_free(move);
}

gboolean
mose_move_interrupted(const MoseMove *move, GError **error)
{
    struct pollfd fd = { move->options->interrupt_fd, POLLIN, 0 };

    if (fd.fd <= 0 || poll(&fd, 1, 0) != 1)
        return FALSE;
    g_clear_error(error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                "interrupted; the guest stays where it is");
    return TRUE;
}

static void
set_reply_limit(const MoseMove *move, MoseQmp *qmp)
{
    int ms = move->options->reply_ms;

    mose_qmp_set_timeout(qmp, ms ? ms : MOSE_MOVE_QMP_TIMEOUT_MS);
}

static gboolean
open_source(MoseMove *move, GError **error)
{
    g_autoptr(JsonObject) status = NULL;

    move->source = mose_guest_process(move->guest, error);
    if (!move->source)
        return FALSE;
    move->source_qmp = mose_guest_connect(move->guest, MOSE_MONITOR_SWITCH, error);
    if (!move->source_qmp)
        return FALSE;
    set_reply_limit(move, move->source_qmp);
    status = mose_qmp_query(move->source_qmp, "query-status", NULL, error);
    if (!status)
        return FALSE;
    move->was_running = mose_status_is_live(status);
    if (!mose_json_bool(status, "running", FALSE))
        move->run_state = g_strdup(mose_json_string(status, "status", NULL));
    move->ram_fd = mose_ram_open(move->source, error);
    if (move->ram_fd < 0)
        return FALSE;
    move->ram = mose_ram_map(move->ram_fd, move->source_qmp, error);
    return move->ram != NULL;
}

gboolean
mose_move_begin(MoseMove *move, GError **error)
{
    MoseJournalEntry entry = { MOSE_PHASE_PREPARE, move->guest->generation + 1,
                               move->options->side, FALSE };

    if (!open_source(move, error))
        return FALSE;
    entry.was_running = move->was_running;
    move->journal = mose_journal_begin(move->guest->dir, &entry, error);
    if (!move->journal)
        return FALSE;
    move->guardian = mose_guardian_start(move->guest, error);
    return move->guardian != NULL;
}

gboolean
mose_move_launch(MoseMove *move, GError **error)
{
    MoseLaunchFor what = { move->options->side, move->guest->generation + 1,
                           move->ram_fd, move->source, move->options->interrupt_fd };

    move->destination = mose_launch(move->guest, &what, error);
    move->launched_us = g_get_monotonic_time();
    if (move->destination)
        set_reply_limit(move, move->destination->qmp);
    return move->destination != NULL;
}

guint
mose_move_direction(const MoseMove *move)
{
    const MoseSpec *spec = move->guest->spec;

    return mose_direction(spec->accel[move->guest->side],
                          spec->accel[move->options->side]);
}

MoseFactSet *
mose_move_facts(MoseMove *move, GError **error)
{
    return mose_facts_gather(move->source_qmp, move->destination->qmp,
                             mose_move_direction(move), error);
}

gboolean
mose_move_check(MoseMove *move, GError **error)
{
    g_autoptr(MoseFactSet) set = mose_move_facts(move, error);
    g_autoptr(GPtrArray) found = NULL, reasons = NULL;

    if (!set)
        return FALSE;
    if (mose_facts_judge(&set->facts, move->options->without_rule, &found, &reasons))
        return TRUE;
    for (guint i = 0; i < found->len; i++) {
        const MoseRule *rule = found->pdata[i];

        if (reasons->pdata[i]) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED, "rule %s: %s",
                        rule->name, (char *)reasons->pdata[i]);
            break;
        }
    }
    return FALSE;
}

static gboolean
migration_ended(const MoseQmpEvent *event, gpointer data)
{
    const char *status = mose_json_string(event->data, "status", "");

    return strcmp(event->name, "MIGRATION") == 0 &&
           (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 ||
            strcmp(status, "cancelled") == 0);
}

/* Why the source sent only a part: it tells, or it has ended. */
static void
explain_source(MoseMove *move, GError **error)
{
    g_autoptr(JsonObject) state =
        mose_qmp_query(move->source_qmp, "query-migrate", NULL, NULL);
    g_autofree char *log = mose_guest_log(move->guest, move->guest->generation);
    g_autofree char *said = NULL;

    if (state) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the source did not send the guest: %s",
                    mose_json_string(state, "error-desc", "no reason was given"));
        return;
    }
    said = mose_log_said(log);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                "the source ended while it sent the guest%s%s",
                *said ? "; it said: " : "", said);
}

/* Why the destination did not load, as it says itself, or as @relay saw it. */
static void
explain_destination(MoseMove *move, const GError *relay, GError **error)
{
    g_autoptr(JsonObject) state = NULL;
    g_autofree char *said = NULL;

    /* One that exits says why before its socket closes. */
    mose_process_wait(move->destination->process, LAST_WORDS_MS);
    said = mose_log_said(move->destination->log);
    if (*said) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the destination did not load the guest; it said: %s", said);
        return;
    }
    state = mose_qmp_query(move->source_qmp, "query-migrate", NULL, NULL);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "the move failed: %s",
                relay ? relay->message
                      : mose_json_string(state, "error-desc", "no reason was given"));
}

/*
 * Why a move that did not end well did not. Whoever fails first makes the others
 * fail after it; the relay, between them, knows which it was.
 */
static gboolean
explain(MoseMove *move, GError **error)
{
    struct pollfd failed = { mose_relay_failure_fd(move->relay), POLLIN, 0 };
    g_autoptr(GError) relay = NULL;

    if (mose_move_interrupted(move, error))
        return FALSE;
    g_clear_error(error);
    /* A process's end may be seen before the relay sees its socket's. */
    while (poll(&failed, 1, LAST_WORDS_MS) < 0 && errno == EINTR)
        ;
    mose_relay_check(move->relay, &relay);
    if (mose_relay_source_ended(move->relay))
        explain_source(move, error);
    else if (relay && !g_error_matches(relay, MOSE_ERROR, MOSE_ERROR_CLOSED))
        g_propagate_error(error, g_steal_pointer(&relay));
    else
        explain_destination(move, relay, error);
    return FALSE;
}

/* The guest stands still, or never will. */
static gboolean
stopped_or_failed(const MoseQmpEvent *event, gpointer data)
{
    return strcmp(event->name, "STOP") == 0 || migration_ended(event, data);
}

/* The time at which the guest stood still, for the rule of it. */
static gboolean
note_stop(MoseMove *move, GError **error)
{
    MoseQmpEvent event;

    if (!mose_qmp_wait(move->source_qmp, stopped_or_failed, NULL, MOVE_TIMEOUT_MS,
                       move->wake_fd, &event, error) ||
        strcmp(event.name, "STOP") != 0)
        return FALSE;
    g_mutex_lock(&move->stop_lock);
    move->stop_us = event.time_us;
    move->stopped_seen = TRUE;
    g_cond_signal(&move->stop_cond);
    g_mutex_unlock(&move->stop_lock);
    return TRUE;
}

static gboolean
wait_ended(MoseMove *move, MoseQmp *qmp, GError **error)
{
    MoseQmpEvent event;

    return mose_qmp_wait(qmp, migration_ended, NULL, MOVE_TIMEOUT_MS, move->wake_fd,
                         &event, error) &&
           strcmp(mose_json_string(event.data, "status", ""), "completed") == 0;
}

gboolean
mose_move_migrate(MoseMove *move, GError **error)
{
    guint64 out;

    if (!mose_process_alive(move->guardian)) {
        mose_process_free(g_steal_pointer(&move->guardian));
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "the guardian has ended");
        return FALSE;
    }
    if (!mose_journal_advance(move->journal, MOSE_PHASE_MOVE, error))
        return FALSE;
    /* Old events would be taken for those of this move. */
    while (mose_qmp_take_event(move->source_qmp, "STOP", NULL))
        ;
    move->touched_source = TRUE;
    move->moved_us = g_get_monotonic_time();
    if (!mose_qmp_run(move->source_qmp, "migrate",
                      mose_json_object("uri", "s", "fd:mose", NULL), error))
        return FALSE;
    if ((move->was_running && !note_stop(move, error)) ||
        !wait_ended(move, move->source_qmp, error) ||
        !wait_ended(move, move->destination->qmp, error))
        return explain(move, error);
    mose_relay_progress(move->relay, &move->stream_bytes, &out);
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The move itself: the source migrates, and both sides are waited for. See move.h. */
#include <string.h>

#include "qemu/migration.h"
#include "switch/move.h"
#include "util/json.h"

/* A stamp that is older than this was made with another clock. */
#define MAX_LAG_US G_USEC_PER_SEC

gint64
mose_move_event_us(const MoseQmpEvent *event)
{
    gint64 lag = g_get_real_time() - event->time_us;

    return g_get_monotonic_time() - (lag >= 0 && lag <= MAX_LAG_US ? lag : 0);
}

/* The guest stands still, or never will. */
static gboolean
stopped_or_failed(const MoseQmpEvent *event, gpointer data)
{
    return strcmp(event->name, "STOP") == 0 || mose_migration_has_ended(event, data);
}

/* The time at which the guest stood still, for the rule of it. */
static gboolean
note_stop(MoseMove *move, GError **error)
{
    MoseQmpEvent event;

    if (!mose_move_await(move, stopped_or_failed, &event, error) ||
        strcmp(event.name, "STOP") != 0)
        return FALSE;
    g_mutex_lock(&move->stop_lock);
    move->stop_us = mose_move_event_us(&event);
    move->stop_stamp_us = event.time_us;
    move->stopped_seen = TRUE;
    g_cond_signal(&move->stop_cond);
    g_mutex_unlock(&move->stop_lock);
    mose_relay_set_patience(move->relay, MOSE_MOVE_STILL_TIMEOUT_MS);
    mose_move_limit(move, move->destination->qmp, MOSE_MOVE_STILL_TIMEOUT_MS);
    /* The source may write back its disks' caches before it sends on; that is not
     * counted. */
    mose_relay_set_patience(move->relay, MOSE_MOVE_STILL_TIMEOUT_MS);
    return TRUE;
}

/* The source has completed only when the destination has told it that all is loaded
 * (QEMU migration/migration.c:migration_completion, with a return path). */
static gboolean
wait_for_source(MoseMove *move, GError **error)
{
    MoseQmpEvent event;

    return mose_move_await(move, mose_migration_has_ended, &event, error) &&
           mose_migration_is_completed(&event);
}

static gboolean
wait_for_destination(MoseMove *move, GError **error)
{
    MoseQmpEvent event;

    return mose_qmp_wait(move->destination->qmp, mose_migration_has_ended, NULL,
                         MOSE_MOVE_STILL_TIMEOUT_MS, move->wake_fd, &event, error) &&
           mose_migration_is_completed(&event);
}

gboolean
mose_move_migrate(MoseMove *move, GError **error)
{
    guint64 out;

    if (!mose_move_guarded(move, error) ||
        !mose_journal_advance(move->journal, MOSE_PHASE_MOVE, error))
        return FALSE;
    /* Old events would be taken for those of this move. */
    while (mose_qmp_take_event(move->source_qmp, "STOP", NULL))
        ;
    move->touched_source = TRUE;
    move->moved_us = g_get_monotonic_time();
    if (!mose_move_send(move, error)) {
        mose_move_interrupted(move, error);
        return FALSE;
    }
    if ((move->was_running && !note_stop(move, error)) ||
        !wait_for_source(move, error) || !wait_for_destination(move, error))
        return mose_move_explain(move, error);
    mose_relay_progress(move->relay, &move->stream_bytes, &out);
    return TRUE;
}

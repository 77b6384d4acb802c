/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wait for a guest that is being copied: how far it is, whether it will ever end,
 * and what can be done about it. See move.h.
 *
 * A guest that writes faster than it can be copied is slowed down by QEMU (capability
 * auto-converge), and MOSE grants it more and more time to stand still at the end, up
 * to what the user allows.
 */
#include "switch/move.h"
#include "util/error.h"
#include "util/json.h"

#define LOOK_MS 250
/* No byte has gone out for so long: something hangs. */
#define STALL_US (15 * G_USEC_PER_SEC)
/* Rounds over what was written meanwhile before anything is done about it. */
#define PATIENT_ROUNDS 4

static guint
most_downtime_ms(const MoseMove *move)
{
    return move->options->max_downtime_ms ? move->options->max_downtime_ms
                                          : MOSE_DOWNTIME_MS;
}

guint
mose_move_first_downtime_ms(const MoseMove *move)
{
    return MIN(MOSE_FIRST_DOWNTIME_MS, most_downtime_ms(move));
}

static gboolean
grant_downtime(MoseMove *move, GError **error)
{
    guint wanted = MIN(2 * move->copied.downtime_ms, most_downtime_ms(move));

    if (wanted <= move->copied.downtime_ms)
        return TRUE;
    move->copied.downtime_ms = wanted;
    return mose_qmp_run(move->source_qmp, "migrate-set-parameters",
                        mose_json_object("downtime-limit", "i", (gint64)wanted, NULL),
                        error);
}

static JsonObject *
ask(MoseMove *move, GError **error)
{
    /* It does not answer while it sends the rest, the guest standing still: that may
     * take longer than was granted, which is a guess of QEMU's. */
    mose_move_limit(move, move->source_qmp,
                    MOSE_MOVE_QMP_TIMEOUT_MS + 2 * (int)move->copied.downtime_ms);
    return mose_qmp_query(move->source_qmp, "query-migrate", NULL, error);
}

/* One more look at the source's figures (QEMU qapi/migration.json:MigrationInfo). */
static gboolean
look(MoseMove *move, GError **error)
{
    g_autoptr(JsonObject) info = ask(move, error);
    JsonObject *ram = info ? mose_json_child(info, "ram") : NULL;
    MoseSwitchProgress *copied = &move->copied;
    guint64 sent = mose_json_int(ram, "transferred", 0);
    guint rounds = mose_json_int(ram, "dirty-sync-count", 0);
    gboolean new_round = rounds > copied->rounds;

    if (!info)
        return FALSE;
    if (sent != copied->sent || new_round)
        move->copied_us = g_get_monotonic_time();
    copied->sent = sent;
    copied->left = mose_json_int(ram, "remaining", 0);
    copied->total = mose_json_int(ram, "total", 0);
    copied->megabytes_per_second = mose_json_double(ram, "mbps", 0) / 8;
    copied->rounds = rounds;
    copied->throttle = mose_json_int(info, "cpu-throttle-percentage", 0);
    if (new_round && rounds > PATIENT_ROUNDS &&
        mose_json_int(info, "expected-downtime", 0) > copied->downtime_ms)
        return grant_downtime(move, error);
    return TRUE;
}

static gboolean
came_on(MoseMove *move, GError **error)
{
    g_autofree char *tcp = move->tcp ? mose_tcp_relay_trouble(move->tcp) : NULL;

    if (tcp) {
        /* A certificate that the other side does not like, say. */
        g_autofree char *there = mose_move_far_said(move);

        g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                    "memory cannot be sent: %s%s%s", tcp, *there ? "; there: " : "",
                    there);
        return FALSE;
    }
    if (g_get_monotonic_time() - move->copied_us < STALL_US)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                "no memory was copied for %d s (%" G_GUINT64_FORMAT
                " MB had been sent); the destination, or the host, hangs",
                (int)(STALL_US / G_USEC_PER_SEC), move->copied.sent >> 20);
    return FALSE;
}

gboolean
mose_move_await(MoseMove *move, MoseQmpMatch match, MoseQmpEvent *ret, GError **error)
{
    move->copied_us = g_get_monotonic_time();
    for (;;) {
        g_autoptr(GError) cause = NULL;

        if (mose_qmp_wait(move->source_qmp, match, NULL,
                          move->copy ? LOOK_MS : MOSE_MOVE_TIMEOUT_MS, move->wake_fd,
                          ret, &cause))
            return TRUE;
        if (!move->copy || !g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_TIMEOUT)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        if (!look(move, error) || !came_on(move, error))
            return FALSE;
        if (move->options->progress)
            move->options->progress(&move->copied, move->options->data);
    }
}

void
mose_move_note_copied(MoseMove *move)
{
    g_autoptr(JsonObject) info =
        mose_qmp_query(move->source_qmp, "query-migrate", NULL, NULL);
    JsonObject *ram = info ? mose_json_child(info, "ram") : NULL;

    if (!ram)
        return;
    move->copied.sent = mose_json_int(ram, "transferred", 0);
    move->copied.rounds = mose_json_int(ram, "dirty-sync-count", 0);
}

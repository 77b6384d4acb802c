/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a move failed, in words: by the source, the destination, or the relay. */
#include <errno.h>
#include <poll.h>

#include "switch/move.h"
#include "util/error.h"
#include "util/json.h"

/* How long a QEMU that failed may take to say so. */
#define LAST_WORDS_MS 200

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
    if (move->far) {
        said = mose_move_far_said(move);
    } else {
        mose_process_wait(move->destination->process, LAST_WORDS_MS);
        said = mose_log_said(move->destination->log);
    }
    if (*said) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the destination did not load the guest; it said: %s", said);
        return;
    }
    /* What has closed may be the way there. */
    if (move->far && !mose_link_check(move->far->link, error)) {
        g_prefix_error(error, "the move failed: %s: ", move->far->label);
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
gboolean
mose_move_explain(MoseMove *move, GError **error)
{
    struct pollfd failed = { move->relay ? mose_relay_failure_fd(move->relay) : -1,
                             POLLIN, 0 };
    g_autoptr(GError) relay = NULL;

    if (mose_move_interrupted(move, error) || !mose_move_guarded(move, error))
        return FALSE;
    /* It has been found out already. */
    if (!move->relay ||
        (error && g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_TIMEOUT)))
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The switch's phases in their order; see switch.h. What they do: move.c. */
#include "switch/switch.h"

#include <poll.h>

#include "guest/forks.h"
#include "switch/debug.h"
#include "switch/facts.h"
#include "switch/move.h"
#include "util/error.h"
#include "util/json.h"

/* How often a switch that cannot be at this moment is tried again, and after how long
 * at first; each wait is twice as long as the one before. */
#define AGAIN_TRIES 5
#define AGAIN_MS 5

static void
tell(const MoseMove *move, const char *phase)
{
    const MoseSwitchProgress progress = { phase };

    if (move->options->progress)
        move->options->progress(&progress, move->options->data);
}

/* Every phase up to the commit can be undone. */
static gboolean
until_commit(MoseMove *move, GError **error)
{
    tell(move, "prepare");
    if (!mose_move_begin(move, error) || mose_move_interrupted(move, error) ||
        !mose_move_launch(move, error))
        return FALSE;
    tell(move, "check");
    if (!mose_move_check(move, error) || mose_move_interrupted(move, error) ||
        !mose_move_disks(move, error))
        return FALSE;
    tell(move, "move");
    if (!mose_move_connect(move, error) || mose_move_interrupted(move, error) ||
        !mose_move_migrate(move, error))
        return FALSE;
    tell(move, "commit");
    return mose_move_commit(move, error);
}

static void
fill_report(const MoseMove *move, MoseSwitchReport *ret)
{
    const MoseSpec *spec = move->guest->spec;

    *ret = (MoseSwitchReport){
        .from_accel = spec->accel[move->from],
        .to_accel = spec->accel[move->options->side],
        .blackout_us =
            move->stop_us && move->resume_us ? move->resume_us - move->stop_us : 0,
        .rest_us = move->due_us ? move->ready_us - move->rewritten_us : 0,
        .launch_us = move->launched_us - move->begun_us,
        .move_us = move->committed_us - move->moved_us,
        .merged_bytes = move->merged_bytes,
        .merge_us = move->merge_us,
        .total_us = g_get_monotonic_time() - move->begun_us,
        .stream_bytes = move->stream_bytes,
        .copied = move->copy,
        .copied_bytes = move->copied.sent,
        .copy_us = move->copy && move->stop_us ? move->stop_us - move->moved_us : 0,
        .rounds = move->copied.rounds,
        .throttle = move->copied.throttle,
        .downtime_ms = move->copied.downtime_ms,
        .run_state = g_strdup(move->run_state),
        .rules = g_ptr_array_ref(move->changed),
    };
}

void
mose_switch_report_clear(MoseSwitchReport *report)
{
    g_clear_pointer(&report->rules, g_ptr_array_unref);
    g_clear_pointer(&report->run_state, g_free);
}

JsonObject *
mose_switch_report_to_json(const MoseSwitchReport *report, MoseSide side)
{
    JsonArray *rules = json_array_new();
    JsonObject *object;

    for (guint i = 0; i < report->rules->len; i++)
        json_array_add_string_element(rules, report->rules->pdata[i]);
    object = mose_json_object(
        "side", "s", mose_side_name(side), "from-accel", "s", report->from_accel,
        "accel", "s", report->to_accel, "blackout-us", "i", report->blackout_us,
        "rest-us", "i", report->rest_us, "launch-us", "i", report->launch_us, "move-us",
        "i", report->move_us, "total-us", "i", report->total_us, "stream-bytes", "i",
        (gint64)report->stream_bytes, "rules", "a", rules, "way", "s",
        report->copied ? "copy" : "in-place", NULL);
    if (report->merged_bytes)
        json_object_set_object_member(
            object, "merge",
            mose_json_object("bytes", "i", (gint64)report->merged_bytes, "us", "i",
                             report->merge_us, NULL));
    if (report->copied)
        json_object_set_object_member(
            object, "copy",
            mose_json_object("bytes", "i", (gint64)report->copied_bytes, "copy-us", "i",
                             report->copy_us, "rounds", "i", (gint64)report->rounds,
                             "throttle-percent", "i", (gint64)report->throttle,
                             "downtime-limit-ms", "i", (gint64)report->downtime_ms,
                             NULL));
    return object;
}

void
mose_switch_report_read(JsonObject *object, MoseSwitchReport *ret)
{
    JsonArray *rules = object ? mose_json_array(object, "rules") : NULL;
    JsonObject *copy = object ? mose_json_child(object, "copy") : NULL;
    const char *to = mose_json_string(object, "accel", "?");

    *ret = (MoseSwitchReport){
        .from_accel = g_intern_string(mose_json_string(object, "from-accel", "?")),
        .to_accel = g_intern_string(to),
        .blackout_us = mose_json_int(object, "blackout-us", 0),
        .rest_us = mose_json_int(object, "rest-us", 0),
        .launch_us = mose_json_int(object, "launch-us", 0),
        .move_us = mose_json_int(object, "move-us", 0),
        .total_us = mose_json_int(object, "total-us", 0),
        .stream_bytes = mose_json_int(object, "stream-bytes", 0),
        .copied = copy != NULL,
        .copied_bytes = mose_json_int(copy, "bytes", 0),
        .copy_us = mose_json_int(copy, "copy-us", 0),
        .rounds = mose_json_int(copy, "rounds", 0),
        .throttle = mose_json_int(copy, "throttle-percent", 0),
        .downtime_ms = mose_json_int(copy, "downtime-limit-ms", 0),
        .rules = g_ptr_array_new(),
    };
    for (guint i = 0; rules && i < json_array_get_length(rules); i++) {
        JsonNode *node = json_array_get_element(rules, i);

        if (json_node_get_value_type(node) == G_TYPE_STRING)
            g_ptr_array_add(ret->rules,
                            (gpointer)g_intern_string(json_node_get_string(node)));
    }
}

/* Wait a little, in which the guest runs on; FALSE when the user wants no more of it.
 */
static gboolean
pause_before(guint try, const MoseSwitchOptions *options)
{
    struct pollfd fd = { options->interrupt_fd > 0 ? options->interrupt_fd : -1, POLLIN,
                         0 };

    return poll(&fd, 1, AGAIN_MS << try) == 0;
}

/*
 * As far as the commit, or undone. A guest that cannot move at this very moment (an
 * event is on its way that only its present QEMU can deliver) is let run on, and asked
 * again a little later: such moments are short.
 */
static MoseMove *
move_until_commit(MoseGuest *guest, const MoseSwitchOptions *options, GError **error)
{
    for (guint try = 0;; try++) {
        g_autoptr(MoseMove) move = mose_move_new(guest, options);
        g_autoptr(GError) cause = NULL;
        gboolean again;

        if (until_commit(move, &cause))
            return g_steal_pointer(&move);
        again = g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_AGAIN);
        mose_move_undo(move, &cause);
        if (move->disks_committed > 0)
            g_prefix_error(&cause,
                           "%u of the guest's overlays went into their images, which "
                           "the emulator writes now, but: ",
                           move->disks_committed);
        /* The link's stream can be used once. */
        if (again && !options->far && !move->uncertain && move->disks_committed == 0 &&
            try < AGAIN_TRIES && pause_before(try, options))
            continue;
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
}

gboolean
mose_switch(MoseGuest *guest, const MoseSwitchOptions *options, MoseSwitchReport *ret,
            GError **error)
{
    g_autoptr(MoseProcess) process = NULL;
    g_autoptr(MoseMove) move = NULL;
    g_autoptr(GError) cause = NULL;
    const char *event = options->freeze                       ? "freeze"
                        : options->share                      ? "share"
                        : options->thaw                       ? "thaw"
                        : options->side == MOSE_SIDE_EMULATOR ? "emulate"
                                                              : "virtualize";

    process = mose_guest_process(guest, error);
    if (!process)
        return FALSE;
    if (mose_debug_is_open(guest)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_BUSY,
                    "guest %s is being debugged; its breakpoints could not follow it",
                    guest->name);
        return FALSE;
    }
    if (!mose_guest_may_move(guest, options->freeze, error))
        return FALSE;
    if (guest->side == options->side && !options->far && !options->freeze &&
        !options->thaw && !options->share) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "guest %s is in the %s already", guest->name,
                    mose_side_name(guest->side));
        return FALSE;
    }
    move = move_until_commit(guest, options, &cause);
    if (!move) {
        mose_guest_note(guest, "failed",
                        mose_json_object("operation", "s", event, "reason", "s",
                                         cause->message, NULL));
        mose_guest_save(guest, NULL);
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    fill_report(move, ret);
    tell(move, "settle");
    mose_guest_note(guest, event, mose_switch_report_to_json(ret, options->side));
    if (mose_move_settle(move, &cause))
        return TRUE;
    mose_guest_note(
        guest, "trouble",
        mose_json_object("operation", "s", event, "reason", "s", cause->message, NULL));
    mose_guest_save(guest, NULL);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

gboolean
mose_switch_check(MoseGuest *guest, const MoseSwitchOptions *options,
                  GPtrArray **ret_found, GPtrArray **ret_reasons, gboolean *ret_good,
                  GError **error)
{
    g_autoptr(MoseMove) move = mose_move_new(guest, options);
    g_autoptr(MoseFactSet) facts = NULL;
    g_autoptr(GError) undone = NULL;

    if (mose_move_begin(move, error) && mose_move_launch(move, error))
        facts = mose_move_facts(move, error);
    if (facts)
        *ret_good = mose_facts_judge(&facts->facts, NULL, ret_found, ret_reasons);
    mose_move_undo(move, &undone);
    return facts != NULL;
}

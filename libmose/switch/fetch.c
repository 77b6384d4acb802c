/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest brought home: its host gives it, this one takes it. See fetch.h. */
#include "switch/fetch.h"

#include <string.h>

#include "switch/take.h"
#include "util/error.h"
#include "util/json.h"

/* For the last word of one who has given up. */
#define LAST_WORD_MS 20000
#define TAKE_REQUEST_MS 60000

static void
tell_progress(JsonObject *object, gpointer data)
{
    const MoseFetchOptions *options = data;
    const MoseSwitchProgress progress = {
        .phase = mose_json_string(object, "phase", ""),
        .sent = mose_json_int(object, "sent", 0),
        .left = mose_json_int(object, "left", 0),
        .total = mose_json_int(object, "total", 0),
        .megabytes_per_second = mose_json_int(object, "mbps", 0),
        .rounds = mose_json_int(object, "rounds", 0),
        .throttle = mose_json_int(object, "throttle", 0),
        .downtime_ms = mose_json_int(object, "downtime", 0),
    };

    if (options->progress)
        options->progress(&progress, options->data);
}

static JsonObject *
give_request(const MoseGuest *guest, const MoseFetchOptions *options)
{
    JsonObject *request = mose_json_object(
        "do", "s", "give", "name", "s", guest->name, "id", "s", guest->far->id, "life",
        "s", guest->far->life, "from", "s", g_get_host_name(), "side", "s",
        mose_side_name(options->side), "downtime-ms", "i",
        (gint64)options->max_downtime_ms, "bytes-per-second", "i",
        (gint64)options->bytes_per_second, "overcommit", "b", options->overcommit,
        "far", "o", mose_far_to_json(guest->far), NULL);

    if (options->tcp.address) {
        json_object_set_int_member(request, "channels", options->channels);
        json_object_set_string_member(request, "tcp", options->tcp.address);
        json_object_set_int_member(request, "compress", options->tcp.compress_level);
        if (options->tcp.tls_dir)
            json_object_set_string_member(request, "tls", options->tcp.tls_dir);
    }
    if (options->without_rule)
        json_object_set_string_member(request, "without-rule", options->without_rule);
    return request;
}

/* Why it was not given, as the other host tells it, which knows more. */
static void
explain(MoseFarEnd *end, JsonObject *message, GError **error)
{
    g_clear_error(error);
    g_set_error(
        error, MOSE_ERROR,
        CLAMP(mose_json_int(message, "code", 0), MOSE_ERROR_FAILED, MOSE_ERROR_AWAY),
        "%s: %s", end->label, mose_json_string(message, "failed", "no reason"));
}

/* One message of who gives: TRUE when all is over, *@ret_good tells how. */
static gboolean
follow(MoseGuest *guest, MoseFarEnd *end, const MoseFetchOptions *options,
       JsonObject **ret_report, MoseDoubt *ret_taken, GError **error)
{
    const MoseTakeOptions take = { guest, options->interrupt_fd, tell_progress,
                                   (gpointer)options };
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonObject) message = mose_far_end_next(
        end, *error ? LAST_WORD_MS : TAKE_REQUEST_MS,
        !*error && options->interrupt_fd > 0 ? options->interrupt_fd : -1, &cause);
    const char *word = message ? mose_json_string(message, "do", "") : "";

    if (!message) {
        if (!*error)
            g_propagate_error(error, g_steal_pointer(&cause));
        return TRUE;
    }
    if (json_object_has_member(message, "failed")) {
        explain(end, message, error);
        return TRUE;
    }
    if (json_object_has_member(message, "progress")) {
        tell_progress(mose_json_child(message, "progress"), (gpointer)options);
        return FALSE;
    }
    if (strcmp(word, "take") != 0)
        return !mose_far_end_answer(end, NULL, error);
    mose_take(end, message, &take, ret_taken, ret_report, error);
    /* The other one's own words are to come, unless it was us who wanted no more. */
    return *ret_taken != MOSE_DOUBT_NOT_TAKEN ||
           g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED);
}

/* A guest ends with the boot of its host. */
static gboolean
was_restarted(const MoseGuest *guest, const MoseFarEnd *end, GError **error)
{
    if (!guest->far->boot_id || g_strcmp0(guest->far->boot_id, end->boot_id) == 0)
        return FALSE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_ENDED,
                "%s has been started anew since guest %s went there, which has ended "
                "with that",
                end->label, guest->name);
    return TRUE;
}

gboolean
mose_fetch(MoseGuest *guest, MoseFarEnd *end, const MoseFetchOptions *options,
           JsonObject **ret_report, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MoseDoubt taken = MOSE_DOUBT_NOT_TAKEN;

    *ret_report = NULL;
    if (was_restarted(guest, end, error))
        return FALSE;
    mose_far_renew(guest->far);
    if (!mose_guest_save(guest, error) ||
        !mose_words_send(end->words, give_request(guest, options), error))
        return FALSE;
    while (!follow(guest, end, options, ret_report, &taken, &cause))
        ;
    /* It may wait for our word; that the guest was not taken is told by the guardians,
     * until it has heard (take.c). */
    if (!*ret_report && taken == MOSE_DOUBT_TAKEN)
        mose_doubt_tell(guest, taken, NULL);
    if (!cause)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

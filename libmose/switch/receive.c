/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of another host, served; see receive.h. */
#include "switch/receive.h"

#include <string.h>

#include "guest/disks.h"
#include "guest/journal.h"
#include "switch/doubt.h"
#include "switch/recover.h"
#include "switch/start.h"
#include "switch/take.h"
#include "util/error.h"
#include "util/json.h"

/* For the last word of one who has given up. */
#define LAST_WORD_MS 20000
#define TAKE_REQUEST_MS 60000

/* --- served for the other host --- */

static gboolean
serve_hello(MoseFarEnd *end, JsonObject *request, GError **error)
{
    return mose_far_end_answer(end, mose_far_end_self(), error);
}

static gboolean
serve_outcome(MoseFarEnd *end, JsonObject *request, GError **error)
{
    static const char *const words[] = { "unknown", "yes", "no" };
    g_autoptr(GError) cause = NULL;
    MoseDoubt doubt = mose_doubt_answer(mose_json_string(request, "name", ""),
                                        mose_json_string(request, "id", ""), &cause);

    return mose_far_end_answer(end, mose_json_object("taken", "s", words[doubt], NULL),
                               error);
}

/* What the journal has in doubt is known now. */
static gboolean
settle_told(const char *name, const char *id, gboolean taken, GError **error)
{
    g_autoptr(MoseGuest) guest = mose_guest_seize(name, error);
    MoseRecovered recovered;
    MoseJournalEntry entry;

    if (!guest)
        return g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    if (mose_journal_read(guest->dir, &entry, NULL) &&
        entry.phase == MOSE_PHASE_DOUBT && guest->far &&
        strcmp(guest->far->id, id) == 0) {
        entry.phase = taken ? MOSE_PHASE_COMMIT : MOSE_PHASE_MOVE;
        if (!mose_journal_rewrite(guest->dir, &entry, error))
            return FALSE;
    }
    return mose_recover(guest, &recovered, error) ||
           g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

static gboolean
serve_told(MoseFarEnd *end, JsonObject *request, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (settle_told(mose_json_string(request, "name", ""),
                    mose_json_string(request, "id", ""),
                    mose_json_bool(request, "taken", FALSE), &cause))
        return mose_far_end_answer(end, NULL, error);
    return mose_far_end_refuse(end, cause, error);
}

static gboolean
serve_stop(MoseFarEnd *end, JsonObject *request, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MoseRecovered recovered;
    g_autoptr(MoseGuest) guest =
        mose_guest_open(mose_json_string(request, "name", ""), MOSE_GUEST_LOCK, &cause);

    if (guest && mose_recover(guest, &recovered, &cause) &&
        mose_disks_may_end(guest, &cause) && mose_stop(guest, &cause))
        return mose_far_end_answer(end, NULL, error);
    return mose_far_end_refuse(end, cause, error);
}

static gboolean
serve_take(MoseFarEnd *end, JsonObject *request, GError **error)
{
    const MoseTakeOptions options = { 0 };
    g_autoptr(JsonObject) report = NULL;

    /* What went wrong was answered. */
    mose_take(end, request, &options, &report, NULL);
    return TRUE;
}

/* --- giving --- */

static void
send_progress(const MoseSwitchProgress *p, gpointer data)
{
    MoseFarEnd *end = data;

    /* While the guest stands still nobody waits for this. */
    if (strcmp(p->phase, "commit") != 0)
        mose_words_send(
            end->words,
            mose_json_object(
                "progress", "o",
                mose_json_object(
                    "phase", "s", p->phase, "sent", "i", (gint64)p->sent, "left", "i",
                    (gint64)p->left, "total", "i", (gint64)p->total, "mbps", "i",
                    (gint64)p->megabytes_per_second, "rounds", "i", (gint64)p->rounds,
                    "throttle", "i", (gint64)p->throttle, "downtime", "i",
                    (gint64)p->downtime_ms, NULL),
                NULL),
            NULL);
}

/* "HERE=THERE" of the other host is "THERE=HERE" of ours. */
static char **
swapped_maps(JsonObject *request)
{
    g_autoptr(MoseFar) theirs = mose_far_from_json(mose_json_child(request, "far"));
    g_autoptr(GStrvBuilder) maps = g_strv_builder_new();

    for (char **map = theirs ? theirs->maps : NULL; map && *map; map++) {
        const char *there = strstr(*map, "=/");
        g_autofree char *swapped =
            there ? g_strdup_printf("%s=%.*s", there + 1, (int)(there - *map), *map)
                  : NULL;

        if (swapped)
            g_strv_builder_add(maps, swapped);
    }
    return g_strv_builder_end(maps);
}

static gboolean
give(MoseFarEnd *end, JsonObject *request, GError **error)
{
    g_autoptr(MoseFar) far = mose_far_new(NULL);
    const char *without = mose_json_string(request, "without-rule", NULL);
    MoseSwitchOptions options = {
        .max_downtime_ms = mose_json_int(request, "downtime-ms", 0),
        .overcommit = mose_json_bool(request, "overcommit", FALSE),
        .far = end,
        .far_record = far,
        .bytes_per_second = mose_json_int(request, "bytes-per-second", 0),
        .without_rule = without,
        .progress = send_progress,
        .data = end,
    };
    g_autoptr(MoseGuest) guest =
        mose_guest_open(mose_json_string(request, "name", ""), MOSE_GUEST_LOCK, error);
    MoseSwitchReport report = { 0 };
    MoseRecovered recovered;
    gboolean good;

    if (!guest || !mose_recover(guest, &recovered, error))
        return FALSE;
    if (!mose_side_from_name(mose_json_string(request, "side", NULL), &options.side)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "it asks for no side");
        return FALSE;
    }
    g_free(far->id);
    far->id = g_strdup(mose_json_string(request, "id", "none"));
    far->name = g_strdup(mose_json_string(request, "from", NULL));
    far->maps = swapped_maps(request);
    good = mose_switch(guest, &options, &report, error);
    mose_switch_report_clear(&report);
    return good;
}

static gboolean
serve_give(MoseFarEnd *end, JsonObject *request, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (give(end, request, &cause))
        return TRUE;
    return mose_words_send(end->words,
                           mose_json_object("failed", "s", cause->message, "code", "i",
                                            (gint64)cause->code, NULL),
                           error);
}

static gboolean
serve(MoseFarEnd *end, JsonObject *request, GError **error)
{
    static const struct {
        const char *name;
        gboolean (*serve)(MoseFarEnd *end, JsonObject *request, GError **error);
    } requests[] = {
        { "hello", serve_hello },     { "take", serve_take }, { "give", serve_give },
        { "outcome", serve_outcome }, { "told", serve_told }, { "stop", serve_stop },
    };
    const char *name = mose_json_string(request, "do", "");
    g_autoptr(GError) cause = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++)
        if (strcmp(requests[i].name, name) == 0)
            return requests[i].serve(end, request, error);
    cause = g_error_new(MOSE_ERROR, MOSE_ERROR_INVALID, "no request '%s' here", name);
    return mose_far_end_refuse(end, cause, error);
}

gboolean
mose_receive(MoseLink *link, GError **error)
{
    g_autoptr(MoseFarEnd) end = mose_far_end_new(link);

    for (;;) {
        g_autoptr(GError) cause = NULL;
        g_autoptr(JsonObject) request = mose_words_receive(end->words, -1, -1, &cause);

        if (request && serve(end, request, &cause))
            continue;
        if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_CLOSED))
            return TRUE;
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
}

/* --- fetching --- */

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
        "do", "s", "give", "name", "s", guest->name, "id", "s", guest->far->id, "from",
        "s", g_get_host_name(), "side", "s", mose_side_name(options->side),
        "downtime-ms", "i", (gint64)options->max_downtime_ms, "bytes-per-second", "i",
        (gint64)options->bytes_per_second, "overcommit", "b", options->overcommit,
        "far", "o", mose_far_to_json(guest->far), NULL);

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
       JsonObject **ret_report, gboolean *ret_good, GError **error)
{
    const MoseTakeOptions take = { guest, options->interrupt_fd, tell_progress,
                                   (gpointer)options };
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonObject) message = mose_words_receive(
        end->words, *error ? LAST_WORD_MS : TAKE_REQUEST_MS,
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
    *ret_good = mose_take(end, message, &take, ret_report, error);
    /* The other one's own words are to come, unless it was us who wanted no more. */
    return *ret_good || g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED);
}

gboolean
mose_fetch(MoseGuest *guest, MoseFarEnd *end, const MoseFetchOptions *options,
           JsonObject **ret_report, GError **error)
{
    g_autoptr(GError) cause = NULL;
    gboolean good = FALSE;

    *ret_report = NULL;
    mose_far_renew(guest->far);
    if (!mose_guest_save(guest, error) ||
        !mose_words_send(end->words, give_request(guest, options), error))
        return FALSE;
    while (!follow(guest, end, options, ret_report, &good, &cause))
        ;
    /* It may wait for our word. */
    if (!*ret_report && !mose_link_is_up(end->link))
        mose_doubt_tell(guest, good);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}

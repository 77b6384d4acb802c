/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of another host, served; see receive.h. */
#include "switch/receive.h"

#include <string.h>

#include "guest/journal.h"
#include "guest/seize.h"
#include "guest/taken.h"
#include "switch/doubt.h"
#include "switch/recover.h"
#include "switch/stop.h"
#include "switch/switch.h"
#include "switch/take.h"
#include "switch/tether.h"
#include "util/error.h"
#include "util/json.h"

/* The guest that @request is about, locked. One that has only its name, and not its
 * life, is another one. */
static MoseGuest *
open_guest(JsonObject *request, GError **error)
{
    const char *name = mose_json_string(request, "name", "");
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOCK, error);
    MoseRecovered recovered;

    if (!guest || !mose_recover(guest, &recovered, error))
        return NULL;
    if (guest->far &&
        strcmp(guest->far->life, mose_json_string(request, "life", "")) == 0)
        return g_steal_pointer(&guest);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "guest %s here is another one, which has only the same name", name);
    return NULL;
}

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
    g_autoptr(MoseGuest) guest = open_guest(request, &cause);
    MoseOverlaysAtEnd overlays =
        mose_json_bool(request, "discard", FALSE) ? MOSE_OVERLAYS_DISCARD
        : mose_json_bool(request, "keep", FALSE)  ? MOSE_OVERLAYS_KEEP
                                                  : MOSE_OVERLAYS_REFUSE;

    if (guest && mose_stop_wherever(guest, overlays, FALSE, &cause))
        return mose_far_end_answer(end, NULL, error);
    return mose_far_end_refuse(end, cause, error);
}

static gboolean
serve_take(MoseFarEnd *end, JsonObject *request, GError **error)
{
    const MoseTakeOptions options = { 0 };
    g_autoptr(JsonObject) report = NULL;
    MoseDoubt taken;

    /* What went wrong was answered. */
    mose_take(end, request, &options, &taken, &report, NULL);
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
        .channels = CLAMP(mose_json_int(request, "channels", 0), 0, MOSE_MAX_CHANNELS),
        .tcp = { mose_json_string(request, "tcp", NULL),
                 mose_json_string(request, "tls", NULL),
                 (guint)mose_json_int(request, "compress", 0) },
        .progress = send_progress,
        .data = end,
    };
    g_autoptr(MoseGuest) guest = open_guest(request, error);
    MoseSwitchReport report = { 0 };
    gboolean good;

    if (!guest || !mose_taken_check(mose_json_string(request, "id", NULL), error))
        return FALSE;
    if (!mose_side_from_name(mose_json_string(request, "side", NULL), &options.side)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "it asks for no side");
        return FALSE;
    }
    g_free(far->id);
    far->id = g_strdup(mose_json_string(request, "id", NULL));
    far->name = g_strdup(mose_json_string(request, "from", NULL));
    far->maps = swapped_maps(request);
    far->home_disks = guest->far->home_disks;
    far->home_net = guest->far->home_net;
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
        { "hello", serve_hello },         { "take", serve_take },
        { "give", serve_give },           { "outcome", serve_outcome },
        { "told", serve_told },           { "stop", serve_stop },
        { "tie", mose_tether_serve_tie }, { "wake", mose_tether_serve_wake },
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
        g_autoptr(JsonObject) request = mose_far_end_next(end, -1, -1, &cause);

        if (request && serve(end, request, &cause))
            continue;
        if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_CLOSED))
            return TRUE;
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of taking a guest, from the request (take-request.c) to the commit
 * (take-commit.c); see take.h. */
#include <string.h>

#include "guest/disks.h"
#include "guest/taken.h"
#include "link/ssh.h"
#include "qemu/ram.h"
#include "switch/home-disks.h"
#include "switch/home-net.h"
#include "switch/switch.h"
#include "switch/take-private.h"
#include "switch/tether.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* A copy lasts as long as it lasts; its own driver notices when it hangs. */
#define REPORT_MS 10000
/* For how long a guest's disks are tried to be given back, and between two tries. */
#define GIVE_US (3 * G_USEC_PER_SEC)
#define GIVE_WAIT_US 50000

static gboolean
begin(MoseTake *take, JsonObject *request, GError **error)
{
    const char *name = mose_json_string(request, "name", "");
    MoseJournalEntry entry = { .phase = MOSE_PHASE_TAKE,
                               .role = MOSE_ROLE_TAKER,
                               .was_running = TRUE };

    take->guest =
        take->options->home ? take->options->home : mose_guest_create(name, error);
    if (!take->guest || !mose_take_read(take, request, error))
        return FALSE;
    entry.generation = take->generation;
    entry.side = take->side;
    take->guardian = mose_guardian_start(take->guest, error);
    if (!take->guardian)
        return FALSE;
    take->journal = mose_journal_begin(take->guest->dir, &entry, error);
    return take->journal && mose_guest_save(take->guest, error);
}

static gboolean
start_qemu(MoseTake *take, JsonObject *request, GError **error)
{
    const MoseSpec *spec = take->guest->spec;
    gboolean overcommit = mose_json_bool(request, "overcommit", FALSE);
    g_auto(MoseFd) memory = MOSE_FD_NONE;
    g_autofree char *monitor =
        mose_guest_monitor(take->guest, MOSE_MONITOR_QUERY, take->generation);
    MoseLaunchFor what = {
        .side = take->side,
        .generation = take->generation,
        .ram_fd = MOSE_FD_NONE,
        .interrupt_fd = take->options->interrupt_fd,
        .ioapic_as_is = mose_json_bool(request, "ioapic-as-is", FALSE),
        .incoming = TRUE,
    };

    if (take->guest->far->home_net)
        what.open_tap = take->guest == take->options->home ? mose_home_net_take
                                                           : mose_home_net_make;
    if (spec->ram_private && !overcommit && !mose_ram_has_room(spec->ram_size, error))
        return FALSE;
    if (!spec->ram_private) {
        memory = mose_ram_create(spec->name, spec->ram_size, overcommit, error);
        if (memory < 0)
            return FALSE;
        what.ram_fd = memory;
    }
    take->launch = mose_launch(take->guest, &what, error);
    return take->launch &&
           (take->guest == take->options->home ||
            mose_tether_offer(take->guest, take->end->link, error)) &&
           mose_link_offer(take->end->link, MOSE_SERVICE_MONITOR, monitor, error);
}

/* --- steps --- */

/* Where to listen: as it is told, or as the other host has reached us, or, who has
 * reached the other one and cannot know, everywhere. */
static char *
tcp_address(MoseTake *take, const char *wanted, GError **error)
{
    char *self;

    if (strcmp(wanted, MOSE_TCP_AUTO) != 0)
        return g_strdup(wanted);
    self = take->options->home ? g_strdup("") : mose_ssh_self();
    if (!self)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the address of this host is not known here; say --tcp ADDRESS");
    return self;
}

/* The devices come through the link, the memory over TCP, both to where QEMU listens.
 */
static gboolean
stream_by_tcp(MoseTake *take, JsonObject *request, GError **error)
{
    const char *dir = mose_json_string(request, "tls", NULL);
    g_autofree char *path =
        mose_launch_channel(take->guest, MOSE_CHANNEL_INCOMING, take->generation);
    g_autofree char *uri = g_strconcat("unix:", path, NULL);
    g_autofree char *token = mose_tcp_token();
    g_autofree char *address =
        tcp_address(take, mose_json_string(request, "tcp", ""), error);
    g_autoptr(MoseTls) tls = NULL;
    guint16 port;

    if (!address || (dir && !(tls = mose_tls_new(dir, TRUE, error))) ||
        !mose_qmp_run(take->launch->qmp, "migrate-incoming",
                      mose_json_object("uri", "s", uri, NULL), error) ||
        !mose_link_offer(take->end->link, MOSE_SERVICE_STREAM, path, error))
        return FALSE;
    take->tcp = mose_tcp_relay_accept(*address ? address : NULL, token, path, tls,
                                      &port, error);
    return take->tcp && mose_far_end_answer(take->end,
                                            mose_json_object("address", "s", address,
                                                             "port", "i", (gint64)port,
                                                             "token", "s", token, NULL),
                                            error);
}

static gboolean
stream_by_link(MoseTake *take, GError **error)
{
    g_auto(MoseFd) stream = mose_link_take_channel(take->end->link, MOSE_LINK_STREAM);

    if (stream < 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the link's stream has been used");
        return FALSE;
    }
    /* A descriptor is known to the monitor alone that it came by. */
    return mose_qmp_send_fd(take->launch->qmp, "mose", stream, error) &&
           mose_qmp_run(take->launch->qmp, "migrate-incoming",
                        mose_json_object("uri", "s", "fd:mose", NULL), error) &&
           mose_far_end_answer(take->end, NULL, error);
}

static gboolean
do_stream(MoseTake *take, JsonObject *request, GError **error)
{
    return json_object_has_member(request, "tcp") ? stream_by_tcp(take, request, error)
                                                  : stream_by_link(take, error);
}

static gboolean
do_overlay(MoseTake *take, JsonObject *request, GError **error)
{
    return mose_disks_overlay(take->guest, take->generation, take->launch->qmp,
                              mose_json_string(request, "dir", NULL), error) &&
           mose_far_end_answer(take->end, NULL, error);
}

static gboolean
do_clock(MoseTake *take, JsonObject *request, GError **error)
{
    gint64 us = g_get_monotonic_time();
    MoseTscSample now = mose_tsc_sample();

    return mose_far_end_answer(
        take->end,
        mose_json_object("us", "i", us, "tsc-khz", "i",
                         (gint64)mose_tsc_khz(&take->begun, &now), NULL),
        error);
}

static gboolean
do_images(MoseTake *take, JsonObject *request, GError **error)
{
    gboolean seen = FALSE;

    return mose_take_see_locks(request, &seen, error) &&
           mose_far_end_answer(take->end,
                               mose_json_object("locks-seen", "b", seen, NULL), error);
}

static gboolean
do_said(MoseTake *take, JsonObject *request, GError **error)
{
    g_autofree char *said = NULL;

    mose_process_wait(take->launch->process, 200);
    said = mose_log_said(take->launch->log);
    if (!*said && take->tcp) {
        g_free(said);
        said = mose_tcp_relay_trouble(take->tcp);
    }
    return mose_far_end_answer(
        take->end, mose_json_object("said", "s", said ? said : "", NULL), error);
}

static gboolean
do_ready(MoseTake *take, JsonObject *request, GError **error)
{
    g_autoptr(JsonObject) status =
        mose_qmp_query(take->launch->qmp, "query-status", NULL, error);

    if (!status)
        return FALSE;
    if (mose_json_bool(status, "running", FALSE)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "somebody else has let the guest run here before it was given");
        return FALSE;
    }
    take->ready_us = mose_boottime_us();
    return mose_far_end_answer(take->end, NULL, error);
}

static gboolean
do_commit(MoseTake *take, JsonObject *request, GError **error)
{
    gint64 resume_us = 0;

    if (!take->ready_us || mose_boottime_us() - take->ready_us > MOSE_LEASE_MS * 1000) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                    "the word to commit came too late");
        return FALSE;
    }
    if (!mose_take_commit(take, request, &resume_us, error))
        return FALSE;
    /* Who does not hear this asks again. */
    mose_far_end_answer(take->end, mose_json_object("running-us", "i", resume_us, NULL),
                        NULL);
    return TRUE;
}

static gboolean
do_abort(MoseTake *take, JsonObject *request, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "%s",
                mose_json_string(request, "reason", "the other host gave it up"));
    return FALSE;
}

static gboolean
do_step(MoseTake *take, JsonObject *request, GError **error)
{
    static const struct {
        const char *name;
        gboolean (*step)(MoseTake *take, JsonObject *request, GError **error);
    } steps[] = {
        { "stream", do_stream }, { "overlay", do_overlay }, { "clock", do_clock },
        { "said", do_said },     { "ready", do_ready },     { "commit", do_commit },
        { "abort", do_abort },   { "images", do_images },
    };
    const char *name = mose_json_string(request, "do", "");

    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++)
        if (strcmp(steps[i].name, name) == 0)
            return steps[i].step(take, request, error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "no step '%s' here", name);
    return FALSE;
}

/* Progress of the one who sends, which is no request. */
static gboolean
is_progress(MoseTake *take, JsonObject *message)
{
    if (!json_object_has_member(message, "progress"))
        return FALSE;
    if (take->options->progress)
        take->options->progress(mose_json_child(message, "progress"),
                                take->options->data);
    return TRUE;
}

static JsonObject *
next_request(MoseTake *take, GError **error)
{
    int wake = take->options->interrupt_fd > 0 ? take->options->interrupt_fd : -1;

    for (;;) {
        int limit = take->ready_us ? MOSE_LEASE_MS : -1;
        JsonObject *message = mose_far_end_next(take->end, limit, wake, error);

        if (!message || !is_progress(take, message))
            return message;
        json_object_unref(message);
    }
}

static gboolean
until_commit(MoseTake *take, JsonObject *request, GError **error)
{
    gboolean seen = FALSE;

    if (!begin(take, request, error) || !mose_take_see_locks(request, &seen, error) ||
        !start_qemu(take, request, error) ||
        !mose_far_end_answer(take->end, mose_json_object("locks-seen", "b", seen, NULL),
                             error))
        return FALSE;
    while (!take->committed) {
        g_autoptr(JsonObject) step = next_request(take, error);

        if (!step || !do_step(take, step, error))
            return FALSE;
    }
    return TRUE;
}

/* Its disks are the other host's again, before that is told to go on. Whoever has
 * looked at an image lets go of it soon. */
static gboolean
give_disks(const MoseGuest *guest)
{
    gint64 deadline = g_get_monotonic_time() + GIVE_US;

    while (guest->far->home_disks && !mose_home_disks_give(guest, NULL)) {
        if (g_get_monotonic_time() > deadline)
            return FALSE;
        g_usleep(GIVE_WAIT_US);
    }
    return TRUE;
}

/* FALSE: the guardians have to see to it that it goes on there. */
static gboolean
untake_home(MoseTake *take)
{
    if (!give_disks(take->guest))
        return FALSE;
    mose_guest_reload(take->guest, NULL);
    mose_guest_save(take->guest, NULL);
    return TRUE;
}

/* Nothing of it was ever here. FALSE: that is not to be told, yet. */
static gboolean
untake(MoseTake *take)
{
    gboolean is_home = take->guest && take->guest == take->options->home;

    if (take->launch)
        mose_launch_abort(take->guest, take->launch);
    if (is_home && !untake_home(take)) {
        take->uncertain = TRUE;
        return FALSE;
    }
    /* Once all was ready the other host may be in doubt, and cannot ask: what it is
     * told now may not arrive, or too late. The guardians tell it until it has heard.
     */
    if (is_home && take->ready_us)
        take->uncertain = TRUE;
    else if (take->journal)
        mose_journal_end(take->guest->dir, NULL);
    if (take->guest && !is_home)
        mose_guest_remove(take->guest, NULL);
    return TRUE;
}

static void
take_clear(MoseTake *take)
{
    if (take->uncertain)
        mose_guardian_leave(take->guardian);
    else
        mose_guardian_stop(take->guardian);
    mose_journal_free(take->journal);
    mose_launch_free(take->launch);
    mose_tcp_relay_free(take->tcp);
    if (take->guest != take->options->home)
        mose_guest_free(take->guest);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MoseTake, take_clear)

/* What the other host tells of it, once it has seen that the guest runs here. */
static JsonObject *
receive_report(MoseTake *take)
{
    for (;;) {
        g_autoptr(JsonObject) message =
            mose_words_receive(take->end->words, REPORT_MS, -1, NULL);
        JsonObject *report = message ? mose_json_child(message, "report") : NULL;

        if (message && is_progress(take, message))
            continue;
        /* It knows, and will not ask. */
        if (report)
            mose_taken_forget(take->guest->far->id, NULL);
        return report ? json_object_ref(report) : NULL;
    }
}

static void
note(MoseTake *take, JsonObject *report)
{
    mose_guest_note(
        take->guest, take->side == MOSE_SIDE_EMULATOR ? "emulate" : "virtualize",
        report ? json_object_ref(report)
               : mose_json_object("side", "s", mose_side_name(take->side), NULL));
    mose_guest_save(take->guest, NULL);
}

gboolean
mose_take(MoseFarEnd *end, JsonObject *request, const MoseTakeOptions *options,
          MoseDoubt *ret_taken, JsonObject **ret_report, GError **error)
{
    g_auto(MoseTake)
        take = { .end = end, .options = options, .begun = mose_tsc_sample() };
    g_autoptr(GError) cause = NULL;
    gboolean good;

    *ret_report = NULL;
    if (!until_commit(&take, request, &cause)) {
        /* A refusal is final: where it is not certain that the guest has not run, none
         * is given, and the other host asks again. */
        if (!take.uncertain && untake(&take))
            mose_far_end_refuse(end, cause, NULL);
        *ret_taken = take.uncertain ? MOSE_DOUBT_UNKNOWN : MOSE_DOUBT_NOT_TAKEN;
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    *ret_taken = MOSE_DOUBT_TAKEN;
    good = mose_take_settle(&take, error);
    *ret_report = receive_report(&take);
    note(&take, *ret_report);
    return good;
}

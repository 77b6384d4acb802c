/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A switch whose destination is on another host: what its steps are here, where the
 * source is. What they are there is in take.c.
 *
 * The commit is one bit that two hosts have to agree on. The journal says "doubt"
 * before the other host is told "commit"; from then on the source is not let run, nor
 * ended, until it is known which way that went (doubt.h).
 */
#include <string.h>

#include "guest/disks.h"
#include "link/ssh.h"
#include "switch/doubt.h"
#include "switch/home-disks.h"
#include "switch/image-locks.h"
#include "switch/image-stamps.h"
#include "switch/move.h"
#include "switch/tether.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* To start a QEMU, and check a KVM, on a busy host. */
#define TAKE_MS 60000
#define STEP_MS 10000
/* The guest stands still meanwhile. */
#define READY_MS 3000
#define COMMIT_MS 15000
#define SAID_MS 1000
#define ABORT_MS 3000
#define MONITOR_MS 10000

static int
wake_fd(const MoseMove *move)
{
    return move->options->interrupt_fd > 0 ? move->options->interrupt_fd : -1;
}

/* The description with its paths as they are spelled over there. */
static JsonObject *
mapped_spec(const MoseGuest *guest, GError **error)
{
    g_autoptr(JsonObject) object = mose_spec_to_json(guest->spec);
    g_autoptr(MoseSpec) spec = mose_spec_from_json(object, error);
    char **maps = guest->far->maps;

    if (!spec)
        return NULL;
    if (maps && *maps) {
        char *cwd = mose_far_map(spec->cwd, maps, FALSE);

        g_free(spec->cwd);
        spec->cwd = cwd;
        for (guint i = 0; i < spec->options->len; i++) {
            MoseOption *option = spec->options->pdata[i];
            char *value =
                option->value ? mose_far_map(option->value, maps, FALSE) : NULL;

            g_free(option->value);
            option->value = value;
        }
    }
    return mose_spec_to_json(spec);
}

/* The images that it has to see as locked by us. */
static JsonArray *
locked_images(MoseMove *move)
{
    const GPtrArray *paths = move->images;
    JsonArray *array = json_array_new();

    for (guint i = 0; i < paths->len && !move->exports; i++) {
        g_autofree char *path =
            mose_far_map(paths->pdata[i], move->guest->far->maps, FALSE);

        json_array_add_string_element(array, path);
    }
    return array;
}

/* Its disks stay here. */
static gboolean
export_disks(MoseMove *move, GError **error)
{
    if (move->options->disks != MOSE_DISKS_HOME)
        return TRUE;
    move->exports = mose_home_disks_offer(move->guest, move->source_qmp, move->source,
                                          move->far->link, error);
    return move->exports != NULL;
}

static JsonObject *
take_request(MoseMove *move, GError **error)
{
    const MoseGuest *guest = move->guest;
    JsonObject *spec = mapped_spec(guest, error);
    gboolean as_is =
        mose_rule_is_left_out(MOSE_RULE_IOAPIC_VERSION, move->options->without_rule);

    JsonObject *request;

    if (!spec)
        return NULL;
    request = mose_json_object(
        "do", "s", "take", "name", "s", guest->name, "id", "s", guest->far->id, "life",
        "s", guest->far->life, "from", "s", g_get_host_name(), "spec", "o", spec,
        "machine-type", "s", guest->machine_type, "side", "s",
        mose_side_name(move->options->side), "generation", "i",
        (gint64)guest->generations, "timeline", "a", json_array_ref(guest->timeline),
        "overcommit", "b", move->options->overcommit, "ioapic-as-is", "b", as_is,
        "locked", "a", locked_images(move), NULL);
    json_object_set_boolean_member(request, "home-net", move->options->home_net);
    if (move->exports)
        json_object_set_array_member(request, "home-disks",
                                     mose_exports_to_json(move->exports->disks));
    return request;
}

/* The destination has no process here, only a monitor. */
static MoseLaunch *
reach_monitor(MoseMove *move, GError **error)
{
    g_auto(MoseFd) fd = mose_link_connect(move->far->link, MOSE_SERVICE_MONITOR, error);
    g_autofree char *name = g_strdup_printf("QEMU's monitor on %s", move->far->label);
    g_autoptr(MoseLaunch) launch = g_new0(MoseLaunch, 1);

    if (fd < 0)
        return NULL;
    launch->side = move->options->side;
    launch->generation = move->guest->generations;
    launch->qmp = mose_qmp_new(mose_fd_steal(&fd), name, MONITOR_MS, error);
    return launch->qmp ? g_steal_pointer(&launch) : NULL;
}

/* Overlays are not what the guest goes on with: see mose_move_far_images(). */
static GPtrArray *
written_images(const MoseMove *move)
{
    const MoseGuest *guest = move->guest;
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, guest->generation, NULL);

    return overlays && overlays->len > 0 ? g_ptr_array_new_with_free_func(g_free)
                                         : mose_image_locks_written(move->source);
}

gboolean
mose_move_far_launch(MoseMove *move, GError **error)
{
    g_autoptr(JsonObject) answer = NULL;
    JsonObject *request;

    move->images = written_images(move);
    if (!export_disks(move, error) || !(request = take_request(move, error)))
        return FALSE;
    answer = mose_far_end_call(move->far, request, TAKE_MS, wake_fd(move), error);
    if (!answer)
        return FALSE;
    move->guest->far->locks_seen = mose_json_bool(answer, "locks-seen", FALSE);
    if (!mose_guest_save(move->guest, error))
        return FALSE;
    move->destination = reach_monitor(move, error);
    move->launched_us = g_get_monotonic_time();
    if (!move->destination ||
        !mose_far_end_clock(move->far, &move->far_clock_us, &move->far_tsc_khz, error))
        return FALSE;
    mose_move_limit(move, move->destination->qmp, MOSE_MOVE_QMP_TIMEOUT_MS);
    return TRUE;
}

gboolean
mose_move_far_images(MoseMove *move, GError **error)
{
    g_autoptr(JsonObject) answer = NULL;

    g_ptr_array_unref(move->images);
    move->images = mose_image_locks_written(move->source);
    answer = mose_far_end_call(
        move->far,
        mose_json_object("do", "s", "images", "locked", "a", locked_images(move), NULL),
        STEP_MS, -1, error);
    if (!answer)
        return FALSE;
    move->guest->far->locks_seen = mose_json_bool(answer, "locks-seen", FALSE);
    return mose_guest_save(move->guest, error);
}

int
mose_move_far_stream(MoseMove *move, GError **error)
{
    if (!mose_far_end_tell(move->far, mose_json_object("do", "s", "stream", NULL),
                           STEP_MS, -1, error))
        return MOSE_FD_NONE;
    return mose_link_take_channel(move->far->link, MOSE_LINK_STREAM);
}

/* Where the other host's relay is: where it says, or where we were reached from. */
static char *
tcp_address(JsonObject *answer, GError **error)
{
    const char *told = mose_json_string(answer, "address", "");
    char *reached = *told ? g_strdup(told) : mose_ssh_peer();

    if (!reached)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the other host's address is not known; say --tcp ADDRESS");
    return reached;
}

gboolean
mose_move_far_tcp(MoseMove *move, const char *path, GError **error)
{
    const MoseTcpOptions *tcp = &move->options->tcp;
    JsonObject *request =
        mose_json_object("do", "s", "stream", "tcp", "s", tcp->address, NULL);
    g_autoptr(MoseTls) tls = NULL;
    g_autoptr(JsonObject) answer = NULL;
    g_autofree char *address = NULL;
    const char *token;
    gint64 port;

    if (tcp->tls_dir)
        json_object_set_string_member(request, "tls", tcp->tls_dir);
    answer = mose_far_end_call(move->far, request, STEP_MS, -1, error);
    if (!answer || !(address = tcp_address(answer, error)) ||
        (tcp->tls_dir && !(tls = mose_tls_new(tcp->tls_dir, FALSE, error))))
        return FALSE;
    token = mose_json_string(answer, "token", "");
    port = mose_json_int(answer, "port", 0);
    if (strlen(token) != MOSE_TCP_TOKEN || port < 1 || port > G_MAXUINT16) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s: its MOSE does not know --tcp", move->far->label);
        return FALSE;
    }
    move->tcp = mose_tcp_relay_connect(path, address, (guint16)port, token, tls, error);
    return move->tcp != NULL;
}

gboolean
mose_move_far_overlay(MoseMove *move, GError **error)
{
    JsonObject *request = mose_json_object("do", "s", "overlay", NULL);

    if (move->options->overlay_dir)
        json_object_set_string_member(request, "dir", move->options->overlay_dir);
    return mose_far_end_tell(move->far, request, STEP_MS, -1, error);
}

char *
mose_move_far_said(MoseMove *move)
{
    g_autoptr(JsonObject) answer = mose_far_end_call(
        move->far, mose_json_object("do", "s", "said", NULL), SAID_MS, -1, NULL);

    return g_strdup(answer ? mose_json_string(answer, "said", "") : "");
}

static JsonObject *
commit_request(const MoseMove *move)
{
    gint64 due_us = move->due_us ? move->due_us + move->far_clock_us : 0;
    JsonObject *request =
        mose_json_object("do", "s", "commit", "was-running", "b", move->was_running,
                         "due-us", "i", due_us, NULL);

    if (mose_writes_count(move->writes) > 0)
        json_object_set_object_member(request, "writes",
                                      mose_writes_to_json(move->writes));
    return request;
}

/* It has not taken the guest, and never will: the source may run again. */
static gboolean
not_taken(MoseMove *move)
{
    move->uncertain = !mose_journal_advance(move->journal, MOSE_PHASE_MOVE, NULL);
    return FALSE;
}

/* No word came. Find out; who cannot leaves it to the guardians, who try longer. */
static gboolean
in_doubt(MoseMove *move, gint64 since_us, GError **error)
{
    g_autoptr(GError) cause = NULL;
    gboolean taken;

    if (mose_doubt_recover(move->guest, since_us, move->was_running, &taken, &cause)) {
        if (!taken)
            return not_taken(move);
        g_clear_error(error);
        return TRUE;
    }
    move->uncertain = TRUE;
    g_prefix_error(error,
                   "whether %s has the guest now is not known, and the guest is kept "
                   "still here until it is (%s): ",
                   move->far->label, cause->message);
    return FALSE;
}

static gboolean
tell_commit(MoseMove *move, GError **error)
{
    g_autoptr(GError) cause = NULL;
    gint64 since_us = mose_boottime_us();
    g_autoptr(JsonObject) answer =
        mose_far_end_call(move->far, commit_request(move), COMMIT_MS, -1, &cause);

    if (answer) {
        gint64 at = mose_json_int(answer, "running-us", 0);

        move->resume_us = at ? at - move->far_clock_us : 0;
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    /* Who is not certain does not answer. */
    return move->far->refused ? not_taken(move) : in_doubt(move, since_us, error);
}

/* How the images are that the source has let go of: should the other host not be heard
 * of again, they tell whether the guest ran there. */
static gboolean
note_images(MoseMove *move, GError **error)
{
    MoseFar *far = move->guest->far;
    g_autoptr(GError) cause = NULL;

    g_clear_pointer(&far->images, json_array_unref);
    if (far->locks_seen)
        far->images = mose_image_stamps(move->images, &cause);
    if (cause && !g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    return !far->images || mose_guest_save(move->guest, error);
}

gboolean
mose_move_far_commit(MoseMove *move, GError **error)
{
    if (!mose_move_stand_still(move, error) || !note_images(move, error) ||
        !mose_far_end_tell(move->far, mose_json_object("do", "s", "ready", NULL),
                           READY_MS, -1, error) ||
        (move->exports && !mose_exports_activate(move->exports, error)) ||
        mose_move_interrupted(move, error))
        return FALSE;
    if (move->own_state) {
        move->was_running = FALSE;
        move->run_state = g_steal_pointer(&move->own_state);
    }
    move->ready_us = g_get_monotonic_time();
    mose_journal_set_running(move->journal, move->was_running);
    if (!mose_journal_advance(move->journal, MOSE_PHASE_DOUBT, error) ||
        !tell_commit(move, error))
        return FALSE;
    /* A record that cannot be written leaves the doubt, which says the same when asked.
     */
    mose_journal_advance(move->journal, MOSE_PHASE_COMMIT, NULL);
    move->committed_us = g_get_monotonic_time();
    mose_process_kill(move->source);
    return TRUE;
}

gboolean
mose_move_far_settle(MoseMove *move, GError **error)
{
    MoseGuest *guest = move->guest;
    JsonArray *timeline = guest->timeline;
    JsonObject *report =
        mose_json_element(timeline, json_array_get_length(timeline) - 1);

    /* In this order: who took the guest forgets, when it hears this, that it did, and
     * could not tell any more whoever asks because nothing is recorded here. */
    if (!mose_doubt_give(guest, move->options->side, error))
        return FALSE;
    mose_words_send(move->far->words,
                    mose_json_object("do", "s", "done", "report", "o",
                                     json_object_ref(report), NULL),
                    NULL);
    return !mose_tether_is_needed(guest) ||
           mose_tether_start(guest, g_steal_pointer(&move->far),
                             mose_guardian_pid(move->guardian), error);
}

void
mose_move_far_abort(MoseMove *move)
{
    mose_far_end_tell(move->far,
                      mose_json_object("do", "s", "abort", "reason", "s",
                                       "the switch was undone", NULL),
                      ABORT_MS, -1, NULL);
}

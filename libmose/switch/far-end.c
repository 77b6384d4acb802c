/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests and answers between two hosts; see far-end.h. */
#include "switch/far-end.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "link/ssh.h"
#include "util/error.h"
#include "util/json.h"
#include "util/process.h"

#define PROTOCOL 1
#define HELLO_MS 20000
#define CLOCK_MS 5000
#define CLOCK_TRIES 5
/* For a link whose conversation is over to end as well. */
#define FATE_MS 1000

JsonObject *
mose_far_end_self(void)
{
    g_autofree char *boot_id = mose_boot_id();

    return mose_json_object("protocol", "i", (gint64)PROTOCOL, "host", "s",
                            g_get_host_name(), "boot-id", "s", boot_id, NULL);
}

MoseFarEnd *
mose_far_end_new(MoseLink *link)
{
    MoseFarEnd *end = g_new0(MoseFarEnd, 1);

    end->link = link;
    end->words = mose_words_new(mose_link_channel(link, MOSE_LINK_CONTROL));
    end->label = g_strdup("the other host");
    return end;
}

static void
release(MoseFarEnd *end)
{
    mose_words_free(end->words);
    g_free(end->label);
    g_free(end->boot_id);
    g_free(end);
}

void
mose_far_end_free(MoseFarEnd *end)
{
    if (!end)
        return;
    mose_link_free(end->link);
    release(end);
}

void
mose_far_end_leave(MoseFarEnd *end)
{
    mose_link_leave(end->link);
    release(end);
}

/* Whether @link is up, a moment after its conversation has ended: it may take as long
 * to end as well, and to hear what its transport has to say. */
static gboolean
outlives(const MoseLink *link, GError **error)
{
    struct pollfd fd = { mose_link_fd(link), POLLIN, 0 };

    while (poll(&fd, 1, FATE_MS) < 0 && errno == EINTR)
        ;
    return mose_link_check(link, error);
}

/* A conversation that has ended is explained by the link. */
static void
explain(MoseFarEnd *end, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (error && g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_CLOSED) &&
        !outlives(end->link, &why)) {
        g_clear_error(error);
        g_propagate_error(error, g_steal_pointer(&why));
    }
    g_prefix_error(error, "%s: ", end->label);
}

/* The answer to request number end->asked: others are to requests that were given up.
 */
static JsonObject *
await_answer(MoseFarEnd *end, int timeout_ms, int wake_fd, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + timeout_ms * G_GINT64_CONSTANT(1000);

    for (;;) {
        gint64 left = (deadline - g_get_monotonic_time()) / 1000;
        JsonObject *answer =
            mose_words_receive(end->words, (int)MAX(left, 0), wake_fd, error);

        if (!answer || mose_json_int(answer, "to", 0) == end->asked)
            return answer;
        json_object_unref(answer);
    }
}

JsonObject *
mose_far_end_call(MoseFarEnd *end, JsonObject *take, int timeout_ms, int wake_fd,
                  GError **error)
{
    g_autoptr(JsonObject) answer = NULL;

    end->refused = FALSE;
    json_object_set_int_member(take, "number", ++end->asked);
    if (mose_words_send(end->words, take, error))
        answer = await_answer(end, timeout_ms, wake_fd, error);
    if (!answer) {
        explain(end, error);
        return NULL;
    }
    if (!json_object_has_member(answer, "error"))
        return g_steal_pointer(&answer);
    end->refused = TRUE;
    g_set_error(
        error, MOSE_ERROR,
        CLAMP(mose_json_int(answer, "code", 0), MOSE_ERROR_FAILED, MOSE_ERROR_AWAY),
        "%s: %s", end->label, mose_json_string(answer, "error", "no reason"));
    return NULL;
}

gboolean
mose_far_end_tell(MoseFarEnd *end, JsonObject *take, int timeout_ms, int wake_fd,
                  GError **error)
{
    g_autoptr(JsonObject) answer =
        mose_far_end_call(end, take, timeout_ms, wake_fd, error);

    return answer != NULL;
}

JsonObject *
mose_far_end_next(MoseFarEnd *end, int timeout_ms, int wake_fd, GError **error)
{
    JsonObject *message = mose_words_receive(end->words, timeout_ms, wake_fd, error);

    if (!message)
        explain(end, error);
    else if (json_object_has_member(message, "number"))
        end->answering = mose_json_int(message, "number", 0);
    return message;
}

gboolean
mose_far_end_answer(MoseFarEnd *end, JsonObject *take, GError **error)
{
    JsonObject *answer = take ? take : json_object_new();

    json_object_set_int_member(answer, "to", end->answering);
    return mose_words_send(end->words, answer, error);
}

gboolean
mose_far_end_refuse(MoseFarEnd *end, const GError *cause, GError **error)
{
    gint64 code = cause->domain == MOSE_ERROR ? cause->code : MOSE_ERROR_FAILED;

    return mose_far_end_answer(
        end, mose_json_object("error", "s", cause->message, "code", "i", code, NULL),
        error);
}

static gboolean
say_hello(MoseFarEnd *end, int interrupt_fd, GError **error)
{
    JsonObject *request = mose_far_end_self();
    g_autoptr(JsonObject) answer = NULL;

    json_object_set_string_member(request, "do", "hello");
    answer = mose_far_end_call(end, request, HELLO_MS,
                               interrupt_fd > 0 ? interrupt_fd : -1, error);
    if (!answer)
        return FALSE;
    if (mose_json_int(answer, "protocol", 0) != PROTOCOL) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s: its MOSE speaks version %d of what this one speaks %d of; "
                    "bring both to the same version",
                    end->label, (int)mose_json_int(answer, "protocol", 0), PROTOCOL);
        return FALSE;
    }
    end->boot_id = g_strdup(mose_json_string(answer, "boot-id", NULL));
    return TRUE;
}

MoseFarEnd *
mose_far_end_open(const MoseFar *far, const MoseLinkOptions *options, int interrupt_fd,
                  GError **error)
{
    g_auto(GStrv) argv = mose_ssh_argv(far->host, far->rsh, far->command,
                                       options ? options->compress_level : 0, error);
    g_autoptr(MoseFarEnd) end = NULL;
    MoseLink *link;

    if (!argv)
        return NULL;
    link = mose_link_open((const char *const *)argv, options, interrupt_fd, error);
    if (!link) {
        g_prefix_error(error, "%s: ", far->host);
        return NULL;
    }
    end = mose_far_end_new(link);
    g_free(end->label);
    end->label = g_strdup(far->host);
    return say_hello(end, interrupt_fd, error) ? g_steal_pointer(&end) : NULL;
}

gboolean
mose_far_end_clock(MoseFarEnd *end, gint64 *ret_offset_us, guint64 *ret_tsc_khz,
                   GError **error)
{
    gint64 shortest = G_MAXINT64;

    for (guint i = 0; i < CLOCK_TRIES; i++) {
        gint64 before = g_get_monotonic_time(), took;
        g_autoptr(JsonObject) answer = mose_far_end_call(
            end, mose_json_object("do", "s", "clock", NULL), CLOCK_MS, -1, error);

        if (!answer)
            return FALSE;
        took = g_get_monotonic_time() - before;
        if (took >= shortest)
            continue;
        shortest = took;
        *ret_offset_us = mose_json_int(answer, "us", 0) - before - took / 2;
        *ret_tsc_khz = (guint64)mose_json_int(answer, "tsc-khz", 0);
    }
    return TRUE;
}

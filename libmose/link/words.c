/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of JSON out and in; see words.h. */
#include "link/words.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "util/error.h"
#include "util/json.h"

#define SEND_MS 10000

struct MoseWords {
    int fd;
    GByteArray *input; /* what was read beyond the last whole line */
    gsize scanned;     /* bytes of it known to hold no newline */
    gboolean closed;
    gboolean broken;
};

MoseWords *
mose_words_new(int fd)
{
    MoseWords *words = g_new0(MoseWords, 1);

    words->fd = fd;
    words->input = g_byte_array_new();
    return words;
}

void
mose_words_free(MoseWords *words)
{
    if (!words)
        return;
    g_byte_array_unref(words->input);
    g_free(words);
}

/* --- out --- */

static gboolean
wait_for_room(MoseWords *words, GError **error)
{
    struct pollfd fd = { words->fd, POLLOUT, 0 };
    int n;

    while ((n = poll(&fd, 1, SEND_MS)) < 0 && errno == EINTR)
        ;
    if (n > 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                "the other side has not taken a message within %d s", SEND_MS / 1000);
    return FALSE;
}

static gboolean
send_all(MoseWords *words, const char *data, gsize len, GError **error)
{
    while (len > 0) {
        ssize_t n = send(words->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            data += n;
            len -= (gsize)n;
        } else if (errno == EAGAIN) {
            if (!wait_for_room(words, error))
                return FALSE;
        } else if (errno != EINTR) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                        "the other side has gone: a message cannot be sent: %s",
                        g_strerror(errno));
            return FALSE;
        }
    }
    return TRUE;
}

gboolean
mose_words_send(MoseWords *words, JsonObject *take, GError **error)
{
    g_autoptr(JsonObject) object = take;
    g_autofree char *text = mose_json_text(object, FALSE);
    gsize len = strlen(text);

    if (len + 1 > MOSE_WORDS_MAX) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "a message of %" G_GSIZE_FORMAT " bytes is too long", len);
        return FALSE;
    }
    /* In place of its NUL. */
    text[len] = '\n';
    return send_all(words, text, len + 1, error);
}

/* --- in --- */

static gboolean
fail(MoseWords *words, int code, const char *what, GError **error)
{
    words->broken = code == MOSE_ERROR_INVALID;
    g_set_error(error, MOSE_ERROR, code, "the other side %s", what);
    return FALSE;
}

/* Take one line out of the input, or NULL when there is none yet. */
static char *
next_line(MoseWords *words)
{
    GByteArray *input = words->input;
    guint8 *end =
        input->len > words->scanned
            ? memchr(input->data + words->scanned, '\n', input->len - words->scanned)
            : NULL;
    char *line;

    if (!end) {
        words->scanned = input->len;
        return NULL;
    }
    line = g_strndup((char *)input->data, (gsize)(end - input->data));
    g_byte_array_remove_range(input, 0, (guint)(end - input->data) + 1);
    words->scanned = 0;
    return line;
}

/* Read what is there. */
static gboolean
fill(MoseWords *words, GError **error)
{
    guint8 buffer[65536];
    ssize_t n = recv(words->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return TRUE;
    if (n <= 0)
        words->closed = TRUE;
    else
        g_byte_array_append(words->input, buffer, (guint)n);
    /* As long as there is no newline in it; a line that ends within these bytes may
     * make it a little more. */
    if (words->scanned >= MOSE_WORDS_MAX)
        return fail(words, MOSE_ERROR_INVALID, "sends a message that is too long",
                    error);
    return TRUE;
}

static gboolean
wait_input(MoseWords *words, gint64 deadline, int wake_fd, GError **error)
{
    for (;;) {
        struct pollfd fds[2] = { { words->fd, POLLIN, 0 }, { wake_fd, POLLIN, 0 } };
        gint64 left = (deadline - g_get_monotonic_time() + 999) / 1000;
        int n = poll(fds, 2, deadline < 0 ? -1 : (int)CLAMP(left, 0, G_MAXINT));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(words, MOSE_ERROR_TIMEOUT,
                        "has said nothing within the time limit", error);
        if (fds[0].revents)
            return TRUE;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED, "interrupted");
        return FALSE;
    }
}

JsonObject *
mose_words_receive(MoseWords *words, int timeout_ms, int wake_fd, GError **error)
{
    gint64 deadline =
        timeout_ms < 0 ? -1 : g_get_monotonic_time() + timeout_ms * (gint64)1000;

    while (!words->broken) {
        g_autofree char *line = next_line(words);

        if (line) {
            JsonObject *object =
                mose_json_parse(line, -1, "a message of the other side", error);

            words->broken = object == NULL;
            return object;
        }
        if (words->closed) {
            fail(words, MOSE_ERROR_CLOSED, "has gone", error);
            return NULL;
        }
        if (!wait_input(words, deadline, wake_fd, error) || !fill(words, error))
            return NULL;
    }
    fail(words, MOSE_ERROR_INVALID, "has sent what is no message", error);
    return NULL;
}

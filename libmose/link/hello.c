/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first line of either side; see hello.h. */
#include "link/hello.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"

#define MAGIC "MOSE-LINK "
#define NEAR MAGIC "1 near"
#define FAR MAGIC "1 far"
/* Of one line that is no hello, and of the last words of a transport. */
#define LINE_MAX_KEPT 200
#define SAID_MAX 2000

void
mose_hello_init(MoseHello *hello, gboolean near)
{
    *hello = (MoseHello){ g_string_new(NULL), g_string_new(NULL), 0, near };
}

void
mose_hello_clear(MoseHello *hello)
{
    g_string_free(hello->line, TRUE);
    g_string_free(hello->noise, TRUE);
}

/* The hello may stand behind a prompt without a newline. */
static MoseHelloHeard
judge(MoseHello *hello)
{
    const char *magic = strstr(hello->line->str, MAGIC);

    if (magic)
        g_strchomp(hello->line->str); /* a terminal on the way makes it \r\n */
    if (magic && strcmp(magic, hello->near ? FAR : NEAR) == 0)
        return MOSE_HELLO_GOOD;
    if (magic && strcmp(magic, hello->near ? NEAR : FAR) == 0)
        return MOSE_HELLO_ECHO;
    if (magic && g_ascii_isdigit(magic[strlen(MAGIC)]))
        return MOSE_HELLO_VERSION;
    if (hello->noise->len == 0)
        g_string_assign(hello->noise, g_strstrip(hello->line->str));
    g_string_truncate(hello->line, 0);
    return MOSE_HELLO_MORE;
}

MoseHelloHeard
mose_hello_push(MoseHello *hello, char byte)
{
    if (++hello->bytes > MOSE_HELLO_NOISE_MAX)
        return MOSE_HELLO_NOISE;
    if (byte == '\n')
        return judge(hello);
    /* What follows a NUL would be hidden from the comparison. */
    g_string_append_c(hello->line, byte ? byte : ' ');
    return MOSE_HELLO_MORE;
}

char *
mose_hello_noise(const MoseHello *hello)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const GString *from = hello->noise->len > 0 ? hello->noise : hello->line;

    g_string_append_len(text, from->str, (gssize)MIN(strlen(from->str), LINE_MAX_KEPT));
    return mose_said_line(text);
}

void
mose_said_append(GString *said, const char *data, gsize len)
{
    g_string_append_len(said, data, (gssize)len);
    if (said->len > SAID_MAX)
        g_string_erase(said, 0, (gssize)(said->len - SAID_MAX));
}

gboolean
mose_said_read(GString *said, int fd)
{
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof(buffer));

    if (n > 0)
        mose_said_append(said, buffer, (gsize)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

char *
mose_said_line(const GString *said)
{
    g_autofree char *valid = g_utf8_make_valid(said->str, (gssize)said->len);
    GString *line = g_string_new(NULL);

    for (const char *p = valid; *p; p++) {
        if (!g_ascii_iscntrl(*p))
            g_string_append_c(line, *p);
        else if (*p == '\n' && line->len > 0 && !g_str_has_suffix(line->str, "; "))
            g_string_append(line, "; ");
    }
    while (g_str_has_suffix(line->str, "; "))
        g_string_truncate(line, line->len - 2);
    return g_strstrip(g_string_free(line, FALSE));
}

/* --- the exchange --- */

typedef struct {
    MoseHello hello;
    int in, out, words;
    gsize sent;
    GString *said;
} Exchange;

static gboolean
explain(const Exchange *x, MoseHelloHeard heard, GError **error)
{
    g_autofree char *noise = mose_hello_noise(&x->hello);

    if (heard == MOSE_HELLO_VERSION)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the mose of the other side has another version of the link: it "
                    "says '%.60s', and this one speaks version 1",
                    x->hello.line->str);
    else if (heard == MOSE_HELLO_ECHO)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "what is at the other side is no mose: it repeats what is sent");
    else
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "what is at the other side is no mose: it says '%s'", noise);
    return FALSE;
}

static gboolean
explain_end(const Exchange *x, GError **error)
{
    g_autofree char *noise = mose_hello_noise(&x->hello);

    if (*noise)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                    "the other side has ended before the link was up; it said '%s'",
                    noise);
    else
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                    "the other side has ended before the link was up");
    return FALSE;
}

static void
send_some(Exchange *x)
{
    const char *line = x->hello.near ? NEAR "\n" : FAR "\n";
    ssize_t n = write(x->out, line + x->sent, strlen(line) - x->sent);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        /* It has ended; what it said before that is read first. */
        x->out = -1;
    else
        x->sent += (gsize)n;
    if (x->sent == strlen(line))
        x->out = -1;
}

/* FALSE: it has failed, or, with *@ret_done, it is done. */
static gboolean
hear_some(Exchange *x, gboolean *ret_done, GError **error)
{
    for (;;) {
        char byte;
        ssize_t n = read(x->in, &byte, 1);
        MoseHelloHeard heard;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return TRUE;
        if (n <= 0)
            return explain_end(x, error);
        heard = mose_hello_push(&x->hello, byte);
        *ret_done = heard == MOSE_HELLO_GOOD;
        if (*ret_done)
            return FALSE;
        if (heard != MOSE_HELLO_MORE)
            return explain(x, heard, error);
    }
}

static gboolean
exchange(Exchange *x, gint64 deadline, int interrupt_fd, GError **error)
{
    gboolean done = FALSE;

    for (;;) {
        struct pollfd fds[] = { { done ? -1 : x->in, POLLIN, 0 },
                                { x->out, POLLOUT, 0 },
                                { x->words, POLLIN, 0 },
                                { interrupt_fd > 0 ? interrupt_fd : -1, POLLIN, 0 } };
        gint64 left = (deadline - g_get_monotonic_time() + 999) / 1000;
        int n = poll(fds, G_N_ELEMENTS(fds), left > 0 ? (int)left : 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                        "the other side has not answered within the time limit");
            return FALSE;
        }
        if (fds[3].revents) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED, "interrupted");
            return FALSE;
        }
        if (fds[2].revents && !mose_said_read(x->said, x->words))
            x->words = -1;
        if (fds[1].revents)
            send_some(x);
        if (fds[0].revents && !hear_some(x, &done, error) && !done)
            return FALSE;
        if (done && x->out < 0)
            return TRUE;
    }
}

gboolean
mose_hello_exchange(int in, int out, gboolean near, guint timeout_ms, int interrupt_fd,
                    int words, GString *said, GError **error)
{
    Exchange x = { .in = in, .out = out, .words = words, .said = said };
    gboolean ok;

    mose_hello_init(&x.hello, near);
    ok = exchange(&x, g_get_monotonic_time() + timeout_ms * (gint64)1000, interrupt_fd,
                  error);
    mose_hello_clear(&x.hello);
    return ok;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both ends of a relay; see relay-line.h. */
#include "lib/relay-line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/says.h"
#include "util/fd.h"

const guint8 line_shut[8] = { 0, 1, 0, 4, 0, 0, 0, 0 };
const guint8 line_shut_trouble[8] = { 0, 1, 0, 4, 0, 0, 0, 1 };

/* Two ends that hear each other. */
static void
connect_ends(LineKind kind, MoseRelayEnd *ours, MoseRelayEnd *theirs)
{
    int fds[2];

    if (kind == LINE_SOCKETS) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
        *ours = (MoseRelayEnd){ fds[0], fds[0] };
        *theirs = (MoseRelayEnd){ fds[1], fds[1] };
        return;
    }
    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    ours->in = fds[0];
    theirs->out = fds[1];
    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    theirs->in = fds[0];
    ours->out = fds[1];
}

Line
line_begin(LineKind kind, MoseRewriteFunc rewrite, gpointer data)
{
    g_autoptr(GError) error = NULL;
    MoseRelayEnd one, two;
    Line line;

    connect_ends(kind, &line.source, &one);
    connect_ends(kind, &line.destination, &two);
    line.relay = mose_relay_start_between(one, two, rewrite, data, &error);
    g_assert_no_error(error);
    return line;
}

void
line_end(Line *line)
{
    mose_relay_free(line->relay);
    line_close(&line->source);
    line_close(&line->destination);
}

void
line_close(MoseRelayEnd *end)
{
    line_finish(end);
    mose_fd_close(mose_fd_steal(&end->in));
}

void
line_finish(MoseRelayEnd *end)
{
    if (end->out == end->in)
        shutdown(end->out, SHUT_WR);
    else
        mose_fd_close(end->out);
    end->out = MOSE_FD_NONE;
}

void
line_send(const MoseRelayEnd *end, const void *data, gsize len)
{
    g_assert_cmpint(write(end->out, data, len), ==, len);
}

void
line_expect(const MoseRelayEnd *end, const void *data, gsize len)
{
    g_autofree guint8 *got = g_malloc(len);
    gsize at = 0;

    while (at < len) {
        ssize_t n = TEMP_FAILURE_RETRY(read(end->in, got + at, len - at));

        g_assert_cmpint(n, >, 0);
        at += (gsize)n;
    }
    g_assert_cmpmem(got, len, data, len);
}

void
line_expect_end(const MoseRelayEnd *end)
{
    char byte;

    g_assert_cmpint(read(end->in, &byte, 1), <=, 0);
}

void
line_wait(const MoseRelayEnd *end)
{
    struct pollfd fd = { end->in, POLLIN, 0 };

    g_assert_cmpint(poll(&fd, 1, LINE_LONG_MS), ==, 1);
}

static gpointer
sender_main(gpointer data)
{
    const LineSender *sender = data;
    gsize done = 0;
    sigset_t set;

    /* In this thread alone: the relay's has to see to itself. */
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    while (done < sender->stream->len) {
        gsize left = sender->stream->len - done;
        ssize_t n = write(sender->end->out, sender->stream->data + done,
                          sender->piece ? MIN(sender->piece, left) : left);

        if (n <= 0)
            break;
        done += (gsize)n;
    }
    return GSIZE_TO_POINTER(done);
}

void
line_send_from_thread(LineSender *sender, const MoseRelayEnd *end,
                      const GByteArray *stream, gsize piece)
{
    *sender = (LineSender){ NULL, end, stream, piece };
    sender->thread = g_thread_new("sender", sender_main, sender);
}

gsize
line_sent(LineSender *sender)
{
    return GPOINTER_TO_SIZE(g_thread_join(sender->thread));
}

void
line_expect_failure(const Line *line, MoseErrorCode code, const char *text)
{
    struct pollfd fd = { mose_relay_failure_fd(line->relay), POLLIN, 0 };
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(poll(&fd, 1, LINE_LONG_MS), ==, 1);
    g_assert_false(mose_relay_check(line->relay, &error));
    assert_says(error, code, text);
}

void
line_expect_good(const Line *line)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(mose_relay_check(line->relay, &error));
    g_assert_no_error(error);
    g_assert_false(mose_relay_source_ended(line->relay));
}

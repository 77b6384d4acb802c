/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay between two sockets: what passes, how it ends, whom it blames. */
#include "switch/relay.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/make-stream.h"
#include "util/error.h"
#include "util/fd.h"

#define LONG_MS 20000

typedef struct {
    MoseRelay *relay;
    MoseFd source, destination; /* our ends */
} Line;

static Line
begin(MoseRewriteFunc rewrite, gpointer data)
{
    g_autoptr(GError) error = NULL;
    int one[2], two[2];
    Line line;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, one), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, two), ==, 0);
    line.relay = mose_relay_start(one[1], two[1], rewrite, data, &error);
    g_assert_no_error(error);
    line.source = one[0];
    line.destination = two[0];
    return line;
}

static void
end(Line *line)
{
    mose_relay_free(line->relay);
    mose_fd_close(line->source);
    mose_fd_close(line->destination);
}

static void
send_bytes(int fd, const void *data, gsize len)
{
    g_assert_cmpint(send(fd, data, len, MSG_NOSIGNAL), ==, len);
}

static void
expect_bytes(int fd, const void *data, gsize len)
{
    g_autofree guint8 *got = g_malloc(len);

    g_assert_cmpint(recv(fd, got, len, MSG_WAITALL), ==, len);
    g_assert_cmpmem(got, len, data, len);
}

/* Nothing more comes. */
static void
expect_end(int fd)
{
    char byte;

    g_assert_cmpint(recv(fd, &byte, 1, 0), <=, 0);
}

static void
expect_failure(MoseRelay *relay, MoseErrorCode code, const char *text)
{
    struct pollfd fd = { mose_relay_failure_fd(relay), POLLIN, 0 };
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(poll(&fd, 1, LONG_MS), ==, 1);
    g_assert_false(mose_relay_check(relay, &error));
    g_assert_error(error, MOSE_ERROR, (int)code);
    if (!strstr(error->message, text))
        g_error("\"%s\" does not say \"%s\"", error->message, text);
}

static void
expect_good(MoseRelay *relay)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(mose_relay_check(relay, &error));
    g_assert_no_error(error);
    g_assert_false(mose_relay_source_ended(relay));
}

/* The stream there, the return path back, the ends passed on. */
static void
test_passes(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = begin(NULL, NULL);
    guint64 in, out;

    send_bytes(line.source, stream->data, stream->len);
    expect_bytes(line.destination, stream->data, stream->len);
    send_bytes(line.destination, "\0\1\0\4\0\0\0\0", 8);
    expect_bytes(line.source, "\0\1\0\4\0\0\0\0", 8);
    mose_relay_progress(line.relay, &in, &out);
    g_assert_cmpuint(in, ==, stream->len);
    g_assert_cmpuint(out, ==, stream->len);
    shutdown(line.destination, SHUT_RDWR);
    expect_end(line.source);
    expect_good(line.relay);
    end(&line);
}

typedef struct {
    GByteArray *stream;
    int fd;
    gsize piece; /* bytes at once; 0: all */
} Sender;

/* Send it all, or until nobody takes it; returns what was sent. */
static gpointer
sender_main(gpointer data)
{
    Sender *sender = data;
    gsize done = 0;

    while (done < sender->stream->len) {
        gsize left = sender->stream->len - done;
        ssize_t n = send(sender->fd, sender->stream->data + done,
                         sender->piece ? MIN(sender->piece, left) : left, MSG_NOSIGNAL);

        if (n <= 0)
            break;
        done += n;
    }
    return GSIZE_TO_POINTER(done);
}

static void
test_byte_by_byte(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = begin(NULL, NULL);
    Sender sender = { stream, line.source, 1 };
    GThread *thread = g_thread_new("sender", sender_main, &sender);

    expect_bytes(line.destination, stream->data, stream->len);
    g_assert_cmpuint(GPOINTER_TO_SIZE(g_thread_join(thread)), ==, stream->len);
    shutdown(line.source, SHUT_WR);
    expect_end(line.destination);
    expect_good(line.relay);
    end(&line);
}

static gboolean
set_a(MoseDoc *doc, gpointer data, GError **error)
{
    return mose_section_set(mose_doc_find(doc, "dev", 0), "a", *(guint64 *)data, error);
}

static void
test_rewrites(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    guint64 value = 0x55667788, too_big = G_MAXUINT64;
    const guint8 before[] = { 0x11, 0x22, 0x33, 0x44 };
    const guint8 after[] = { 0x55, 0x66, 0x77, 0x88 };
    Line line = begin(set_a, &value);
    Line bad;
    guint8 *place;

    send_bytes(line.source, stream->data, stream->len);
    place = memmem(stream->data, stream->len, before, sizeof(before));
    g_assert_nonnull(place);
    memcpy(place, after, sizeof(after));
    expect_bytes(line.destination, stream->data, stream->len);
    expect_good(line.relay);
    end(&line);

    bad = begin(set_a, &too_big);
    send_bytes(bad.source, stream->data, stream->len);
    expect_failure(bad.relay, MOSE_ERROR_INVALID, "dev");
    g_assert_false(mose_relay_source_ended(bad.relay));
    expect_end(bad.source);
    end(&bad);
}

/* Wherever the source stops, it is the one that did. */
static void
test_truncated(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    const guint cuts[] = { 0, 1, 30, stream->len / 2, stream->len - 1 };

    for (gsize i = 0; i < G_N_ELEMENTS(cuts); i++) {
        Line line = begin(NULL, NULL);

        send_bytes(line.source, stream->data, cuts[i]);
        shutdown(line.source, SHUT_WR);
        expect_failure(line.relay, MOSE_ERROR_STREAM, "truncated");
        g_assert_true(mose_relay_source_ended(line.relay));
        expect_end(line.source);
        end(&line);
    }
}

static void
test_garbage(void)
{
    Line line = begin(NULL, NULL);

    send_bytes(line.source, "this is no migration stream", 27);
    expect_failure(line.relay, MOSE_ERROR_STREAM, "0x0");
    g_assert_false(mose_relay_source_ended(line.relay));
    expect_end(line.destination);
    expect_end(line.source);
    end(&line);
}

static void
test_destination_closes(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = begin(NULL, NULL);

    send_bytes(line.source, stream->data, 30);
    mose_fd_close(mose_fd_steal(&line.destination));
    expect_failure(line.relay, MOSE_ERROR_CLOSED,
                   "the destination closed the migration stream");
    g_assert_false(mose_relay_source_ended(line.relay));
    expect_end(line.source);
    end(&line);
}

/* More than all buffers on the way hold, so that the relay has to wait. */
static GByteArray *
big_stream(void)
{
    const int n_pages = 1024;
    GByteArray *out = g_byte_array_new();

    mk_begin(out);
    mk_ram_start(out);
    mk(out, "qsq", (guint64)n_pages << 12 | 4, "a", (guint64)n_pages << 12);
    mk_ram_end(out);
    mk_ram_begin(out, 2);
    for (int i = 0; i < n_pages; i++)
        mk(out, "qsz", (guint64)i << 12 | 8, "a", 4096);
    mk_ram_end(out);
    mk_ram_begin(out, 3);
    mk_ram_end(out);
    mk_end(out, "");
    return out;
}

static void
test_big(void)
{
    g_autoptr(GByteArray) stream = big_stream();
    Line line = begin(NULL, NULL);
    Sender sender = { stream, line.source };
    GThread *thread = g_thread_new("sender", sender_main, &sender);

    expect_bytes(line.destination, stream->data, stream->len);
    g_assert_cmpuint(GPOINTER_TO_SIZE(g_thread_join(thread)), ==, stream->len);
    expect_good(line.relay);
    end(&line);
}

static void
test_destination_closes_while_full(void)
{
    g_autoptr(GByteArray) stream = big_stream();
    Line line = begin(NULL, NULL);
    Sender sender = { stream, line.source };
    GThread *thread = g_thread_new("sender", sender_main, &sender);

    expect_bytes(line.destination, stream->data, 1000);
    mose_fd_close(mose_fd_steal(&line.destination));
    expect_failure(line.relay, MOSE_ERROR_CLOSED,
                   "the destination closed the migration stream");
    g_assert_cmpuint(GPOINTER_TO_SIZE(g_thread_join(thread)), <, stream->len);
    end(&line);
}

/* Nobody reads: an owner who gives up does not have to wait. */
static void
test_stop_while_blocked(void)
{
    g_autoptr(GByteArray) stream = big_stream();
    Line line = begin(NULL, NULL);
    Sender sender = { stream, line.source };
    GThread *thread = g_thread_new("sender", sender_main, &sender);
    struct pollfd fd = { line.destination, POLLIN, 0 };

    g_assert_cmpint(poll(&fd, 1, LONG_MS), ==, 1);
    mose_relay_free(g_steal_pointer(&line.relay));
    g_assert_cmpuint(GPOINTER_TO_SIZE(g_thread_join(thread)), <, stream->len);
    end(&line);
}

static void
test_stop_idle(void)
{
    Line line = begin(NULL, NULL);

    mose_relay_free(g_steal_pointer(&line.relay));
    expect_end(line.source);
    expect_end(line.destination);
    end(&line);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay/passes", test_passes);
    g_test_add_func("/relay/byte-by-byte", test_byte_by_byte);
    g_test_add_func("/relay/rewrites", test_rewrites);
    g_test_add_func("/relay/truncated", test_truncated);
    g_test_add_func("/relay/garbage", test_garbage);
    g_test_add_func("/relay/destination-closes", test_destination_closes);
    g_test_add_func("/relay/big", test_big);
    g_test_add_func("/relay/destination-closes-while-full",
                    test_destination_closes_while_full);
    g_test_add_func("/relay/stop-while-blocked", test_stop_while_blocked);
    g_test_add_func("/relay/stop-idle", test_stop_idle);
    return g_test_run();
}

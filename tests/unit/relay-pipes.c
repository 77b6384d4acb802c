/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay between pipes, as between the ends of two ssh: what sockets do, and what
 * whoever shares the pipes with it must not notice. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/make-stream.h"
#include "lib/relay-line.h"
#include "util/fd.h"

/* There, back, and the ends: the source's pipe ends where the destination's does. */
static void
test_passes(void)
{
    g_autoptr(GByteArray) stream = mk_big_stream();
    Line line = line_begin(LINE_PIPES, NULL, NULL);
    LineSender sender;

    line_send_from_thread(&sender, &line.source, stream, 0);
    line_expect(&line.destination, stream->data, stream->len);
    g_assert_cmpuint(line_sent(&sender), ==, stream->len);
    line_send(&line.destination, line_shut, sizeof(line_shut));
    line_expect(&line.source, line_shut, sizeof(line_shut));
    line_finish(&line.source);
    line_expect_end(&line.destination);
    line_finish(&line.destination);
    line_expect_end(&line.source);
    line_expect_good(&line);
    line_end(&line);
}

static void
test_byte_by_byte(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_PIPES, NULL, NULL);
    LineSender sender;

    line_send_from_thread(&sender, &line.source, stream, 1);
    line_expect(&line.destination, stream->data, stream->len);
    g_assert_cmpuint(line_sent(&sender), ==, stream->len);
    line_end(&line);
}

static void
test_truncated(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_PIPES, NULL, NULL);

    line_send(&line.source, stream->data, stream->len / 2);
    line_finish(&line.source);
    line_expect_failure(&line, MOSE_ERROR_STREAM, "truncated");
    g_assert_true(mose_relay_source_ended(line.relay));
    line_expect_end(&line.source);
    line_end(&line);
}

/* Its reader is gone while bytes wait for it: an error, and no SIGPIPE. */
static void
test_destination_closes_while_full(void)
{
    g_autoptr(GByteArray) stream = mk_big_stream();
    Line line = line_begin(LINE_PIPES, NULL, NULL);
    LineSender sender;

    line_send_from_thread(&sender, &line.source, stream, 0);
    line_expect(&line.destination, stream->data, 1000);
    mose_fd_close(mose_fd_steal(&line.destination.in));
    line_expect_failure(&line, MOSE_ERROR_CLOSED,
                        "the destination closed the migration stream while it was "
                        "loading");
    g_assert_cmpuint(line_sent(&sender), <, stream->len);
    line_expect_end(&line.source);
    line_end(&line);
}

/* Nobody listens to the return path: what counts is the stream. */
static void
test_source_does_not_listen(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_PIPES, NULL, NULL);

    mose_fd_close(mose_fd_steal(&line.source.in));
    line_send(&line.destination, line_shut, sizeof(line_shut));
    line_send(&line.source, stream->data, stream->len);
    line_expect(&line.destination, stream->data, stream->len);
    line_expect_good(&line);
    line_end(&line);
}

static void
test_patience(void)
{
    g_autoptr(GByteArray) stream = mk_big_stream();
    Line line = line_begin(LINE_PIPES, NULL, NULL);
    LineSender sender;

    mose_relay_set_patience(line.relay, 100);
    line_send_from_thread(&sender, &line.source, stream, 0);
    line_expect_failure(&line, MOSE_ERROR_TIMEOUT, "taken nothing");
    g_assert_cmpuint(line_sent(&sender), <, stream->len);
    line_end(&line);
}

static void
test_stop_while_blocked(void)
{
    g_autoptr(GByteArray) stream = mk_big_stream();
    Line line = line_begin(LINE_PIPES, NULL, NULL);
    LineSender sender;

    line_send_from_thread(&sender, &line.source, stream, 0);
    line_wait(&line.destination);
    mose_relay_free(g_steal_pointer(&line.relay));
    g_assert_cmpuint(line_sent(&sender), <, stream->len);
    line_end(&line);
}

static gboolean
waits(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

/* Another process (a shell, ssh) may have the same pipe or socket, and relies on its
 * reads and writes waiting. */
static void
test_flags_stay(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    g_autoptr(GError) error = NULL;
    int in[2], out[2], pair[2];
    g_auto(MoseFd) theirs_in = MOSE_FD_NONE;
    g_auto(MoseFd) theirs_out = MOSE_FD_NONE;
    g_auto(MoseFd) theirs_socket = MOSE_FD_NONE;
    MoseRelay *relay;

    g_assert_cmpint(pipe2(in, O_CLOEXEC), ==, 0);
    g_assert_cmpint(pipe2(out, O_CLOEXEC), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    theirs_in = dup(in[0]);
    theirs_out = dup(out[1]);
    theirs_socket = dup(pair[0]);
    relay = mose_relay_start_between((MoseRelayEnd){ in[0], out[1] },
                                     (MoseRelayEnd){ pair[0], pair[0] }, NULL, NULL,
                                     &error);
    g_assert_no_error(error);
    line_send(&(MoseRelayEnd){ out[0], in[1] }, stream->data, stream->len);
    line_expect(&(MoseRelayEnd){ pair[1], pair[1] }, stream->data, stream->len);
    g_assert_true(waits(theirs_in));
    g_assert_true(waits(theirs_out));
    g_assert_true(waits(theirs_socket));
    mose_relay_free(relay);
    mose_fd_close(in[1]);
    mose_fd_close(out[0]);
    mose_fd_close(pair[1]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/relay-pipes/passes", test_passes);
    g_test_add_func("/relay-pipes/byte-by-byte", test_byte_by_byte);
    g_test_add_func("/relay-pipes/truncated", test_truncated);
    g_test_add_func("/relay-pipes/destination-closes-while-full",
                    test_destination_closes_while_full);
    g_test_add_func("/relay-pipes/source-does-not-listen", test_source_does_not_listen);
    g_test_add_func("/relay-pipes/patience", test_patience);
    g_test_add_func("/relay-pipes/stop-while-blocked", test_stop_while_blocked);
    g_test_add_func("/relay-pipes/flags-stay", test_flags_stay);
    return g_test_run();
}

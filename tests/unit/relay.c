/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay between two sockets: what passes, how it ends, whom it blames. */
#include "stream/relay.h"

#include <string.h>

#include "lib/make-stream.h"
#include "lib/relay-line.h"

/* The stream there, the return path back, the ends passed on. */
static void
test_passes(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);
    guint64 in, out;

    line_send(&line.source, stream->data, stream->len);
    line_expect(&line.destination, stream->data, stream->len);
    line_send(&line.destination, line_shut, 8);
    line_expect(&line.source, line_shut, 8);
    mose_relay_progress(line.relay, &in, &out);
    g_assert_cmpuint(in, ==, stream->len);
    g_assert_cmpuint(out, ==, stream->len);
    line_close(&line.destination);
    line_expect_end(&line.source);
    line_expect_good(&line);
    line_end(&line);
}

static void
test_byte_by_byte(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);
    LineSender sender;

    line_send_from_thread(&sender, &line.source, stream, 1);
    line_expect(&line.destination, stream->data, stream->len);
    g_assert_cmpuint(line_sent(&sender), ==, stream->len);
    line_finish(&line.source);
    line_expect_end(&line.destination);
    line_expect_good(&line);
    line_end(&line);
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
    Line line = line_begin(LINE_SOCKETS, set_a, &value);
    Line bad;
    guint8 *place;

    line_send(&line.source, stream->data, stream->len);
    place = memmem(stream->data, stream->len, before, sizeof(before));
    g_assert_nonnull(place);
    memcpy(place, after, sizeof(after));
    line_expect(&line.destination, stream->data, stream->len);
    line_expect_good(&line);
    line_end(&line);

    bad = line_begin(LINE_SOCKETS, set_a, &too_big);
    line_send(&bad.source, stream->data, stream->len);
    line_expect_failure(&bad, MOSE_ERROR_INVALID, "dev");
    g_assert_false(mose_relay_source_ended(bad.relay));
    line_expect_end(&bad.source);
    line_end(&bad);
}

/* Wherever the source stops, it is the one that did. */
static void
test_truncated(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    const guint cuts[] = { 0, 1, 30, stream->len / 2, stream->len - 1 };

    for (gsize i = 0; i < G_N_ELEMENTS(cuts); i++) {
        Line line = line_begin(LINE_SOCKETS, NULL, NULL);

        line_send(&line.source, stream->data, cuts[i]);
        line_finish(&line.source);
        line_expect_failure(&line, MOSE_ERROR_STREAM, "truncated");
        g_assert_true(mose_relay_source_ended(line.relay));
        line_expect_end(&line.source);
        line_end(&line);
    }
}

static void
test_garbage(void)
{
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);

    line_send(&line.source, "this is no migration stream", 27);
    line_expect_failure(&line, MOSE_ERROR_STREAM, "0x0");
    g_assert_false(mose_relay_source_ended(line.relay));
    line_expect_end(&line.destination);
    line_expect_end(&line.source);
    line_end(&line);
}

static void
test_destination_closes(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);

    line_send(&line.source, stream->data, 30);
    line_close(&line.destination);
    line_expect_failure(&line, MOSE_ERROR_CLOSED,
                        "the destination closed the migration stream");
    g_assert_false(mose_relay_source_ended(line.relay));
    line_expect_end(&line.source);
    line_end(&line);
}

static void
test_big(void)
{
    g_autoptr(GByteArray) stream = mk_big_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);
    LineSender sender;

    line_send_from_thread(&sender, &line.source, stream, 0);
    line_expect(&line.destination, stream->data, stream->len);
    g_assert_cmpuint(line_sent(&sender), ==, stream->len);
    line_expect_good(&line);
    line_end(&line);
}

static void
test_destination_closes_while_full(void)
{
    g_autoptr(GByteArray) stream = mk_big_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);
    LineSender sender;

    line_send_from_thread(&sender, &line.source, stream, 0);
    line_expect(&line.destination, stream->data, 1000);
    line_close(&line.destination);
    line_expect_failure(&line, MOSE_ERROR_CLOSED,
                        "the destination closed the migration stream");
    g_assert_cmpuint(line_sent(&sender), <, stream->len);
    line_end(&line);
}

/* Nobody reads: an owner who gives up does not have to wait. */
static void
test_stop_while_blocked(void)
{
    g_autoptr(GByteArray) stream = mk_big_stream();
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);
    LineSender sender;

    line_send_from_thread(&sender, &line.source, stream, 0);
    line_wait(&line.destination);
    mose_relay_free(g_steal_pointer(&line.relay));
    g_assert_cmpuint(line_sent(&sender), <, stream->len);
    line_end(&line);
}

static void
test_stop_idle(void)
{
    Line line = line_begin(LINE_SOCKETS, NULL, NULL);

    mose_relay_free(g_steal_pointer(&line.relay));
    line_expect_end(&line.source);
    line_expect_end(&line.destination);
    line_end(&line);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames and compressed pieces: what is written is read, and nothing else is. */
#include "link/frame.h"

#include <string.h>

#include "lib/says.h"
#include "link/squeeze.h"

/* All that @bytes hold, in pieces of @step: a line for each frame, the data of a DATA
 * frame as one. */
static char *
read_all(const GByteArray *bytes, gsize step, GError **error)
{
    GString *text = g_string_new(NULL);
    MoseFrameReader reader;
    gsize data = 0;

    mose_frame_reader_init(&reader);
    for (gsize at = 0; at < bytes->len;) {
        gboolean whole;
        MoseFrame frame;
        gssize n =
            mose_frame_reader_next(&reader, bytes->data + at,
                                   MIN(step, bytes->len - at), &frame, &whole, error);

        if (n < 0) {
            g_string_append(text, "broken\n");
            break;
        }
        at += (gsize)n;
        if (whole && frame.type == MOSE_FRAME_DATA)
            data += frame.len;
        else if (whole)
            g_string_append_printf(text, "%d %u %u %zu\n", frame.type, frame.channel,
                                   frame.number, frame.len);
    }
    mose_frame_reader_clear(&reader);
    g_string_append_printf(text, "data %zu", data);
    return g_string_free(text, FALSE);
}

static void
put(GByteArray *bytes, MoseFrameType type, guint16 channel, guint32 number)
{
    guint8 frame[MOSE_FRAME_SMALL];

    g_byte_array_append(bytes, frame,
                        (guint)mose_frame_put_small(frame, type, channel, number));
}

static void
put_data(GByteArray *bytes, MoseFrameType type, guint16 channel, guint32 len)
{
    guint8 header[MOSE_FRAME_HEADER];
    g_autofree guint8 *data = g_malloc0(len);

    mose_frame_put_header(header, type, channel, len);
    g_byte_array_append(bytes, header, sizeof(header));
    g_byte_array_append(bytes, data, len);
}

static void
test_round_trip(void)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    put(bytes, MOSE_FRAME_PING, 0, 0);
    put_data(bytes, MOSE_FRAME_DATA, 2, 5);
    put(bytes, MOSE_FRAME_WINDOW_MORE, 0x1234, 0x89abcdef);
    put_data(bytes, MOSE_FRAME_PACKED, 7, 1000);
    put(bytes, MOSE_FRAME_OPEN, 65535, 0xfedc);
    put_data(bytes, MOSE_FRAME_DATA, 3, MOSE_FRAME_MAX);
    put(bytes, MOSE_FRAME_RESET, 4, 0);
    put(bytes, MOSE_FRAME_END, 5, 0);
    for (gsize step = 1; step <= bytes->len; step = step * 3 + 1) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = read_all(bytes, step, &error);

        g_assert_no_error(error);
        g_assert_cmpstr(text, ==,
                        "7 0 0 0\n3 4660 2309737967 4\n2 7 0 1000\n6 65535 65244 2\n"
                        "5 4 0 0\n4 5 0 0\ndata 262149");
    }
}

/* The specification, byte for byte. */
static void
test_bytes(void)
{
    static const guint8 window[] = { 0, 0, 0, 4, 0, 9, 3, 0, 0, 0, 1, 2 };
    static const guint8 opening[] = { 0, 0, 0, 2, 1, 4, 6, 0, 0x12, 0x34 };
    guint8 frame[MOSE_FRAME_SMALL];

    g_assert_cmpmem(frame, mose_frame_put_small(frame, MOSE_FRAME_WINDOW_MORE, 9, 258),
                    window, sizeof(window));
    g_assert_cmpmem(frame, mose_frame_put_small(frame, MOSE_FRAME_OPEN, 260, 0x1234),
                    opening, sizeof(opening));
}

static void
expect_broken(const guint8 *header, const char *says)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    put(bytes, MOSE_FRAME_PING, 0, 0);
    g_byte_array_append(bytes, header, MOSE_FRAME_HEADER);
    text = read_all(bytes, 3, &error);
    assert_says(error, MOSE_ERROR_INVALID, says);
    g_assert_cmpstr(text, ==, "7 0 0 0\nbroken\ndata 0");
}

static void
test_limits(void)
{
    static const struct {
        guint8 header[MOSE_FRAME_HEADER];
        const char *says;
    } broken[] = {
        { { 0, 0, 0, 0, 0, 0, 0, 0 }, "no frame (type 0 at offset 8)" },
        { { 0, 0, 0, 0, 0, 0, 8, 0 }, "no frame (type 8 at offset 8)" },
        { { 0, 0, 0, 1, 0, 0, 1, 1 }, "no frame (type 1 at offset 8)" },
        { { 0, 0, 0, 0, 0, 0, 1, 0 }, "a DATA frame of 0 bytes at offset 8" },
        { { 0, 4, 0, 1, 0, 0, 1, 0 }, "a DATA frame of 262145 bytes" },
        { { 0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0 },
          "a PACKED frame of 4294967295 bytes" },
        { { 0, 0, 0, 3, 0, 0, 3, 0 }, "a WINDOW frame of 3 bytes" },
        { { 0, 0, 0, 1, 0, 0, 4, 0 }, "a END frame of 1 bytes" },
        { { 0, 0, 0, 1, 0, 0, 5, 0 }, "a RESET frame of 1 bytes" },
        { { 0, 0, 0, 4, 0, 0, 6, 0 }, "a OPEN frame of 4 bytes" },
        { { 0, 0, 0, 1, 0, 0, 7, 0 }, "a PING frame of 1 bytes" },
        { { 'b', 'a', 's', 'h', ':', ' ', 'x', ':' }, "no frame (type 120" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(broken); i++)
        expect_broken(broken[i].header, broken[i].says);
}

/* A frame that is cut is none. */
static void
test_cut(void)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    put(bytes, MOSE_FRAME_WINDOW_MORE, 1, 1);
    for (guint len = bytes->len - 1; len > 0; len--) {
        g_autofree char *text = NULL;

        g_byte_array_set_size(bytes, len);
        text = read_all(bytes, 5, NULL);
        g_assert_cmpstr(text, ==, "data 0");
    }
}

/* --- compression --- */

static void
test_squeeze(void)
{
    g_autoptr(MoseSqueeze) one = mose_squeeze_new(1);
    g_autoptr(MoseSqueeze) other = mose_squeeze_new(0);
    g_autofree guint8 *data = g_malloc(MOSE_SQUEEZE_PIECE);
    g_autofree guint8 *packed = g_malloc(MOSE_FRAME_MAX);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    for (guint piece = 0; piece < 20; piece++) {
        gsize len = piece < 3 ? MOSE_SQUEEZE_PIECE : 1 + piece * 5000, n, unpacked;
        g_autoptr(GError) error = NULL;
        const guint8 *back;

        for (gsize i = 0; i < len; i++)
            data[i] = piece & 1 ? (guint8)piece : (guint8)g_rand_int(rand);
        n = mose_squeeze_pack(one, data, len, packed, MOSE_FRAME_MAX, &error);
        g_assert_no_error(error);
        g_assert_true((piece & 1) == 0 || n < len / 10);
        back = mose_squeeze_unpack(other, packed, n, &unpacked, &error);
        g_assert_no_error(error);
        g_assert_cmpmem(data, len, back, unpacked);
    }
}

static void
test_squeeze_refuses(void)
{
    g_autoptr(MoseSqueeze) packer = mose_squeeze_new(19);
    g_autoptr(MoseSqueeze) garbage = mose_squeeze_new(1);
    g_autoptr(MoseSqueeze) bomb = mose_squeeze_new(1);
    g_autoptr(MoseSqueeze) part = mose_squeeze_new(1);
    g_autofree guint8 *zeros = g_malloc0(MOSE_SQUEEZE_PIECE);
    g_autofree guint8 *packed = g_malloc(MOSE_FRAME_MAX);
    g_autoptr(GError) error = NULL;
    gsize n = 0, len;

    /* Three pieces as one: 384 KiB in some hundred bytes. */
    for (guint i = 0; i < 3; i++)
        n += mose_squeeze_pack(packer, zeros, MOSE_SQUEEZE_PIECE, packed + n,
                               MOSE_FRAME_MAX - n, &error);
    g_assert_no_error(error);
    g_assert_null(mose_squeeze_unpack(bomb, packed, n, &len, &error));
    assert_says(error, MOSE_ERROR_INVALID, "too long");
    g_clear_error(&error);
    g_assert_null(mose_squeeze_unpack(part, packed, 3, &len, &error));
    assert_says(error, MOSE_ERROR_INVALID, "empty");
    g_clear_error(&error);
    g_assert_null(
        mose_squeeze_unpack(garbage, (const guint8 *)"no zstd", 7, &len, &error));
    assert_says(error, MOSE_ERROR_INVALID, "cannot be unpacked");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/link-frame/round-trip", test_round_trip);
    g_test_add_func("/link-frame/bytes", test_bytes);
    g_test_add_func("/link-frame/limits", test_limits);
    g_test_add_func("/link-frame/cut", test_cut);
    g_test_add_func("/link-frame/squeeze", test_squeeze);
    g_test_add_func("/link-frame/squeeze-refuses", test_squeeze_refuses);
    return g_test_run();
}

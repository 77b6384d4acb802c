/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ethernet frames in a byte stream: there and back in pieces, and what is refused. */
#include <string.h>

#include "net/frames.h"
#include "util/error.h"

static void
put_frame(GByteArray *stream, gsize len, guint8 fill)
{
    guint8 length[MOSE_FRAME_LENGTH];
    g_autofree guint8 *frame = g_malloc(len);

    memset(frame, fill, len);
    mose_frame_put_length(length, (guint32)len);
    g_byte_array_append(stream, length, sizeof(length));
    g_byte_array_append(stream, frame, (guint)len);
}

/* Give at most @most bytes of @data; how many there was room for. */
static gsize
feed(MoseFrames *frames, const guint8 *data, gsize most)
{
    gsize room;
    guint8 *at = mose_frames_space(frames, &room);

    g_assert_cmpuint(room, >, 0);
    most = MIN(most, room);
    memcpy(at, data, most);
    mose_frames_filled(frames, most);
    return most;
}

static const gsize lengths[] = {
    MOSE_FRAME_MIN, 70,   1524,           65560, MOSE_FRAME_MAX,
    MOSE_FRAME_MAX, 1000, MOSE_FRAME_MIN, 9000,  MOSE_FRAME_MAX
};

static void
check_pieces(const GByteArray *stream, gsize piece)
{
    g_autoptr(MoseFrames) frames = mose_frames_new();
    g_autoptr(GError) error = NULL;
    gsize seen = 0;

    for (gsize at = 0; at < stream->len;) {
        const guint8 *frame;
        gsize len;

        at += feed(frames, stream->data + at, MIN(piece, stream->len - at));
        while ((frame = mose_frames_next(frames, &len, &error))) {
            g_assert_cmpuint(len, ==, lengths[seen]);
            for (gsize i = 0; i < len; i++)
                if (frame[i] != seen + 1)
                    g_error("frame %zu, byte %zu: %u", seen, i, frame[i]);
            seen++;
        }
        g_assert_no_error(error);
    }
    g_assert_cmpuint(seen, ==, G_N_ELEMENTS(lengths));
    g_assert_true(mose_frames_at_boundary(frames));
}

static void
test_pieces(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();

    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++)
        put_frame(stream, lengths[i], (guint8)(i + 1));
    for (gsize piece = 1; piece <= stream->len; piece = piece * 3 + 1)
        check_pieces(stream, piece);
    check_pieces(stream, stream->len);
}

/* A length that cannot be is told with its offset, and nothing comes after it. */
static void
test_lengths(void)
{
    static const guint32 wrong[] = { 0, MOSE_FRAME_MIN - 1, MOSE_FRAME_MAX + 1,
                                     0x80000000, G_MAXUINT32 };

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(MoseFrames) frames = mose_frames_new();
        g_autoptr(GByteArray) stream = g_byte_array_new();
        guint8 length[MOSE_FRAME_LENGTH];
        gsize len;

        put_frame(stream, 100, 1);
        mose_frame_put_length(length, wrong[i]);
        g_byte_array_append(stream, length, sizeof(length));
        put_frame(stream, 100, 2);
        feed(frames, stream->data, stream->len);
        g_assert_nonnull(mose_frames_next(frames, &len, NULL));
        for (int again = 0; again < 3; again++) {
            g_autoptr(GError) error = NULL;

            g_assert_null(mose_frames_next(frames, &len, &error));
            g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
            g_assert_nonnull(strstr(error->message, "at offset 104 "));
            feed(frames, stream->data, stream->len);
        }
    }
}

/* Noise: an error or frames within the limits, whatever it is. */
static void
test_noise(void)
{
    for (int round = 0; round < 2000; round++) {
        g_autoptr(MoseFrames) frames = mose_frames_new();
        g_autoptr(GError) error = NULL;
        guint32 noise[512];
        gsize len;

        for (guint i = 0; i < G_N_ELEMENTS(noise); i++)
            noise[i] = g_test_rand_bit() ? g_random_int()
                                         : GUINT32_TO_BE(g_random_int_range(0, 200));
        feed(frames, (const guint8 *)noise, sizeof(noise));
        while (mose_frames_next(frames, &len, &error)) {
            g_assert_cmpuint(len, >=, MOSE_FRAME_MIN);
            g_assert_cmpuint(len, <, sizeof(noise));
        }
        if (error)
            g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
    }
}

static void
test_boundary(void)
{
    g_autoptr(MoseFrames) frames = mose_frames_new();
    g_autoptr(GByteArray) stream = g_byte_array_new();
    gsize len;

    put_frame(stream, 100, 1);
    g_assert_true(mose_frames_at_boundary(frames));
    feed(frames, stream->data, 2);
    g_assert_null(mose_frames_next(frames, &len, NULL));
    g_assert_false(mose_frames_at_boundary(frames));
    feed(frames, stream->data + 2, stream->len - 2);
    g_assert_nonnull(mose_frames_next(frames, &len, NULL));
    g_assert_true(mose_frames_at_boundary(frames));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/frames/pieces", test_pieces);
    g_test_add_func("/frames/lengths", test_lengths);
    g_test_add_func("/frames/noise", test_noise);
    g_test_add_func("/frames/boundary", test_boundary);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes from the other side of a link. In one piece and byte by byte
 * they give the same frames, and break at the same place.
 */
#include "fuzz/fuzz.h"
#include "link/frame.h"
#include "link/squeeze.h"

typedef struct {
    guint64 frames; /* a checksum of all that was read */
    guint64 data;   /* bytes of DATA */
    gboolean broken;
} Heard;

static void
hear(Heard *heard, const MoseFrame *frame)
{
    FUZZ_CHECK(frame->len <= MOSE_FRAME_MAX);
    for (gsize i = 0; i < frame->len; i++)
        heard->frames = heard->frames * 31 + frame->data[i];
    if (frame->type == MOSE_FRAME_DATA)
        heard->data += frame->len;
    else
        heard->frames =
            heard->frames * 31 + frame->type + frame->channel + frame->number;
}

static Heard
read_in(const guint8 *data, size_t size, size_t step, MoseSqueeze *squeeze)
{
    Heard heard = { 0 };
    MoseFrameReader reader;

    mose_frame_reader_init(&reader);
    for (size_t at = 0; at < size && !heard.broken;) {
        gboolean whole;
        MoseFrame frame;
        gssize n = mose_frame_reader_next(&reader, data + at, MIN(step, size - at),
                                          &frame, &whole, NULL);
        gsize len;

        heard.broken = n < 0;
        if (n < 0)
            break;
        FUZZ_CHECK(n > 0 && (size_t)n <= size - at);
        at += (size_t)n;
        if (whole)
            hear(&heard, &frame);
        if (whole && squeeze && frame.type == MOSE_FRAME_PACKED &&
            mose_squeeze_unpack(squeeze, frame.data, frame.len, &len, NULL))
            FUZZ_CHECK(len > 0 && len <= MOSE_SQUEEZE_UNPACKED_MAX);
    }
    mose_frame_reader_clear(&reader);
    return heard;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(MoseSqueeze) squeeze = mose_squeeze_new(1);
    Heard whole = read_in(data, size, size, squeeze);
    Heard bytes = read_in(data, size, 1, NULL);

    FUZZ_CHECK(whole.frames == bytes.frames && whole.data == bytes.data &&
               whole.broken == bytes.broken);
    return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames in a byte stream; see frames.h. */
#include "net/frames.h"

#include <string.h>

#include "util/error.h"

/* Several of the largest frames: what one read(2) brings of a busy stream. */
#define BUFFER (4 * (MOSE_FRAME_LENGTH + MOSE_FRAME_MAX))

struct MoseFrames {
    guint64 offset; /* in the stream, of buffer[start] */
    gsize start, end;
    guint8 buffer[BUFFER];
};

void
mose_frame_put_length(guint8 *ret, guint32 len)
{
    guint32 be = GUINT32_TO_BE(len);

    memcpy(ret, &be, sizeof(be));
}

static guint32
get_length(const guint8 *at)
{
    guint32 be;

    memcpy(&be, at, sizeof(be));
    return GUINT32_FROM_BE(be);
}

MoseFrames *
mose_frames_new(void)
{
    return g_new0(MoseFrames, 1);
}

void
mose_frames_free(MoseFrames *frames)
{
    g_free(frames);
}

/* What is left is less than one frame once all have been taken; a caller that did not
 * gets what room there is. */
guint8 *
mose_frames_space(MoseFrames *frames, gsize *ret_len)
{
    memmove(frames->buffer, frames->buffer + frames->start,
            frames->end - frames->start);
    frames->end -= frames->start;
    frames->start = 0;
    *ret_len = BUFFER - frames->end;
    return frames->buffer + frames->end;
}

void
mose_frames_filled(MoseFrames *frames, gsize len)
{
    frames->end += MIN(len, BUFFER - frames->end);
}

const guint8 *
mose_frames_next(MoseFrames *frames, gsize *ret_len, GError **error)
{
    gsize have = frames->end - frames->start;
    const guint8 *at = frames->buffer + frames->start;
    guint32 len;

    if (have < MOSE_FRAME_LENGTH)
        return NULL;
    len = get_length(at);
    if (len < MOSE_FRAME_MIN || len > MOSE_FRAME_MAX) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                    "a frame of %u bytes at offset %" G_GUINT64_FORMAT
                    " of the guest's network: there is none such",
                    len, frames->offset);
        return NULL;
    }
    if (have - MOSE_FRAME_LENGTH < len)
        return NULL;
    frames->start += MOSE_FRAME_LENGTH + len;
    frames->offset += MOSE_FRAME_LENGTH + len;
    *ret_len = len;
    return at + MOSE_FRAME_LENGTH;
}

gboolean
mose_frames_at_boundary(const MoseFrames *frames)
{
    return frames->start == frames->end;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes over the wire of a link; encoder and decoder, without I/O.
 *
 *   hello     a line, once in each direction; hello.h
 *   frames    until the end:
 *
 *     0        4        6      7     8
 *     +--------+--------+------+-----+---------------+
 *     | length | channel| type |  0  | length bytes  |     integers are big-endian
 *     +--------+--------+------+-----+---------------+
 *
 *   type    length     payload
 *
 *   DATA    1..256K    bytes of the channel
 *
 *   PACKED  1..256K    the same, the next piece of one zstd stream a channel and
 *                      direction, flushed at the end of the frame; 1..256K bytes when
 *                      unpacked
 *
 *   WINDOW  4          u32: so many more bytes of the channel may be sent (unpacked)
 *
 *   END     0          no more bytes will come in this direction
 *
 *   RESET   0          the channel is dead in both directions
 *
 *   OPEN    2          u16 service: the sender opens the channel
 *
 *   PING    0          a sign of life; channel 0
 *
 * Channels 0..3 are there from the start. Others have even numbers if the near side
 * (that of the user) opens them, odd ones if the far side does, upwards from 4 and 5,
 * each used once. Each channel begins with a window of 4 MiB in both directions,
 * without a word. Frames to a channel that has ended are not looked at: they may have
 * been under way.
 */
#pragma once

#include <glib.h>

#define MOSE_FRAME_HEADER 8
#define MOSE_FRAME_MAX (256 * 1024)
#define MOSE_FRAME_WINDOW (4 * 1024 * 1024)

typedef enum {
    MOSE_FRAME_DATA = 1,
    MOSE_FRAME_PACKED,
    MOSE_FRAME_WINDOW_MORE,
    MOSE_FRAME_END,
    MOSE_FRAME_RESET,
    MOSE_FRAME_OPEN,
    MOSE_FRAME_PING,
} MoseFrameType;

/* One frame; of DATA, a piece of one. */
typedef struct {
    MoseFrameType type;
    guint16 channel;
    guint32 number;     /* WINDOW: bytes; OPEN: the service */
    const guint8 *data; /* DATA, PACKED: borrowed until the next call */
    gsize len;
} MoseFrame;

/* The decoder. Data is passed on from where it was received. */
typedef struct {
    guint8 header[MOSE_FRAME_HEADER];
    gsize have;         /* bytes of the header, then of the payload that is collected */
    gsize left;         /* bytes of the payload still to come */
    gboolean inside;    /* the header is whole */
    GByteArray *packed; /* a PACKED frame, WINDOW or OPEN that has come in part */
    guint64 offset;     /* in all that was received, for messages */
} MoseFrameReader;

void mose_frame_reader_init(MoseFrameReader *reader);
void mose_frame_reader_clear(MoseFrameReader *reader);

/*
 * Take bytes off the @len (above 0) at @data: how many. *@ret_whole says whether they
 * end a frame or a piece of DATA, which is in @ret. -1 and @error (INVALID, with
 * offset) for bytes that no link of this version sends; the reader is then of no more
 * use.
 */
gssize mose_frame_reader_next(MoseFrameReader *reader, const guint8 *data, gsize len,
                              MoseFrame *ret, gboolean *ret_whole, GError **error);

/* Write the header of a frame with @len bytes of payload. */
void mose_frame_put_header(guint8 *header, MoseFrameType type, guint16 channel,
                           guint32 len);

/* The longest frame without data, and such a frame written to @out: its length. */
#define MOSE_FRAME_SMALL (MOSE_FRAME_HEADER + 4)
gsize mose_frame_put_small(guint8 *out, MoseFrameType type, guint16 channel,
                           guint32 number);

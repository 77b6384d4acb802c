/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames written and read; see frame.h. */
#include "link/frame.h"

#include <string.h>

#include "util/error.h"

/* The lengths that a frame of each type may have. */
static const struct {
    const char *name;
    guint32 min, max;
} types[] = {
    [MOSE_FRAME_DATA] = { "DATA", 1, MOSE_FRAME_MAX },
    [MOSE_FRAME_PACKED] = { "PACKED", 1, MOSE_FRAME_MAX },
    [MOSE_FRAME_WINDOW_MORE] = { "WINDOW", 4, 4 },
    [MOSE_FRAME_END] = { "END", 0, 0 },
    [MOSE_FRAME_RESET] = { "RESET", 0, 0 },
    [MOSE_FRAME_OPEN] = { "OPEN", 2, 2 },
    [MOSE_FRAME_PING] = { "PING", 0, 0 },
};

static guint32
get_u32(const guint8 *p)
{
    return (guint32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static guint16
get_u16(const guint8 *p)
{
    return (guint16)(p[0] << 8 | p[1]);
}

void
mose_frame_put_header(guint8 *header, MoseFrameType type, guint16 channel, guint32 len)
{
    const guint32 length = GUINT32_TO_BE(len);
    const guint16 number = GUINT16_TO_BE(channel);

    memcpy(header, &length, sizeof(length));
    memcpy(header + 4, &number, sizeof(number));
    header[6] = (guint8)type;
    header[7] = 0;
}

gsize
mose_frame_put_small(guint8 *out, MoseFrameType type, guint16 channel, guint32 number)
{
    const guint32 word = GUINT32_TO_BE(number);
    const guint32 len = types[type].max;

    mose_frame_put_header(out, type, channel, len);
    /* The last bytes of the word: WINDOW has all four, OPEN two. */
    memcpy(out + MOSE_FRAME_HEADER, (const guint8 *)&word + sizeof(word) - len, len);
    return MOSE_FRAME_HEADER + len;
}

void
mose_frame_reader_init(MoseFrameReader *reader)
{
    *reader = (MoseFrameReader){ .packed = g_byte_array_new() };
}

void
mose_frame_reader_clear(MoseFrameReader *reader)
{
    g_byte_array_unref(reader->packed);
    reader->packed = NULL;
}

static MoseFrameType
type_of(const MoseFrameReader *reader)
{
    return reader->header[6];
}

static gboolean
check_header(const MoseFrameReader *reader, GError **error)
{
    guint8 type = reader->header[6];
    guint32 len = get_u32(reader->header);

    if (type >= G_N_ELEMENTS(types) || !types[type].name || reader->header[7] != 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the other side of the link sends what is no frame (type %u at "
                    "offset %" G_GUINT64_FORMAT ")",
                    type, reader->offset);
    else if (len < types[type].min || len > types[type].max)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the other side of the link sends a %s frame of %u bytes at offset "
                    "%" G_GUINT64_FORMAT,
                    types[type].name, len, reader->offset);
    else
        return TRUE;
    return FALSE;
}

/* Fill the header: how many bytes that took. */
static gsize
take_header(MoseFrameReader *reader, const guint8 *data, gsize len)
{
    gsize n = MIN(len, MOSE_FRAME_HEADER - reader->have);

    memcpy(reader->header + reader->have, data, n);
    reader->have += n;
    return n;
}

static void
give(MoseFrameReader *reader, const guint8 *data, gsize len, MoseFrame *ret)
{
    *ret = (MoseFrame){ .type = type_of(reader),
                        .channel = get_u16(reader->header + 4),
                        .data = data,
                        .len = len };
    if (ret->type == MOSE_FRAME_WINDOW_MORE)
        ret->number = get_u32(data);
    else if (ret->type == MOSE_FRAME_OPEN)
        ret->number = get_u16(data);
}

/*
 * Payload of which @n bytes are there. DATA goes on at once, whole or not; the rest
 * once it is whole, from where it is if it came in one.
 */
static gboolean
take_payload(MoseFrameReader *reader, const guint8 *data, gsize n, MoseFrame *ret)
{
    reader->left -= n;
    if (reader->left > 0 && type_of(reader) != MOSE_FRAME_DATA) {
        g_byte_array_append(reader->packed, data, (guint)n);
        return FALSE;
    }
    if (reader->packed->len > 0) {
        g_byte_array_append(reader->packed, data, (guint)n);
        data = reader->packed->data;
        n = reader->packed->len;
    }
    give(reader, data, n, ret);
    return TRUE;
}

gssize
mose_frame_reader_next(MoseFrameReader *reader, const guint8 *data, gsize len,
                       MoseFrame *ret, gboolean *ret_whole, GError **error)
{
    gsize taken = 0, n;

    *ret_whole = FALSE;
    if (!reader->inside) {
        if (reader->have == 0)
            g_byte_array_set_size(reader->packed, 0);
        taken = take_header(reader, data, len);
        if (reader->have < MOSE_FRAME_HEADER)
            return (gssize)taken;
        if (!check_header(reader, error))
            return -1;
        reader->inside = TRUE;
        reader->left = get_u32(reader->header);
        reader->offset += MOSE_FRAME_HEADER;
    }
    n = MIN(len - taken, reader->left);
    if (n > 0 || reader->left == 0)
        *ret_whole = take_payload(reader, data + taken, n, ret);
    reader->offset += n;
    if (reader->left == 0) {
        reader->inside = FALSE;
        reader->have = 0;
    }
    return (gssize)(taken + n);
}

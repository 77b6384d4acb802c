/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers in a trace's bytes: written into a stream that grows, taken from one that is
 * not believed. Inline, as each event of a guest comes by here.
 */
#pragma once

#include <glib.h>
#include <string.h>

/* A varint: 7 bits a byte, the least first, the top bit where more follow. */
#define TRACE_VARINT_MAX 10

static inline void
trace_set32(guint8 *to, guint32 value)
{
    value = GUINT32_TO_LE(value);
    memcpy(to, &value, sizeof(value));
}

static inline void
trace_set64(guint8 *to, guint64 value)
{
    value = GUINT64_TO_LE(value);
    memcpy(to, &value, sizeof(value));
}

static inline guint16
trace_get16(const guint8 *from)
{
    guint16 value;

    memcpy(&value, from, sizeof(value));
    return GUINT16_FROM_LE(value);
}

static inline guint32
trace_get32(const guint8 *from)
{
    guint32 value;

    memcpy(&value, from, sizeof(value));
    return GUINT32_FROM_LE(value);
}

static inline guint64
trace_get64(const guint8 *from)
{
    guint64 value;

    memcpy(&value, from, sizeof(value));
    return GUINT64_FROM_LE(value);
}

/* Small differences, to either side, as small numbers. */
static inline guint64
trace_zigzag(guint64 difference)
{
    return difference << 1 ^ (guint64)((gint64)difference >> 63);
}

static inline guint64
trace_unzigzag(guint64 value)
{
    return value >> 1 ^ -(value & 1);
}

/* --- written --- */

/* What is written up to now is begin..at. */
typedef struct {
    guint8 *begin, *at, *end;
} TraceSink;

/* Have it hold @more bytes more. */
void trace_sink_grow(TraceSink *sink, gsize more);
void trace_sink_clear(TraceSink *sink);

static inline gsize
trace_sink_len(const TraceSink *sink)
{
    return (gsize)(sink->at - sink->begin);
}

static inline void
trace_sink_reserve(TraceSink *sink, gsize more)
{
    if (G_UNLIKELY((gsize)(sink->end - sink->at) < more))
        trace_sink_grow(sink, more);
}

static inline void
trace_put_byte(TraceSink *sink, guint8 value)
{
    trace_sink_reserve(sink, 1);
    *sink->at++ = value;
}

/* The lowest @len (0 to 8) bytes of @value. */
static inline void
trace_put_low(TraceSink *sink, guint64 value, guint len)
{
    trace_sink_reserve(sink, 8);
    trace_set64(sink->at, value);
    sink->at += len;
}

static inline void
trace_put_varint(TraceSink *sink, guint64 value)
{
    trace_sink_reserve(sink, TRACE_VARINT_MAX);
    while (value >= 0x80) {
        *sink->at++ = (guint8)value | 0x80;
        value >>= 7;
    }
    *sink->at++ = (guint8)value;
}

static inline void
trace_put_bytes(TraceSink *sink, const void *data, gsize len)
{
    if (len == 0)
        return;
    trace_sink_reserve(sink, len);
    memcpy(sink->at, data, len);
    sink->at += len;
}

/* --- read --- */

/* What is left is at..end. The functions give FALSE where there is less. */
typedef struct {
    const guint8 *at, *end;
} TraceBytes;

static inline gsize
trace_bytes_left(const TraceBytes *bytes)
{
    return (gsize)(bytes->end - bytes->at);
}

static inline gboolean
trace_take_byte(TraceBytes *bytes, guint8 *ret)
{
    if (bytes->at == bytes->end)
        return FALSE;
    *ret = *bytes->at++;
    return TRUE;
}

/* A number of @len (0 to 8) bytes. */
static inline gboolean
trace_take_low(TraceBytes *bytes, guint len, guint64 *ret)
{
    guint64 value = 0;

    if (trace_bytes_left(bytes) < len)
        return FALSE;
    for (guint i = 0; i < len; i++)
        value |= (guint64)bytes->at[i] << (8 * i);
    bytes->at += len;
    *ret = value;
    return TRUE;
}

/* Also FALSE for one of more than 64 bits. */
static inline gboolean
trace_take_varint(TraceBytes *bytes, guint64 *ret)
{
    guint64 value = 0;

    for (guint shift = 0; shift < 64 && bytes->at < bytes->end; shift += 7) {
        guint8 byte = *bytes->at++;

        if (shift == 63 && byte > 1)
            return FALSE;
        value |= (guint64)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return TRUE;
        }
    }
    return FALSE;
}

/* @len bytes, where they are; NULL where there are fewer. */
static inline const guint8 *
trace_take_bytes(TraceBytes *bytes, gsize len)
{
    const guint8 *data = bytes->at;

    if (trace_bytes_left(bytes) < len)
        return NULL;
    bytes->at += len;
    return data;
}

/*
 * The @n streams that a payload has after its first @skip bytes: their lengths (u32
 * each), then themselves. FALSE where they are not just what is there.
 */
gboolean trace_take_streams(const guint8 *data, gsize len, gsize skip, TraceBytes *ret,
                            guint n);

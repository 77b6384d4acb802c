/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Headers and footers as bytes; see format.h. */
#include "trace/format.h"

#include <string.h>

#include "trace/bytes.h"

#define POLYNOMIAL 0xedb88320u
#define HEADER_CRC_AT (TRACE_CHUNK_HEADER - 4)

static gpointer
make_table(gpointer data)
{
    guint32 *table = data;

    for (guint32 i = 0; i < 256; i++) {
        guint32 crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[i] = crc;
    }
    return table;
}

guint32
trace_crc(const guint8 *data, gsize len)
{
    static GOnce once = G_ONCE_INIT;
    static guint32 space[256];
    const guint32 *table = g_once(&once, make_table, space);
    guint32 crc = G_MAXUINT32;

    for (gsize i = 0; i < len; i++)
        crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xff];
    return ~crc;
}

/* --- chunks --- */

void
trace_chunk_pack(const TraceChunk *chunk, guint8 *ret)
{
    trace_set32(ret, TRACE_CHUNK_MAGIC);
    trace_set32(ret + 4, chunk->kind);
    trace_set32(ret + 8, chunk->vcpu);
    trace_set32(ret + 12, chunk->stored);
    trace_set32(ret + 16, chunk->raw);
    trace_set32(ret + 20, chunk->payload_crc);
    trace_set64(ret + 24, chunk->first);
    trace_set64(ret + 32, chunk->count);
    trace_set64(ret + 40, chunk->time);
    trace_set32(ret + 48, 0);
    trace_set32(ret + HEADER_CRC_AT, trace_crc(ret, HEADER_CRC_AT));
}

gboolean
trace_chunk_unpack(const guint8 *data, guint64 offset, TraceChunk *ret)
{
    *ret = (TraceChunk){
        .kind = trace_get32(data + 4),
        .vcpu = trace_get32(data + 8),
        .stored = trace_get32(data + 12),
        .raw = trace_get32(data + 16),
        .payload_crc = trace_get32(data + 20),
        .first = trace_get64(data + 24),
        .count = trace_get64(data + 32),
        .time = trace_get64(data + 40),
        .offset = offset,
    };
    return trace_get32(data) == TRACE_CHUNK_MAGIC &&
           trace_get32(data + HEADER_CRC_AT) == trace_crc(data, HEADER_CRC_AT) &&
           trace_get32(data + 48) == 0 && ret->kind >= TRACE_INFO &&
           ret->kind < TRACE_KINDS && ret->stored <= TRACE_CHUNK_MAX &&
           ret->raw <= TRACE_CHUNK_MAX && ret->first <= G_MAXUINT64 - ret->count;
}

/* --- the ends of the file --- */

void
trace_header_pack(guint8 *ret)
{
    memcpy(ret, TRACE_MAGIC, TRACE_MAGIC_LEN);
    trace_set32(ret + 8, TRACE_VERSION);
    trace_set32(ret + 12, 0);
}

void
trace_footer_pack(guint64 index_offset, guint8 *ret)
{
    trace_set64(ret, index_offset);
    trace_set32(ret + 8, trace_crc(ret, 8));
    trace_set32(ret + 12, TRACE_VERSION);
    memcpy(ret + 16, TRACE_MAGIC, TRACE_MAGIC_LEN);
}

gboolean
trace_footer_unpack(const guint8 *data, guint64 *ret_index_offset)
{
    *ret_index_offset = trace_get64(data);
    return trace_get32(data + 8) == trace_crc(data, 8) &&
           trace_get32(data + 12) == TRACE_VERSION &&
           memcmp(data + 16, TRACE_MAGIC, TRACE_MAGIC_LEN) == 0;
}

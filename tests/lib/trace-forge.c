/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See trace-forge.h. */
#include "lib/trace-forge.h"

#include <string.h>
#include <zstd.h>

#include "trace/bytes.h"

void
trace_forge_init(TraceForge *forge)
{
    guint8 header[TRACE_HEADER];

    *forge = (TraceForge){ g_byte_array_new(), g_byte_array_new(), 0 };
    trace_header_pack(header);
    g_byte_array_append(forge->file, header, sizeof(header));
}

void
trace_forge_clear(TraceForge *forge)
{
    g_clear_pointer(&forge->file, g_byte_array_unref);
    g_clear_pointer(&forge->index, g_byte_array_unref);
}

static void
append(TraceForge *forge, TraceChunk chunk, const guint8 *stored)
{
    guint8 entry[TRACE_INDEX_ENTRY];

    chunk.payload_crc = trace_crc(stored, chunk.stored);
    trace_set64(entry, forge->file->len);
    trace_chunk_pack(&chunk, entry + 8);
    g_byte_array_append(forge->index, entry, sizeof(entry));
    forge->n++;
    g_byte_array_append(forge->file, entry + 8, TRACE_CHUNK_HEADER);
    g_byte_array_append(forge->file, stored, chunk.stored);
}

void
trace_forge_chunk(TraceForge *forge, const TraceChunk *chunk, const void *payload,
                  gsize len)
{
    gsize size = ZSTD_compressBound(len);
    g_autofree guint8 *stored = g_malloc(size);
    TraceChunk whole = *chunk;

    whole.raw = (guint32)len;
    whole.stored = (guint32)ZSTD_compress(stored, size, payload, len, 1);
    append(forge, whole, stored);
}

void
trace_forge_info(TraceForge *forge, const char *text)
{
    trace_forge_chunk(forge, &(TraceChunk){ .kind = TRACE_INFO }, text, strlen(text));
}

void
trace_forge_bomb(TraceForge *forge, TraceKind kind, guint32 stored, guint32 raw)
{
    g_autofree guint8 *zeros = g_malloc0(stored);

    append(forge, (TraceChunk){ .kind = kind, .stored = stored, .raw = raw }, zeros);
}

void
trace_forge_end(TraceForge *forge)
{
    g_autoptr(GByteArray) index = g_steal_pointer(&forge->index);
    guint64 offset = forge->file->len;
    guint8 footer[TRACE_FOOTER];

    forge->index = g_byte_array_new();
    trace_forge_chunk(forge, &(TraceChunk){ .kind = TRACE_INDEX, .count = forge->n },
                      index->data, index->len);
    trace_footer_pack(offset, footer);
    g_byte_array_append(forge->file, footer, sizeof(footer));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A chunk read from the file, checked, unpacked; see reader-private.h. */
#include "trace/reader-private.h"
#include "util/error.h"

void
trace_payload_clear(TracePayload *payload)
{
    ZSTD_freeDCtx(payload->zstd);
    g_free(payload->stored);
    g_free(payload->raw);
    *payload = (TracePayload){ NULL };
}

gboolean
trace_damaged(const MoseTrace *trace, const TraceChunk *chunk, const char *problem,
              GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s is damaged: chunk at offset %" G_GUINT64_FORMAT ": %s", trace->path,
                chunk->offset, problem);
    return FALSE;
}

/* Its contents need not be kept. */
static gboolean
make_room(guint8 **data, gsize *size, gsize need)
{
    if (*data && *size >= need)
        return TRUE;
    g_free(*data);
    *data = g_try_malloc(MAX(need, 1));
    *size = *data ? need : 0;
    return *data != NULL;
}

gboolean
trace_payload_read(TracePayload *payload, const MoseTrace *trace,
                   const TraceChunk *chunk, GError **error)
{
    gsize len = TRACE_CHUNK_HEADER + (gsize)chunk->stored;
    guint8 header[TRACE_CHUNK_HEADER];
    const guint8 *stored;

    if (!payload->zstd)
        payload->zstd = ZSTD_createDCtx();
    if (!make_room(&payload->stored, &payload->stored_size, len) ||
        !make_room(&payload->raw, &payload->raw_size, chunk->raw)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES,
                    "%s: no memory for the chunk at offset %" G_GUINT64_FORMAT,
                    trace->path, chunk->offset);
        return FALSE;
    }
    if (!mose_fd_pread_all(trace->fd, payload->stored, len, chunk->offset, trace->path,
                           error))
        return FALSE;
    trace_chunk_pack(chunk, header);
    stored = payload->stored + TRACE_CHUNK_HEADER;
    if (memcmp(header, payload->stored, sizeof(header)) != 0)
        return trace_damaged(trace, chunk, "its header is not as the index says",
                             error);
    if (trace_crc(stored, chunk->stored) != chunk->payload_crc)
        return trace_damaged(trace, chunk, "it has another checksum", error);
    if (ZSTD_decompressDCtx(payload->zstd, payload->raw, chunk->raw, stored,
                            chunk->stored) != chunk->raw)
        return trace_damaged(trace, chunk, "it cannot be unpacked", error);
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace opened: where its chunks are, by the index, or, where that is missing, by
 * going from one to the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "trace/reader-private.h"
#include "util/error.h"

static gboolean
read_at(const MoseTrace *trace, void *to, gsize len, guint64 offset, GError **error)
{
    return mose_fd_pread_all(trace->fd, to, len, offset, trace->path, error);
}

static gboolean
check_header(const MoseTrace *trace, GError **error)
{
    guint8 header[TRACE_HEADER];

    if (trace->size < TRACE_HEADER) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is no trace: it is too short", trace->path);
        return FALSE;
    }
    if (!read_at(trace, header, sizeof(header), 0, error))
        return FALSE;
    if (memcmp(header, TRACE_MAGIC, TRACE_MAGIC_LEN) != 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s is no trace",
                    trace->path);
        return FALSE;
    }
    if (trace_get32(header + 8) != TRACE_VERSION || trace_get32(header + 12) != 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s: version %u.%u; this MOSE reads %d.0", trace->path,
                    trace_get32(header + 8), trace_get32(header + 12), TRACE_VERSION);
        return FALSE;
    }
    return TRUE;
}

/* The chunk that begins at @offset, if it is there, whole, before @end. */
static gboolean
peek(const MoseTrace *trace, guint64 offset, guint64 end, TraceChunk *ret)
{
    guint8 header[TRACE_CHUNK_HEADER];

    return offset <= end && end - offset >= sizeof(header) &&
           read_at(trace, header, sizeof(header), offset, NULL) &&
           trace_chunk_unpack(header, offset, ret) &&
           ret->stored <= end - offset - sizeof(header);
}

static guint64
end_of(const TraceChunk *chunk)
{
    return chunk->offset + TRACE_CHUNK_HEADER + chunk->stored;
}

/* --- by the index --- */

/* Each chunk follows the one before, and the last one the index. */
static gboolean
take_index(MoseTrace *trace, const TracePayload *payload, const TraceChunk *index)
{
    guint64 at = TRACE_HEADER;

    if (index->raw % TRACE_INDEX_ENTRY != 0 ||
        index->count != index->raw / TRACE_INDEX_ENTRY)
        return FALSE;
    for (gsize i = 0; i < index->raw; i += TRACE_INDEX_ENTRY) {
        const guint8 *entry = payload->raw + i;
        TraceChunk chunk;

        if (!trace_chunk_unpack(entry + 8, trace_get64(entry), &chunk) ||
            chunk.offset != at || chunk.kind == TRACE_INDEX)
            return FALSE;
        at = end_of(&chunk);
        g_array_append_val(trace->chunks, chunk);
    }
    return at == index->offset;
}

static gboolean
read_index(MoseTrace *trace)
{
    g_auto(TracePayload) payload = { NULL };
    guint8 footer[TRACE_FOOTER];
    guint64 offset, end;
    TraceChunk index;

    if (trace->size < TRACE_HEADER + TRACE_FOOTER)
        return FALSE;
    end = trace->size - TRACE_FOOTER;
    return read_at(trace, footer, sizeof(footer), end, NULL) &&
           trace_footer_unpack(footer, &offset) && peek(trace, offset, end, &index) &&
           index.kind == TRACE_INDEX && end_of(&index) == end &&
           trace_payload_read(&payload, trace, &index, NULL) &&
           take_index(trace, &payload, &index);
}

/* --- without --- */

/* Up to what is no chunk, or the index of one that has no footer. */
static void
scan(MoseTrace *trace)
{
    TraceChunk chunk;

    g_array_set_size(trace->chunks, 0);
    trace->cut = TRACE_HEADER;
    while (trace->chunks->len < TRACE_CHUNKS_MAX &&
           peek(trace, trace->cut, trace->size, &chunk) && chunk.kind != TRACE_INDEX) {
        g_array_append_val(trace->chunks, chunk);
        trace->cut = end_of(&chunk);
    }
}

/* --- its life --- */

static MoseTrace *
trace_new(const char *path)
{
    MoseTrace *trace = g_new0(MoseTrace, 1);

    trace->path = g_strdup(path);
    trace->fd = MOSE_FD_NONE;
    trace->chunks = g_array_new(FALSE, FALSE, sizeof(TraceChunk));
    trace->code = g_ptr_array_new_with_free_func(g_free);
    trace->blocks = g_array_new(FALSE, FALSE, sizeof(MoseTraceBlock));
    trace->tasks = g_array_new(FALSE, FALSE, sizeof(MoseTraceTask));
    trace->names = g_array_new(FALSE, FALSE, sizeof(TraceRange));
    trace->texts = g_string_chunk_new(4096);
    trace->flow = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
    return trace;
}

void
mose_trace_free(MoseTrace *trace)
{
    if (!trace)
        return;
    mose_fd_close(trace->fd);
    g_array_unref(trace->chunks);
    g_ptr_array_unref(trace->code);
    g_array_unref(trace->blocks);
    g_array_unref(trace->tasks);
    g_array_unref(trace->names);
    g_ptr_array_unref(trace->flow);
    g_string_chunk_free(trace->texts);
    g_clear_pointer(&trace->description, json_object_unref);
    g_strfreev(trace->registers);
    g_free(trace->path);
    g_free(trace);
}

MoseTrace *
mose_trace_open(const char *path, GError **error)
{
    g_autoptr(MoseTrace) trace = trace_new(path);
    struct stat st;

    trace->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (trace->fd < 0 || fstat(trace->fd, &st) < 0) {
        mose_error_set_errno(error, errno, "cannot open %s", path);
        return NULL;
    }
    trace->size = (guint64)st.st_size;
    if (!check_header(trace, error))
        return NULL;
    trace->whole = read_index(trace);
    if (!trace->whole)
        scan(trace);
    return trace_load(trace, error) ? g_steal_pointer(&trace) : NULL;
}

/* --- what it is --- */

const MoseTraceInfo *
mose_trace_info(const MoseTrace *trace)
{
    return &trace->info;
}

gboolean
mose_trace_is_whole(const MoseTrace *trace, guint64 *ret_cut)
{
    if (ret_cut)
        *ret_cut = trace->cut;
    return trace->whole;
}

guint64
mose_trace_instructions(const MoseTrace *trace, guint vcpu)
{
    const GArray *flow = vcpu < trace->flow->len ? trace->flow->pdata[vcpu] : NULL;
    const TraceChunk *last;

    if (!flow || flow->len == 0)
        return 0;
    last = &g_array_index(flow, TraceChunk, flow->len - 1);
    return last->first + last->count;
}

guint
mose_trace_n_blocks(const MoseTrace *trace)
{
    return trace->blocks->len;
}

guint
mose_trace_n_tasks(const MoseTrace *trace)
{
    return trace->tasks->len;
}

const MoseTraceBlock *
mose_trace_block(const MoseTrace *trace, guint32 id)
{
    return id < trace->blocks->len ? &g_array_index(trace->blocks, MoseTraceBlock, id)
                                   : NULL;
}

const MoseTraceTask *
mose_trace_task(const MoseTrace *trace, guint32 task)
{
    return task < trace->tasks->len ? &g_array_index(trace->tasks, MoseTraceTask, task)
                                    : NULL;
}

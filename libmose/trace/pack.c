/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See pack.h. */
#include "trace/pack.h"

#include <errno.h>
#include <unistd.h>
#include <zstd.h>

#include "trace/format.h"
#include "util/error.h"
#include "util/fd.h"

/* How often it is looked whether all is written. */
#define REST_POLL_US 500

struct TracePacker {
    MoseFd fd;
    char *what;
    int level;
    GThread *thread;
    GAsyncQueue *free, *given; /* TraceDraft */
    TraceDraft *last;          /* given, it ends the thread */
    GPtrArray *drafts;
    gint n_given; /* and not written yet; atomic */
    /* The thread's, while it runs. */
    ZSTD_CCtx *zstd;
    GByteArray *raw, *packed;
    GArray *index; /* TraceChunk */
    guint64 at;
    GMutex lock;
    GError *error; /* under the lock */
    gint failed;   /* the same, atomic */
};

/* --- errors --- */

void
trace_packer_keep(TracePacker *packer, GError *take)
{
    g_mutex_lock(&packer->lock);
    if (packer->error)
        g_error_free(take);
    else
        packer->error = take;
    g_mutex_unlock(&packer->lock);
    g_atomic_int_set(&packer->failed, TRUE);
}

gboolean
trace_packer_has_failed(const TracePacker *packer)
{
    return g_atomic_int_get(&packer->failed);
}

gboolean
trace_packer_check(TracePacker *packer, GError **error)
{
    if (!trace_packer_has_failed(packer))
        return TRUE;
    g_mutex_lock(&packer->lock);
    if (error)
        *error = g_error_copy(packer->error);
    g_mutex_unlock(&packer->lock);
    return FALSE;
}

/* --- packing and writing --- */

static gboolean
write_all(TracePacker *packer, const void *data, gsize len, GError **error)
{
    if (!mose_fd_write_all(packer->fd, data, len, packer->what, error))
        return FALSE;
    packer->at += len;
    return TRUE;
}

/* What @draft holds, behind room for a header; @chunk is completed. */
static gboolean
pack(TracePacker *packer, const TraceDraft *draft, TraceChunk *chunk, GError **error)
{
    gsize raw = trace_draft_raw(draft), size = ZSTD_compressBound(raw), stored;
    guint8 *payload;

    g_byte_array_set_size(packer->raw, (guint)raw);
    g_byte_array_set_size(packer->packed, (guint)(TRACE_CHUNK_HEADER + size));
    trace_draft_gather(draft, packer->raw->data);
    payload = packer->packed->data + TRACE_CHUNK_HEADER;
    stored = ZSTD_compressCCtx(packer->zstd, payload, size, packer->raw->data, raw,
                               packer->level);
    if (ZSTD_isError(stored)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES,
                    "cannot write %s: zstd: %s", packer->what,
                    ZSTD_getErrorName(stored));
        return FALSE;
    }
    chunk->raw = (guint32)raw;
    chunk->stored = (guint32)stored;
    chunk->payload_crc = trace_crc(payload, stored);
    chunk->offset = packer->at;
    trace_chunk_pack(chunk, packer->packed->data);
    return TRUE;
}

static gboolean
write_draft(TracePacker *packer, const TraceDraft *draft, GError **error)
{
    TraceChunk chunk = draft->chunk;

    if (packer->index->len == TRACE_CHUNKS_MAX) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES,
                    "%s is full: it has %u chunks", packer->what, TRACE_CHUNKS_MAX);
        return FALSE;
    }
    if (!pack(packer, draft, &chunk, error) ||
        !write_all(packer, packer->packed->data, TRACE_CHUNK_HEADER + chunk.stored,
                   error))
        return FALSE;
    g_array_append_val(packer->index, chunk);
    return TRUE;
}

static gpointer
run(gpointer data)
{
    TracePacker *packer = data;
    TraceDraft *draft;

    while ((draft = g_async_queue_pop(packer->given)) != packer->last) {
        GError *error = NULL;

        if (!trace_packer_has_failed(packer) && !write_draft(packer, draft, &error))
            trace_packer_keep(packer, error);
        g_async_queue_push(packer->free, draft);
        g_atomic_int_add(&packer->n_given, -1);
    }
    return NULL;
}

/* --- its life --- */

TracePacker *
trace_packer_new(int take_fd, const char *what, int level, guint n_drafts,
                 GError **error)
{
    TracePacker *packer = g_new0(TracePacker, 1);
    guint8 header[TRACE_HEADER];

    packer->fd = take_fd;
    packer->what = g_strdup(what);
    packer->level = level;
    g_mutex_init(&packer->lock);
    packer->zstd = ZSTD_createCCtx();
    packer->raw = g_byte_array_new();
    packer->packed = g_byte_array_new();
    packer->index = g_array_new(FALSE, FALSE, sizeof(TraceChunk));
    packer->drafts = g_ptr_array_new_with_free_func(trace_draft_free);
    packer->free = g_async_queue_new();
    packer->given = g_async_queue_new();
    packer->last = trace_draft_new();
    g_ptr_array_add(packer->drafts, packer->last);
    for (guint i = 0; i < n_drafts; i++) {
        TraceDraft *draft = trace_draft_new();

        g_ptr_array_add(packer->drafts, draft);
        g_async_queue_push(packer->free, draft);
    }
    trace_header_pack(header);
    if (write_all(packer, header, sizeof(header), error))
        packer->thread = g_thread_try_new("trace", run, packer, error);
    if (!packer->thread)
        g_clear_pointer(&packer, trace_packer_free);
    return packer;
}

static void
join(TracePacker *packer)
{
    if (!packer->thread)
        return;
    g_async_queue_push(packer->given, packer->last);
    g_thread_join(g_steal_pointer(&packer->thread));
}

void
trace_packer_free(TracePacker *packer)
{
    if (!packer)
        return;
    join(packer);
    mose_fd_close(packer->fd);
    ZSTD_freeCCtx(packer->zstd);
    g_byte_array_unref(packer->raw);
    g_byte_array_unref(packer->packed);
    g_array_unref(packer->index);
    g_async_queue_unref(packer->free);
    g_async_queue_unref(packer->given);
    g_ptr_array_unref(packer->drafts);
    g_clear_error(&packer->error);
    g_mutex_clear(&packer->lock);
    g_free(packer->what);
    g_free(packer);
}

TraceDraft *
trace_packer_take(TracePacker *packer)
{
    return g_async_queue_pop(packer->free);
}

void
trace_packer_give(TracePacker *packer, TraceDraft *draft)
{
    g_atomic_int_inc(&packer->n_given);
    g_async_queue_push(packer->given, draft);
}

void
trace_packer_rest(TracePacker *packer)
{
    while (g_atomic_int_get(&packer->n_given) > 0)
        g_usleep(REST_POLL_US);
}

/* --- the end --- */

static gboolean
write_index(TracePacker *packer, GError **error)
{
    TraceDraft *draft = packer->last;
    guint8 entry[TRACE_INDEX_ENTRY], footer[TRACE_FOOTER];
    TraceChunk chunk;

    trace_draft_begin(draft, TRACE_INDEX, 0);
    draft->chunk.count = packer->index->len;
    for (guint i = 0; i < packer->index->len; i++) {
        const TraceChunk *one = &g_array_index(packer->index, TraceChunk, i);

        trace_set64(entry, one->offset);
        trace_chunk_pack(one, entry + 8);
        trace_put_bytes(&draft->head, entry, sizeof(entry));
    }
    trace_footer_pack(packer->at, footer);
    chunk = draft->chunk;
    return pack(packer, draft, &chunk, error) &&
           write_all(packer, packer->packed->data, TRACE_CHUNK_HEADER + chunk.stored,
                     error) &&
           write_all(packer, footer, sizeof(footer), error);
}

gboolean
trace_packer_finish(TracePacker *packer, guint64 *ret_bytes, GError **error)
{
    join(packer);
    if (!trace_packer_check(packer, error) || !write_index(packer, error))
        return FALSE;
    *ret_bytes = packer->at;
    /* Some file systems tell only now that there was no room. */
    if (close(mose_fd_steal(&packer->fd)) < 0) {
        mose_error_set_errno(error, errno, "cannot write %s", packer->what);
        return FALSE;
    }
    return TRUE;
}

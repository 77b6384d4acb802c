/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a vCPU did, from chunk to chunk; see reader.h. */
#include "trace/decode.h"
#include "trace/reader-private.h"
#include "util/error.h"

struct MoseTraceCursor {
    const MoseTrace *trace;
    const GArray *flow; /* TraceChunk */
    guint vcpu, chunk;  /* the one that is read, or is next */
    gboolean is_open;   /* it is being read */
    TracePayload payload;
    TraceDecoder decoder;
    guint64 lost; /* after the last step of a chunk: it is told with the next */
    gboolean has_step;
    MoseTraceStep step; /* found by a seek, not given yet */
};

MoseTraceCursor *
mose_trace_cursor_new(const MoseTrace *trace, guint vcpu)
{
    MoseTraceCursor *cursor;

    g_return_val_if_fail(vcpu < trace->info.n_vcpus, NULL);
    cursor = g_new0(MoseTraceCursor, 1);
    cursor->trace = trace;
    cursor->vcpu = vcpu;
    cursor->flow = trace->flow->pdata[vcpu];
    trace_decoder_init(
        &cursor->decoder, (const MoseTraceBlock *)(gpointer)trace->blocks->data,
        trace->blocks->len, g_strv_length(trace->registers), trace->info.memory);
    return cursor;
}

void
mose_trace_cursor_free(MoseTraceCursor *cursor)
{
    if (!cursor)
        return;
    trace_payload_clear(&cursor->payload);
    trace_decoder_clear(&cursor->decoder);
    g_free(cursor);
}

static const TraceChunk *
current(const MoseTraceCursor *cursor)
{
    return &g_array_index(cursor->flow, TraceChunk, cursor->chunk);
}

static gboolean
open_chunk(MoseTraceCursor *cursor, GError **error)
{
    const TraceChunk *chunk = current(cursor);

    if (!trace_payload_read(&cursor->payload, cursor->trace, chunk, error))
        return FALSE;
    if (!trace_decoder_begin(&cursor->decoder, chunk, cursor->payload.raw, chunk->raw))
        return trace_damaged(cursor->trace, chunk, cursor->decoder.problem, error);
    cursor->is_open = TRUE;
    return TRUE;
}

gboolean
mose_trace_cursor_next(MoseTraceCursor *cursor, MoseTraceStep *ret, GError **error)
{
    if (cursor->has_step) {
        cursor->has_step = FALSE;
        *ret = cursor->step;
        return TRUE;
    }
    *ret = (MoseTraceStep){ .vcpu = cursor->vcpu,
                            .block = MOSE_TRACE_NO_BLOCK,
                            .instruction = cursor->decoder.instruction,
                            .time = cursor->decoder.time,
                            .task = cursor->decoder.task,
                            .lost = cursor->lost };
    while (cursor->chunk < cursor->flow->len) {
        TraceDecoded decoded;

        if (!cursor->is_open && !open_chunk(cursor, error))
            return FALSE;
        decoded = trace_decoder_next(&cursor->decoder, ret);
        cursor->is_open = decoded == TRACE_DECODED_STEP;
        if (decoded == TRACE_DECODED_BAD)
            return trace_damaged(cursor->trace, current(cursor),
                                 cursor->decoder.problem, error);
        ret->lost += cursor->lost;
        cursor->lost = decoded == TRACE_DECODED_STEP ? 0 : ret->lost;
        if (decoded == TRACE_DECODED_STEP)
            return TRUE;
        cursor->chunk++;
    }
    return FALSE;
}

/* The number of the chunk that holds instruction @number; there is one. */
static guint
chunk_with(const MoseTraceCursor *cursor, guint64 number)
{
    guint low = 0, high = cursor->flow->len;

    while (high - low > 1) {
        guint middle = low + (high - low) / 2;

        if (g_array_index(cursor->flow, TraceChunk, middle).first <= number)
            low = middle;
        else
            high = middle;
    }
    return low;
}

gboolean
mose_trace_cursor_seek(MoseTraceCursor *cursor, guint64 number, GError **error)
{
    guint64 n = mose_trace_instructions(cursor->trace, cursor->vcpu);

    if (number >= n) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "%s: vCPU %u has no instruction %" G_GUINT64_FORMAT
                    "; it executed %" G_GUINT64_FORMAT,
                    cursor->trace->path, cursor->vcpu, number, n);
        return FALSE;
    }
    cursor->chunk = chunk_with(cursor, number);
    cursor->is_open = cursor->has_step = FALSE;
    cursor->lost = 0;
    do {
        /* The chunks say that it is there: one that ends before has an error. */
        if (!mose_trace_cursor_next(cursor, &cursor->step, error))
            return FALSE;
    } while (cursor->step.instruction + cursor->step.executed <= number);
    cursor->has_step = TRUE;
    return TRUE;
}

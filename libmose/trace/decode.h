/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A FLOW chunk's payload, of which nothing is believed, as a vCPU's steps. No I/O; the
 * counterpart of encode.h.
 */
#pragma once

#include "trace/format.h"
#include "trace/model.h"
#include "trace/reader.h"

typedef enum {
    TRACE_DECODED_STEP,
    TRACE_DECODED_END, /* of the chunk; what came after its last step is in the step */
    TRACE_DECODED_BAD, /* the decoder's problem says what */
} TraceDecoded;

/* So many times it is as expected; then it is not, or the stream ends. */
typedef struct {
    gboolean known;
    guint64 left;
} TraceRun;

typedef struct {
    TraceModel model;
    const MoseTraceBlock *blocks; /* borrowed */
    guint n_blocks, n_registers;
    gboolean memory;
    const char *problem;
    /* Of this chunk. */
    TraceChunk chunk;
    TraceBytes streams[TRACE_FLOW_STREAMS];
    guint32 executions, done;
    TraceRun run, shape_run;
    gboolean cut_known, event_known;
    guint64 cut_at, event_at; /* executions; of the next, or else of the last */
    guint64 cut_executed;
    guint64 instruction, time;
    guint32 task;
    guint64 last_registers[MOSE_TRACE_REGISTERS_MAX];
    GArray *forms, *accesses, *registers; /* of this step */
} TraceDecoder;

/* For @n_blocks blocks. */
void trace_decoder_init(TraceDecoder *decoder, const MoseTraceBlock *blocks,
                        guint n_blocks, guint n_registers, gboolean memory);
void trace_decoder_clear(TraceDecoder *decoder);

/* Begin @chunk, whose payload has @len bytes; it is borrowed. FALSE, and the problem,
 * if it is none. */
gboolean trace_decoder_begin(TraceDecoder *decoder, const TraceChunk *chunk,
                             const guint8 *payload, gsize len);

/* The next step; what it points to is the decoder's until the next call. */
TraceDecoded trace_decoder_next(TraceDecoder *decoder, MoseTraceStep *ret);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vCPU does, put into the streams of a FLOW chunk. No I/O, no checks of what is
 * given (writer.c has done them), and no memory but for tables that grow.
 */
#pragma once

#include "trace/draft.h"
#include "trace/model.h"
#include "trace/trace.h"

/* What is said before the next block. */
typedef struct {
    guint what; /* TRACE_EVENT_* */
    guint64 time, lost;
    guint32 task;
    GArray *registers; /* MoseTraceRegister */
} TracePending;

typedef struct {
    TraceModel model;
    TraceDraft *draft; /* NULL: none yet */
    gboolean memory;
    guint64 instructions; /* executed up to now, but for the block given last */
    guint64 time;         /* the last that was given, and written */
    guint64 time_written;
    guint32 task; /* the one that runs */
    /* Of this chunk. */
    guint32 executions, last_cut, last_event;
    guint64 run, shape_run; /* how often it was as expected */
    int until_check;
    guint64 last_registers[MOSE_TRACE_REGISTERS_MAX];
    /* The block given last. */
    TraceRecord *record; /* NULL: none in this chunk */
    guint executed, n_accesses;
    gboolean as_before;
    GArray *forms; /* guint16 */
    TracePending pending;
} TraceEncoder;

void trace_encoder_init(TraceEncoder *encoder, gboolean memory);
void trace_encoder_clear(TraceEncoder *encoder);

/* Whether the chunk is due to be ended before the next block. */
gboolean trace_encoder_check(TraceEncoder *encoder);

static inline gboolean
trace_encoder_is_due(TraceEncoder *encoder)
{
    return G_UNLIKELY(encoder->until_check <= 0) && trace_encoder_check(encoder);
}

/* Begin a chunk in @draft, which is the encoder's until it ends it. */
void trace_encoder_begin(TraceEncoder *encoder, guint vcpu, TraceDraft *draft);

/* End the chunk; the draft is the caller's again. What was said for the next block is
 * in it if there will be none (@last), else in the next. */
TraceDraft *trace_encoder_end(TraceEncoder *encoder, gboolean last);

/* Block @id of @n instructions is executed. */
void trace_encoder_block(TraceEncoder *encoder, guint32 id, guint n);
void trace_encoder_access(TraceEncoder *encoder, const MoseTraceAccess *access);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A chunk that is being made: its header, and what its payload is put together from. */
#pragma once

#include "trace/bytes.h"
#include "trace/format.h"

typedef struct {
    TraceChunk chunk;
    TraceSink head;  /* the payload's beginning, or all of it */
    guint n_streams; /* after it: their lengths and themselves */
    TraceSink streams[TRACE_FLOW_STREAMS];
} TraceDraft;

TraceDraft *trace_draft_new(void);
void trace_draft_free(gpointer data);

/* Begin a chunk of @kind; what it held is gone, its memory is kept, but for what is
 * unusually much. */
void trace_draft_begin(TraceDraft *draft, TraceKind kind, guint n_streams);

/* Bytes of the payload. */
gsize trace_draft_raw(const TraceDraft *draft);

/* Write the payload to @ret, which holds trace_draft_raw() bytes. */
void trace_draft_gather(const TraceDraft *draft, guint8 *ret);

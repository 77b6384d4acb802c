/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that read a trace share of it: open.c finds the chunks, load.c has
 * what there is, names.c the names, cursor.c what happens. */
#pragma once

#include <zstd.h>

#include "trace/bytes.h"
#include "trace/format.h"
#include "trace/reader.h"
#include "util/fd.h"

struct MoseTrace {
    char *path;
    MoseFd fd;
    guint64 size;
    gboolean whole;
    guint64 cut;    /* where it stops, if it is not whole */
    GArray *chunks; /* TraceChunk */
    JsonObject *description;
    char **registers;
    MoseTraceInfo info;
    GPtrArray *code; /* payloads, into which the blocks point */
    GArray *blocks;  /* MoseTraceBlock */
    GArray *tasks;   /* MoseTraceTask */
    GArray *names;   /* TraceRange, sorted */
    GStringChunk *texts;
    GPtrArray *flow; /* of each vCPU a GArray of TraceChunk */
};

/* A name, and how far those of its sort reach that begin before its end. */
typedef struct {
    MoseTraceName name;
    guint64 reach;
} TraceRange;

/* A chunk's payload, and the memory that it took. */
typedef struct {
    ZSTD_DCtx *zstd;
    guint8 *stored, *raw;
    gsize stored_size, raw_size;
} TracePayload;

void trace_payload_clear(TracePayload *payload);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TracePayload, trace_payload_clear)

/* Read and unpack @chunk; its @chunk->raw bytes are in @payload->raw until the next. */
gboolean trace_payload_read(TracePayload *payload, const MoseTrace *trace,
                            const TraceChunk *chunk, GError **error);

/* INVALID, at @chunk's offset. */
gboolean trace_damaged(const MoseTrace *trace, const TraceChunk *chunk,
                       const char *problem, GError **error);

/* The chunks of the file; load.c: what is in those that are not FLOW. */
gboolean trace_load(MoseTrace *trace, GError **error);

/* Sort what was added. */
void trace_names_sort(MoseTrace *trace);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace files made by hand, chunk by chunk, with whatever in them, but with sound
 * checksums: what a reader has to see for itself.
 */
#pragma once

#include "trace/format.h"

typedef struct {
    GByteArray *file, *index;
    guint n;
} TraceForge;

/* A file that has its header. */
void trace_forge_init(TraceForge *forge);
void trace_forge_clear(TraceForge *forge);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TraceForge, trace_forge_clear)

/* Add a chunk of @chunk's kind, vCPU, first, count and time with this payload. */
void trace_forge_chunk(TraceForge *forge, const TraceChunk *chunk, const void *payload,
                       gsize len);

/* The description {...} @text. */
void trace_forge_info(TraceForge *forge, const char *text);

/* Add a chunk that says that its payload of @stored bytes becomes @raw; it does not. */
void trace_forge_bomb(TraceForge *forge, TraceKind kind, guint32 stored, guint32 raw);

/* Add the index and the footer. */
void trace_forge_end(TraceForge *forge);

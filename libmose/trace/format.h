/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of a trace file, which writer and reader share: header, chunks, footer, and
 * the limits of what is believed. docs/trace-format.md is the specification.
 */
#pragma once

#include <glib.h>

#define TRACE_MAGIC "MOSEtrac"
#define TRACE_MAGIC_LEN 8
#define TRACE_VERSION 1
#define TRACE_HEADER (TRACE_MAGIC_LEN + 4 + 4)
#define TRACE_FOOTER (TRACE_MAGIC_LEN + 4 + 4 + 8)
#define TRACE_CHUNK_MAGIC 0x68635354 /* "TSch" */
#define TRACE_CHUNK_HEADER 56
#define TRACE_INDEX_ENTRY (TRACE_CHUNK_HEADER + 8)

/* No chunk is larger, stored or not. */
#define TRACE_CHUNK_MAX (32u << 20)
#define TRACE_CHUNKS_MAX (TRACE_CHUNK_MAX / TRACE_INDEX_ENTRY)
/* Of a FLOW chunk: a seek decodes all that are before the one that is sought. */
#define TRACE_EXECUTIONS_MAX (1u << 24)
#define TRACE_SLOTS_MAX (1u << 20)
/* All chunks of code together, raw, and all of names. */
#define TRACE_CODE_MAX ((guint64)1 << 30)
#define TRACE_NAMES_RAW_MAX ((guint64)256 << 20)
#define TRACE_INFO_MAX (1u << 20)

typedef enum {
    TRACE_INFO = 1, /* the description */
    TRACE_CODE,     /* blocks */
    TRACE_TASKS,
    TRACE_NAMES,
    TRACE_FLOW, /* what a vCPU did */
    TRACE_INDEX,
    TRACE_KINDS
} TraceKind;

/* The sub-streams of a FLOW chunk, in their order. */
typedef enum {
    TRACE_PATH,      /* which block comes next */
    TRACE_CUTS,      /* executions that were not of all instructions */
    TRACE_EVENTS,    /* time, tasks, what was lost, registers */
    TRACE_SHAPES,    /* which instructions access memory, and how */
    TRACE_CODES,     /* of each access, how address and value are coded */
    TRACE_ADDRESSES, /* the bytes of those */
    TRACE_VALUES,    /* the same of values up to 8 bytes */
    TRACE_WIDE,      /* values of more than 8 bytes */
    TRACE_FLOW_STREAMS
} TraceFlowStream;

/* Those of a CODE chunk. */
typedef enum {
    TRACE_HEADS,
    TRACE_LENGTHS,
    TRACE_BYTES,
    TRACE_CODE_STREAMS
} TraceCodeStream;

/* An entry of TRACE_EVENTS has these, in this order. */
enum {
    TRACE_EVENT_TIME = 1,
    TRACE_EVENT_TASK = 2,
    TRACE_EVENT_LOST = 4,
    TRACE_EVENT_REGISTERS = 8,
    TRACE_EVENT_ALL = 15,
};

/* The header of a chunk. */
typedef struct {
    guint32 kind;        /* TraceKind */
    guint32 vcpu;        /* FLOW; else 0 */
    guint32 stored, raw; /* bytes of the payload */
    guint32 payload_crc; /* of what is stored */
    guint64 first;       /* FLOW: number of its first instruction; CODE, TASKS: id */
    guint64 count;       /* how many instructions, blocks, tasks, names, entries */
    guint64 time;        /* FLOW: the time at its beginning, ns */
    guint64 offset;      /* where the header is; not in it, but in the index */
} TraceChunk;

/* CRC-32 as of zip and Ethernet (polynomial 0xedb88320), of @len bytes. */
guint32 trace_crc(const guint8 *data, gsize len);

void trace_chunk_pack(const TraceChunk *chunk, guint8 *ret);

/* FALSE where these bytes are no header, or one of a chunk that cannot be. */
gboolean trace_chunk_unpack(const guint8 *data, guint64 offset, TraceChunk *ret);

void trace_header_pack(guint8 *ret);
void trace_footer_pack(guint64 index_offset, guint8 *ret);

/* FALSE where it is no footer of version 1. */
gboolean trace_footer_unpack(const guint8 *data, guint64 *ret_index_offset);

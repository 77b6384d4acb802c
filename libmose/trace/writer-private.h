/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What writer.c (events) and define.c (definitions) share of a writer. */
#pragma once

#include "trace/encode.h"
#include "trace/pack.h"
#include "trace/writer.h"

/* The lengths of the blocks are in pieces that stay where they are, as vCPUs look them
 * up while others define blocks. */
#define TRACE_PIECE 4096u
#define TRACE_PIECES (MOSE_TRACE_BLOCKS_MAX / TRACE_PIECE)

struct MoseTraceWriter {
    TracePacker *packer;
    guint n_vcpus, n_registers;
    gboolean memory, values;
    TraceEncoder *vcpus;
    GMutex lock;              /* of definitions, and of the order of chunks */
    TraceDraft *code, *tasks; /* not written yet; NULL: none */
    guint64 code_raw, names_raw;
    guint64 address; /* behind the block that was defined last in this chunk */
    guint n_blocks, n_tasks, n_names; /* changed under the lock, read without */
    guint16 *lengths[TRACE_PIECES];
};

/* Keep an error: the call makes no sense. */
void trace_writer_bad(MoseTraceWriter *writer, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* The description, as the first chunk. */
gboolean trace_writer_put_info(MoseTraceWriter *writer, const MoseTraceInfo *info,
                               GError **error);

/* Under the lock: what is defined goes to the file before what comes now. */
void trace_writer_flush(MoseTraceWriter *writer);

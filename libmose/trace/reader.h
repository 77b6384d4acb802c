/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace is read: what it says of itself, its blocks, tasks and names, which are in
 * memory, and what each vCPU did, which is read from the file as a cursor comes by.
 *
 * Nothing in the file is believed. What makes no sense is INVALID, with the offset in
 * the file; what it can cost in memory is limited (trace.h, format.h). A file whose
 * writer was killed is read as far as it goes.
 *
 * Threads: a trace may be read by many at once, each with cursors of his own.
 */
#pragma once

#include "trace/trace.h"

typedef struct MoseTrace MoseTrace;

/* INVALID where it is none, or damaged in what is read at once; UNSUPPORTED: of another
 * version. */
MoseTrace *mose_trace_open(const char *path, GError **error);
void mose_trace_free(MoseTrace *trace);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTrace, mose_trace_free)

/* What it says of itself; borrowed. */
const MoseTraceInfo *mose_trace_info(const MoseTrace *trace);

/* FALSE where the file has no end, or none that makes sense: its writer was killed, or
 * could not go on. *@ret_cut (may be NULL) is then the offset up to which it is read.
 */
gboolean mose_trace_is_whole(const MoseTrace *trace, guint64 *ret_cut);

/* How many instructions @vcpu executed. */
guint64 mose_trace_instructions(const MoseTrace *trace, guint vcpu);

guint mose_trace_n_blocks(const MoseTrace *trace);
guint mose_trace_n_tasks(const MoseTrace *trace);

/* NULL where there is none of that number; borrowed. */
const MoseTraceBlock *mose_trace_block(const MoseTrace *trace, guint32 id);
const MoseTraceTask *mose_trace_task(const MoseTrace *trace, guint32 task);

/* The names that an address has for a task (MOSE_TRACE_NO_TASK: one that is not known):
 * a range of its own before one of all tasks. Either may be NULL; FALSE where both are.
 * Borrowed. */
typedef struct {
    const MoseTraceName *symbol, *object;
} MoseTraceFound;

gboolean mose_trace_name(const MoseTrace *trace, guint32 task, guint64 address,
                         MoseTraceFound *ret);

/* --- what a vCPU did --- */

/* One execution of a block. */
typedef struct {
    guint vcpu;
    guint32 block;
    guint32 executed;    /* instructions */
    guint64 instruction; /* the number of its first */
    guint64 time;        /* the last that was said, ns since the trace began */
    guint32 task;        /* the one that runs; MOSE_TRACE_NO_TASK: not said */
    guint64 lost;        /* events that are missing before it */
    const MoseTraceAccess *accesses; /* in the order in which they were made */
    guint n_accesses;
    const MoseTraceRegister
        *registers; /* as they were before it, where that was said */
    guint n_registers;
} MoseTraceStep;

typedef struct MoseTraceCursor MoseTraceCursor;

/* At the first step of @vcpu, which there is; @trace must outlive it. */
MoseTraceCursor *mose_trace_cursor_new(const MoseTrace *trace, guint vcpu);
void mose_trace_cursor_free(MoseTraceCursor *cursor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTraceCursor, mose_trace_cursor_free)

/* Have the next step be the one that holds instruction @number. NOT_FOUND where the
 * vCPU has executed fewer. Decodes up to one chunk. */
gboolean mose_trace_cursor_seek(MoseTraceCursor *cursor, guint64 number,
                                GError **error);

/* The next step, and what it points to, until the next call. FALSE without an error at
 * the end: *@ret then has no block, but what was said after the last. */
gboolean mose_trace_cursor_next(MoseTraceCursor *cursor, MoseTraceStep *ret,
                                GError **error);

/* --- what all of them did --- */

typedef struct MoseTraceMerge MoseTraceMerge;

/* All vCPUs from the beginning, by time; @trace must outlive it. */
MoseTraceMerge *mose_trace_merge_new(const MoseTrace *trace);
void mose_trace_merge_free(MoseTraceMerge *merge);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTraceMerge, mose_trace_merge_free)

/* As mose_trace_cursor_next(): the step of the vCPU whose time is the earliest, of
 * several that with the least number. Each vCPU's steps come in their order. What is
 * lost at the end is that of all. */
gboolean mose_trace_merge_next(MoseTraceMerge *merge, MoseTraceStep *ret,
                               GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace is written: first what there is (blocks, tasks), then, for each vCPU, what
 * happened, in its order.
 *
 *   writer = mose_trace_create(path, &info, 1, &error);
 *   loop = mose_trace_writer_define(writer, &block);
 *   mose_trace_writer_block(writer, 0, loop);
 *   mose_trace_writer_access(writer, 0, &access);
 *   mose_trace_writer_block(writer, 0, loop);
 *   mose_trace_writer_cut(writer, 0, 2);
 *   mose_trace_writer_finish(writer, &bytes, &error);
 *
 * Packing and writing are a thread's of the writer. Where the file cannot take the
 * events as fast as they come, the functions wait.
 *
 * Threads: what is said of a vCPU may come from any thread, of one vCPU from one at a
 * time; blocks, tasks and names from all at once. Begin and end are one thread's.
 *
 * Errors (a full disk, a call that makes no sense) are kept: nothing is written from
 * then on, all functions still return, and mose_trace_writer_check() and _finish() tell
 * what it was. What is in the file by then can be read.
 */
#pragma once

#include "trace/trace.h"

typedef struct MoseTraceWriter MoseTraceWriter;

/* Begin a trace at @path, which only its owner can read. INVALID where there is such a
 * file, or where @info breaks a limit of trace.h. @level is zstd's: 1 is the fastest, 3
 * packs better. */
MoseTraceWriter *mose_trace_create(const char *path, const MoseTraceInfo *info,
                                   int level, GError **error);

/* The file alone, empty, for who has something to do before it is written; -1 and the
 * same errors. */
int mose_trace_make_file(const char *path, GError **error);

/* The same in the empty file @take_fd, which is taken over, and called @what in errors.
 */
MoseTraceWriter *mose_trace_writer_new(int take_fd, const char *what,
                                       const MoseTraceInfo *info, int level,
                                       GError **error);

/* What was not finished stays as a file that is cut: what the vCPUs did last is
 * missing.
 */
void mose_trace_writer_free(MoseTraceWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTraceWriter, mose_trace_writer_free)

/* Wait until the writer's thread has nothing to do. It does nothing, and holds no lock,
 * until more is said: this process may fork(2). */
void mose_trace_writer_rest(MoseTraceWriter *writer);

/* FALSE and the first error, if there was one; cheap. */
gboolean mose_trace_writer_check(const MoseTraceWriter *writer, GError **error);

/* Write what is left, and the index. Nothing may be said after that. *@ret_bytes is the
 * size of the file, which has not been synced. */
gboolean mose_trace_writer_finish(MoseTraceWriter *writer, guint64 *ret_bytes,
                                  GError **error);

/* --- what there is --- */

/* The id of a new block: 0, 1, 2 and so on, also where it is the same as another.
 * MOSE_TRACE_NO_BLOCK, and a kept error, where it breaks a limit. */
guint32 mose_trace_writer_define(MoseTraceWriter *writer, const MoseTraceBlock *block);

/* The index of a new task, as with blocks; else MOSE_TRACE_NO_TASK. */
guint32 mose_trace_writer_define_task(MoseTraceWriter *writer,
                                      const MoseTraceTask *task);

/* Names for addresses, at any time, for the whole trace. Of ranges that overlap (of one
 * task, symbols among themselves, objects too) one has an address: that which begins
 * last, of several that which was given last. */
void mose_trace_writer_names(MoseTraceWriter *writer, const MoseTraceName *names,
                             gsize n);

/* --- what happens --- */

/* @vcpu executes block @id, all of it unless _cut() follows. */
void mose_trace_writer_block(MoseTraceWriter *writer, guint vcpu, guint32 id);

/* Of the block given last only the first @executed instructions were executed. 0 is
 * possible: the first one faulted. */
void mose_trace_writer_cut(MoseTraceWriter *writer, guint vcpu, guint executed);

/* The block given last accessed memory. Only with MoseTraceInfo.memory; a value only
 * with .values. An instruction that is not executed to its end may have accesses. */
void mose_trace_writer_access(MoseTraceWriter *writer, guint vcpu,
                              const MoseTraceAccess *access);

/* Before the next block: it is @ns since the trace began; task @task runs from here on;
 * @n events are missing here; registers were like this. */
void mose_trace_writer_time(MoseTraceWriter *writer, guint vcpu, guint64 ns);
void mose_trace_writer_task(MoseTraceWriter *writer, guint vcpu, guint32 task);
void mose_trace_writer_lost(MoseTraceWriter *writer, guint vcpu, guint64 n);
void mose_trace_writer_registers(MoseTraceWriter *writer, guint vcpu,
                                 const MoseTraceRegister *registers, guint n);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the plugin tells, made into a trace (trace/writer.h). */
#pragma once

#include "analysis/rings.h"
#include "trace/writer.h"
#include "vmi/linux/linux.h"

typedef struct {
    guint64 blocks; /* executions */
    guint64 instructions;
    guint64 accesses;
    guint64 lost; /* executions that are missing */
    guint n_code; /* blocks that there are */
} MoseRecorderCounts;

typedef struct MoseRecorder MoseRecorder;

/* @writer must outlive it. Times are of CLOCK_MONOTONIC, from @begin_ns on. */
MoseRecorder *mose_recorder_new(MoseTraceWriter *writer, guint n_vcpus,
                                guint64 begin_ns);
void mose_recorder_free(MoseRecorder *recorder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseRecorder, mose_recorder_free)

/* Have tasks recorded, too, as @kernel knows them: all of them, or what @wanted runs
 * alone: a pid (of a thread or a process) or a name. Both must outlive it. Before
 * anything is recorded; which task a vCPU runs then is looked up. UNSUPPORTED without
 * types. */
gboolean mose_recorder_watch_tasks(MoseRecorder *recorder, MoseLinux *kernel,
                                   const char *wanted, GError **error);

/* Told with the recorder as data. */
extern const MoseRingSink mose_recorder_sink;

MoseRecorderCounts mose_recorder_counts(const MoseRecorder *recorder);

/* Give the functions of @kernel that were executed their names in the trace, those of
 * modules too, and those of processes whose tasks were watched, as far as they are
 * known now. */
void mose_recorder_name(MoseRecorder *recorder, MoseLinux *kernel);

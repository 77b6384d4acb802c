/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that there never was, for tests of traces: what its vCPUs did is made up from
 * a seed, and known, so that what is read can be compared with it.
 */
#pragma once

#include "trace/reader.h"
#include "trace/writer.h"

typedef struct {
    guint seed;
    guint n_vcpus;
    guint n_blocks, n_tasks;
    guint n_steps; /* of each vCPU */
    gboolean memory, values, registers;
    gboolean wild; /* the worst that a guest could do, else loops as they are */
} TraceStoryPlan;

typedef struct TraceStory TraceStory;

TraceStory *trace_story_new(const TraceStoryPlan *plan);
void trace_story_free(TraceStory *story);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TraceStory, trace_story_free)

/* The description, borrowed; a writer into which the story is told, not finished. */
const MoseTraceInfo *trace_story_info(const TraceStory *story);
void trace_story_tell(const TraceStory *story, MoseTraceWriter *writer);

/* Both, into a new file at @path, with the end; its size. */
guint64 trace_story_write(const TraceStory *story, const char *path, int level);

/* What the vCPUs did. */
guint trace_story_n_steps(const TraceStory *story, guint vcpu);
guint64 trace_story_instructions(const TraceStory *story, guint vcpu);
guint64 trace_story_accesses(const TraceStory *story);
/* The number of the step that holds instruction @number. */
guint trace_story_find(const TraceStory *story, guint vcpu, guint64 number);

/* Whether @step is step @i of its vCPU. */
gboolean trace_story_is_step(const TraceStory *story, guint i,
                             const MoseTraceStep *step);

/* Whether the first of what there is in @trace (blocks, tasks) is the story's. */
gboolean trace_story_is_stage(const TraceStory *story, const MoseTrace *trace);

/* Read each vCPU from the beginning to the end, or to an error: FALSE. What is read has
 * to be the story's, all of it if @trace is whole; aborts if not. */
gboolean trace_story_check(const TraceStory *story, const MoseTrace *trace,
                           GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A story told to a writer, and compared with what is read; see trace-story.h. */
#include <string.h>

#include "lib/trace-story-private.h"

static const StoryStep *
step_of(const TraceStory *story, guint vcpu, guint i)
{
    const GArray *steps = story->vcpus->pdata[vcpu];

    return &g_array_index(steps, StoryStep, i);
}

guint
trace_story_n_steps(const TraceStory *story, guint vcpu)
{
    return ((const GArray *)story->vcpus->pdata[vcpu])->len;
}

guint64
trace_story_instructions(const TraceStory *story, guint vcpu)
{
    const MoseTraceStep *last =
        &step_of(story, vcpu, trace_story_n_steps(story, vcpu) - 1)->step;

    return last->instruction + last->executed;
}

guint64
trace_story_accesses(const TraceStory *story)
{
    return story->accesses->len;
}

guint
trace_story_find(const TraceStory *story, guint vcpu, guint64 number)
{
    for (guint i = 0;; i++) {
        const MoseTraceStep *step = &step_of(story, vcpu, i)->step;

        if (step->instruction + step->executed > number)
            return i;
    }
}

/* --- telling --- */

static void
tell_step(const TraceStory *story, MoseTraceWriter *writer, const StoryStep *step)
{
    const MoseTraceStep *what = &step->step;
    guint vcpu = what->vcpu;

    if (step->says_time)
        mose_trace_writer_time(writer, vcpu, what->time);
    if (step->says_task)
        mose_trace_writer_task(writer, vcpu, what->task);
    if (what->lost)
        mose_trace_writer_lost(writer, vcpu, what->lost);
    if (what->n_registers)
        mose_trace_writer_registers(
            writer, vcpu,
            &g_array_index(story->registers, MoseTraceRegister, step->registers),
            what->n_registers);
    mose_trace_writer_block(writer, vcpu, what->block);
    for (guint i = 0; i < what->n_accesses; i++)
        mose_trace_writer_access(
            writer, vcpu,
            &g_array_index(story->accesses, MoseTraceAccess, step->accesses + i));
    if (what->executed != g_array_index(story->blocks, MoseTraceBlock, what->block).n)
        mose_trace_writer_cut(writer, vcpu, what->executed);
}

/* Blocks are defined when they come first, in turn for all vCPUs. */
void
trace_story_tell(const TraceStory *story, MoseTraceWriter *writer)
{
    guint defined = 0;

    for (guint i = 0; i < story->tasks->len; i++)
        g_assert_cmpuint(mose_trace_writer_define_task(
                             writer, &g_array_index(story->tasks, MoseTraceTask, i)),
                         ==, i);
    for (guint i = 0; i < story->plan.n_steps; i++) {
        for (guint vcpu = 0; vcpu < story->plan.n_vcpus; vcpu++) {
            const StoryStep *step = step_of(story, vcpu, i);

            for (; defined <= step->step.block; defined++)
                g_assert_cmpuint(
                    mose_trace_writer_define(
                        writer, &g_array_index(story->blocks, MoseTraceBlock, defined)),
                    ==, defined);
            tell_step(story, writer, step);
        }
    }
}

guint64
trace_story_write(const TraceStory *story, const char *path, int level)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTraceWriter) writer =
        mose_trace_create(path, &story->info, level, &error);
    guint64 bytes = 0;

    g_assert_no_error(error);
    trace_story_tell(story, writer);
    mose_trace_writer_finish(writer, &bytes, &error);
    g_assert_no_error(error);
    return bytes;
}

/* --- comparing --- */

static gboolean
are_accesses(const TraceStory *story, const StoryStep *step, const MoseTraceStep *read)
{
    for (guint i = 0; i < read->n_accesses; i++) {
        const MoseTraceAccess *a = &read->accesses[i];
        const MoseTraceAccess *b =
            &g_array_index(story->accesses, MoseTraceAccess, step->accesses + i);

        if (a->address != b->address || a->instruction != b->instruction ||
            a->size != b->size || a->store != b->store ||
            a->has_value != b->has_value ||
            memcmp(a->value, b->value, sizeof(a->value)) != 0)
            return FALSE;
    }
    return TRUE;
}

static gboolean
are_registers(const TraceStory *story, const StoryStep *step, const MoseTraceStep *read)
{
    for (guint i = 0; i < read->n_registers; i++) {
        const MoseTraceRegister *one =
            &g_array_index(story->registers, MoseTraceRegister, step->registers + i);

        if (read->registers[i].index != one->index ||
            read->registers[i].value != one->value)
            return FALSE;
    }
    return TRUE;
}

gboolean
trace_story_is_step(const TraceStory *story, guint i, const MoseTraceStep *step)
{
    const StoryStep *told = step_of(story, step->vcpu, i);
    const MoseTraceStep *what = &told->step;

    return step->block == what->block && step->executed == what->executed &&
           step->instruction == what->instruction && step->time == what->time &&
           step->task == what->task && step->lost == what->lost &&
           step->n_accesses == what->n_accesses &&
           step->n_registers == what->n_registers && are_accesses(story, told, step) &&
           are_registers(story, told, step);
}

gboolean
trace_story_is_stage(const TraceStory *story, const MoseTrace *trace)
{
    for (guint i = 0; i < mose_trace_n_blocks(trace); i++) {
        const MoseTraceBlock *a = mose_trace_block(trace, i);
        const MoseTraceBlock *b = &g_array_index(story->blocks, MoseTraceBlock, i);
        gsize size = 0;

        if (a->address != b->address || a->n != b->n ||
            memcmp(a->lengths, b->lengths, a->n) != 0)
            return FALSE;
        for (guint k = 0; k < a->n; k++)
            size += a->lengths[k];
        if (memcmp(a->bytes, b->bytes, size) != 0)
            return FALSE;
    }
    for (guint i = 0; i < mose_trace_n_tasks(trace); i++) {
        const MoseTraceTask *a = mose_trace_task(trace, i);
        const MoseTraceTask *b = &g_array_index(story->tasks, MoseTraceTask, i);

        if (memcmp(a, b, sizeof(*a)) != 0)
            return FALSE;
    }
    return TRUE;
}

gboolean
trace_story_check(const TraceStory *story, const MoseTrace *trace, GError **error)
{
    g_assert_true(trace_story_is_stage(story, trace));
    g_assert_cmpuint(mose_trace_info(trace)->n_vcpus, ==, story->plan.n_vcpus);
    for (guint vcpu = 0; vcpu < story->plan.n_vcpus; vcpu++) {
        g_autoptr(MoseTraceCursor) cursor = mose_trace_cursor_new(trace, vcpu);
        GError *cause = NULL;
        MoseTraceStep step;
        guint i = 0;

        for (; mose_trace_cursor_next(cursor, &step, &cause); i++) {
            g_assert_cmpuint(i, <, story->plan.n_steps);
            g_assert_true(trace_story_is_step(story, i, &step));
        }
        if (cause) {
            g_propagate_error(error, cause);
            return FALSE;
        }
        if (mose_trace_is_whole(trace, NULL))
            g_assert_cmpuint(i, ==, story->plan.n_steps);
    }
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See trace-story.h. */
#include "lib/trace-story.h"

#include <string.h>

#include "util/json.h"

#define ACCESSES_MAX 6u
#define WILD_ACCESSES_MAX 300u
#define STEPS_A_LOOP 8u

static const char *const register_names[] = { "rax", "rip", "rsp", NULL };

/* A step, with what it points to in the story's own arrays. */
typedef struct {
    MoseTraceStep step;
    guint accesses, registers;
    gboolean says_time, says_task;
} StoryStep;

struct TraceStory {
    TraceStoryPlan plan;
    MoseTraceInfo info;
    GRand *random;
    GArray *blocks;   /* MoseTraceBlock */
    GArray *tasks;    /* MoseTraceTask */
    GPtrArray *vcpus; /* of each a GArray of StoryStep */
    GArray *accesses, *registers;
};

static guint
below(TraceStory *story, guint n)
{
    return (guint)g_rand_int_range(story->random, 0, (gint32)n);
}

static guint64
any64(TraceStory *story)
{
    guint64 high = g_rand_int(story->random);

    return high << 32 | g_rand_int(story->random);
}

/* --- what there is --- */

static void
make_block(TraceStory *story)
{
    guint max = story->plan.wild ? MOSE_TRACE_INSTRUCTIONS_MAX : 12, size = 0;
    MoseTraceBlock block = { .n = 1 + below(story, max) };
    guint8 *lengths = g_malloc(block.n), *bytes;

    block.address =
        story->plan.wild ? any64(story) : 0x401000 + 64 * story->blocks->len;
    for (guint i = 0; i < block.n; i++)
        size += lengths[i] = (guint8)(1 + below(story, MOSE_TRACE_INSTRUCTION_LEN_MAX));
    bytes = g_malloc(size);
    for (guint i = 0; i < size; i++)
        bytes[i] = (guint8)g_rand_int(story->random);
    block.lengths = lengths;
    block.bytes = bytes;
    g_array_append_val(story->blocks, block);
}

static void
make_task(TraceStory *story)
{
    MoseTraceTask task = { .pid = g_rand_int(story->random),
                           .tgid = g_rand_int(story->random),
                           .address = any64(story),
                           .cr3 = any64(story) };

    for (guint i = 0; i < sizeof(task.name); i++)
        task.name[i] = (char)('a' + below(story, 26));
    g_array_append_val(story->tasks, task);
}

/* --- what happens --- */

static void
make_registers(TraceStory *story, StoryStep *step)
{
    step->registers = story->registers->len;
    step->step.n_registers = below(story, 4);
    for (guint i = 0; i < step->step.n_registers; i++) {
        MoseTraceRegister one = { below(story, 3), any64(story) };

        g_array_append_val(story->registers, one);
    }
}

/* Now and then. */
static void
make_events(TraceStory *story, StoryStep *step, const StoryStep *before)
{
    step->step.time = before ? before->step.time : 0;
    step->step.task = before ? before->step.task : MOSE_TRACE_NO_TASK;
    if (below(story, 20) == 0) {
        step->says_time = TRUE;
        step->step.time += below(story, 5000);
    }
    if (below(story, 50) == 0) {
        step->says_task = TRUE;
        step->step.task = below(story, story->plan.n_tasks);
    }
    if (below(story, 200) == 0)
        step->step.lost = 1 + below(story, 1000);
    if (story->plan.registers && below(story, 30) == 0)
        make_registers(story, step);
}

static void
make_wild_access(TraceStory *story, const StoryStep *step, MoseTraceAccess *access)
{
    const MoseTraceBlock *block =
        &g_array_index(story->blocks, MoseTraceBlock, step->step.block);

    access->address = any64(story) >> below(story, 64);
    access->instruction = (guint16)below(story, block->n);
    access->size = (guint8)(1 << below(story, 7));
    access->store = below(story, 2) != 0;
    access->has_value = story->plan.values && below(story, 5) != 0;
    for (guint i = 0; access->has_value && i < MAX(1, access->size / 8u); i++)
        access->value[i] = any64(story) >> below(story, 64);
}

/* As a loop does: through an array, and the same place on the stack. */
static void
make_tame_access(TraceStory *story, const StoryStep *step, guint i, guint k,
                 MoseTraceAccess *access)
{
    const MoseTraceBlock *block =
        &g_array_index(story->blocks, MoseTraceBlock, step->step.block);

    access->address =
        k % 2 ? 0x7ffd00001000 + 8 * k
              : 0x10000000 + 4096 * step->step.block + i / STEPS_A_LOOP % 500 * 8;
    access->instruction = (guint16)(k % block->n);
    access->size = k % 3 == 2 ? 4 : 8;
    access->store = k % 2;
    access->has_value = story->plan.values;
    access->value[0] = !access->has_value ? 0 : k % 2 ? i : access->address / 8 % 1000;
}

static void
make_accesses(TraceStory *story, StoryStep *step, guint i)
{
    gboolean wild = story->plan.wild;
    guint n = wild ? below(story, below(story, 50) ? 4 : WILD_ACCESSES_MAX)
                   : step->step.block % ACCESSES_MAX;

    step->accesses = story->accesses->len;
    for (guint k = 0; k < n; k++) {
        MoseTraceAccess access = { 0 };

        if (wild)
            make_wild_access(story, step, &access);
        else
            make_tame_access(story, step, i, k, &access);
        if (access.has_value && access.size < 8)
            access.value[0] &= ((guint64)1 << (8 * access.size)) - 1;
        g_array_append_val(story->accesses, access);
    }
    step->step.n_accesses = n;
}

static void
make_step(TraceStory *story, guint vcpu, GArray *steps, guint i)
{
    StoryStep *before = i ? &g_array_index(steps, StoryStep, i - 1) : NULL;
    StoryStep step = { .step = { .vcpu = vcpu } };
    /* Some blocks in turn, several times, then some others. */
    guint turn = i / (STEPS_A_LOOP * 64), block = turn * 5 + i % STEPS_A_LOOP;

    if (story->plan.wild && below(story, 3) == 0)
        block = g_rand_int(story->random);
    step.step.block = block % story->plan.n_blocks;
    step.step.executed =
        g_array_index(story->blocks, MoseTraceBlock, step.step.block).n;
    if (below(story, story->plan.wild ? 10 : 1000) == 0)
        step.step.executed = below(story, step.step.executed);
    if (before)
        step.step.instruction = before->step.instruction + before->step.executed;
    make_events(story, &step, before);
    if (story->plan.memory)
        make_accesses(story, &step, i);
    g_array_append_val(steps, step);
}

/* --- its life --- */

TraceStory *
trace_story_new(const TraceStoryPlan *plan)
{
    TraceStory *story = g_new0(TraceStory, 1);

    story->plan = *plan;
    story->random = g_rand_new_with_seed(plan->seed);
    story->blocks = g_array_new(FALSE, FALSE, sizeof(MoseTraceBlock));
    story->tasks = g_array_new(FALSE, FALSE, sizeof(MoseTraceTask));
    story->accesses = g_array_new(FALSE, FALSE, sizeof(MoseTraceAccess));
    story->registers = g_array_new(FALSE, FALSE, sizeof(MoseTraceRegister));
    story->vcpus = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
    story->info = (MoseTraceInfo){
        .n_vcpus = plan->n_vcpus,
        .memory = plan->memory,
        .values = plan->values,
        .registers = plan->registers ? register_names : NULL,
        .about = mose_json_object("guest", "s", "a story", NULL),
    };
    for (guint i = 0; i < plan->n_blocks; i++)
        make_block(story);
    for (guint i = 0; i < plan->n_tasks; i++)
        make_task(story);
    for (guint vcpu = 0; vcpu < plan->n_vcpus; vcpu++) {
        GArray *steps = g_array_new(FALSE, FALSE, sizeof(StoryStep));

        for (guint i = 0; i < plan->n_steps; i++)
            make_step(story, vcpu, steps, i);
        g_ptr_array_add(story->vcpus, steps);
    }
    return story;
}

void
trace_story_free(TraceStory *story)
{
    if (!story)
        return;
    for (guint i = 0; i < story->blocks->len; i++) {
        MoseTraceBlock *block = &g_array_index(story->blocks, MoseTraceBlock, i);

        g_free((gpointer)block->lengths);
        g_free((gpointer)block->bytes);
    }
    g_array_unref(story->blocks);
    g_array_unref(story->tasks);
    g_array_unref(story->accesses);
    g_array_unref(story->registers);
    g_ptr_array_unref(story->vcpus);
    json_object_unref(story->info.about);
    g_rand_free(story->random);
    g_free(story);
}

const MoseTraceInfo *
trace_story_info(const TraceStory *story)
{
    return &story->info;
}

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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See trace-story.h. */
#include "lib/trace-story-private.h"
#include "util/json.h"

#define ACCESSES_MAX 6u
#define WILD_ACCESSES_MAX 300u
#define STEPS_A_LOOP 8u

static const char *const register_names[] = { "rax", "rip", "rsp", NULL };

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

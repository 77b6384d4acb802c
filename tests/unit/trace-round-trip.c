/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was written into a trace is read from it: from the beginning, from anywhere, and
 * all vCPUs together. */
#include <glib/gstdio.h>
#include <string.h>

#include "lib/trace-story.h"
#include "util/error.h"
#include "util/json.h"

static char *dir;

static const TraceStoryPlan plans[] = {
    { .seed = 1, .n_vcpus = 1, .n_blocks = 300, .n_tasks = 3, .n_steps = 20000 },
    { .seed = 2,
      .n_vcpus = 3,
      .n_blocks = 5000,
      .n_tasks = 50,
      .n_steps = 15000,
      .registers = TRUE,
      .wild = TRUE },
    { .seed = 3,
      .n_vcpus = 2,
      .n_blocks = 300,
      .n_tasks = 3,
      .n_steps = 60000,
      .memory = TRUE },
    { .seed = 4,
      .n_vcpus = 2,
      .n_blocks = 900,
      .n_tasks = 20,
      .n_steps = 30000,
      .memory = TRUE,
      .values = TRUE,
      .registers = TRUE,
      .wild = TRUE },
};

static MoseTrace *
write_and_open(const TraceStory *story)
{
    g_autofree char *path = g_build_filename(dir, "trace", NULL);
    g_autoptr(GError) error = NULL;
    MoseTrace *trace;

    trace_story_write(story, path, 1);
    trace = mose_trace_open(path, &error);
    g_assert_no_error(error);
    g_assert_true(mose_trace_is_whole(trace, NULL));
    g_unlink(path);
    return trace;
}

static void
test_whole(gconstpointer data)
{
    const TraceStoryPlan *plan = data;
    g_autoptr(TraceStory) story = trace_story_new(plan);
    g_autoptr(MoseTrace) trace = write_and_open(story);
    const MoseTraceInfo *info = mose_trace_info(trace);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(mose_trace_n_tasks(trace), ==, plan->n_tasks);
    g_assert_true(info->memory == plan->memory && info->values == plan->values);
    g_assert_cmpuint(g_strv_length((char **)info->registers), ==,
                     plan->registers ? 3 : 0);
    g_assert_cmpstr(mose_json_string(info->about, "guest", ""), ==, "a story");
    for (guint i = 0; i < plan->n_vcpus; i++)
        g_assert_cmpuint(mose_trace_instructions(trace, i), ==,
                         trace_story_instructions(story, i));
    g_assert_true(trace_story_check(story, trace, &error));
    g_assert_no_error(error);
}

/* From any instruction on it goes on as if it had been read from the beginning. */
static void
test_seek(gconstpointer data)
{
    const TraceStoryPlan *plan = data;
    g_autoptr(TraceStory) story = trace_story_new(plan);
    g_autoptr(MoseTrace) trace = write_and_open(story);

    for (guint vcpu = 0; vcpu < plan->n_vcpus; vcpu++) {
        guint64 n = trace_story_instructions(story, vcpu);
        g_autoptr(MoseTraceCursor) cursor = mose_trace_cursor_new(trace, vcpu);
        g_autoptr(GError) error = NULL;

        for (int time = 0; time < 30; time++) {
            guint64 number = time == 0   ? 0
                             : time == 1 ? n - 1
                                         : (guint64)(g_test_rand_double() * (double)n);
            guint i = trace_story_find(story, vcpu, number);
            MoseTraceStep step;

            g_assert_true(mose_trace_cursor_seek(cursor, number, &error));
            for (guint end = MIN(i + 200, plan->n_steps); i < end; i++) {
                g_assert_true(mose_trace_cursor_next(cursor, &step, &error));
                g_assert_true(trace_story_is_step(story, i, &step));
            }
        }
        g_assert_false(mose_trace_cursor_seek(cursor, n, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    }
}

/* Each step once, by time. */
static void
test_merge(gconstpointer data)
{
    const TraceStoryPlan *plan = data;
    g_autoptr(TraceStory) story = trace_story_new(plan);
    g_autoptr(MoseTrace) trace = write_and_open(story);
    g_autoptr(MoseTraceMerge) merge = mose_trace_merge_new(trace);
    g_autofree guint *next = g_new0(guint, plan->n_vcpus);
    g_autoptr(GError) error = NULL;
    guint64 time = 0;
    MoseTraceStep step;

    while (mose_trace_merge_next(merge, &step, &error)) {
        g_assert_cmpuint(step.time, >=, time);
        time = step.time;
        g_assert_true(trace_story_is_step(story, next[step.vcpu]++, &step));
    }
    g_assert_no_error(error);
    for (guint i = 0; i < plan->n_vcpus; i++)
        g_assert_cmpuint(next[i], ==, plan->n_steps);
}

/* --- small traces --- */

static MoseTraceWriter *
begin(const char *path, guint n_vcpus)
{
    const MoseTraceInfo info = { .n_vcpus = n_vcpus };
    g_autoptr(GError) error = NULL;
    MoseTraceWriter *writer = mose_trace_create(path, &info, 1, &error);

    g_assert_no_error(error);
    return writer;
}

static MoseTrace *
end(MoseTraceWriter *writer, const char *path)
{
    g_autoptr(GError) error = NULL;
    MoseTrace *trace;
    guint64 bytes;

    mose_trace_writer_finish(writer, &bytes, &error);
    g_assert_no_error(error);
    mose_trace_writer_free(writer);
    trace = mose_trace_open(path, &error);
    g_assert_no_error(error);
    g_unlink(path);
    return trace;
}

/* A vCPU that did nothing; one of which only the loss is known; one after whose last
 * block more is said. */
static void
test_ends(void)
{
    g_autofree char *path = g_build_filename(dir, "trace", NULL);
    MoseTraceWriter *writer = begin(path, 3);
    const MoseTraceBlock block = { 0x1000, 2, (const guint8 *)"\1\2",
                                   (const guint8 *)"\x90\x31\xc0" };
    g_autoptr(MoseTrace) trace = NULL;
    g_autoptr(GError) error = NULL;

    mose_trace_writer_lost(writer, 1, 77);
    mose_trace_writer_block(writer, 2, mose_trace_writer_define(writer, &block));
    mose_trace_writer_lost(writer, 2, 3);
    mose_trace_writer_lost(writer, 2, 4);
    mose_trace_writer_time(writer, 2, 99);
    trace = end(writer, path);
    for (guint vcpu = 0; vcpu < 3; vcpu++) {
        g_autoptr(MoseTraceCursor) cursor = mose_trace_cursor_new(trace, vcpu);
        MoseTraceStep step;

        g_assert_cmpuint(mose_trace_instructions(trace, vcpu), ==, vcpu == 2 ? 2 : 0);
        if (vcpu == 2)
            g_assert_true(mose_trace_cursor_next(cursor, &step, &error));
        for (int time = 0; time < 2; time++) {
            g_assert_false(mose_trace_cursor_next(cursor, &step, &error));
            g_assert_no_error(error);
            g_assert_cmpuint(step.block, ==, MOSE_TRACE_NO_BLOCK);
            g_assert_cmpuint(step.lost, ==, vcpu == 0 ? 0 : vcpu == 1 ? 77 : 7);
            g_assert_cmpuint(step.time, ==, vcpu == 2 ? 99 : 0);
        }
    }
}

/* --- threads --- */

#define THREADS 4u
#define THREAD_STEPS 200000u
#define STEPS_A_BLOCK 500u

typedef struct {
    MoseTraceWriter *writer;
    guint vcpu;
} ThreadStart;

/* Where the vCPU is in its step @i. */
static guint64
address_of(guint vcpu, guint i)
{
    return (guint64)vcpu << 32 | i / STEPS_A_BLOCK;
}

static gpointer
run_vcpu(gpointer data)
{
    const ThreadStart *start = data;
    guint32 id = 0;

    for (guint i = 0; i < THREAD_STEPS; i++) {
        const MoseTraceBlock block = { address_of(start->vcpu, i), 1,
                                       (const guint8 *)"\1", (const guint8 *)"\x90" };
        MoseTraceAccess access = { .size = 8 };

        if (i % STEPS_A_BLOCK == 0)
            id = mose_trace_writer_define(start->writer, &block);
        /* Addresses that nobody foresees, for many chunks. */
        access.address = (guint64)i * i * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
        mose_trace_writer_block(start->writer, start->vcpu, id);
        for (guint k = 0; k < 3; k++, access.address *= 3)
            mose_trace_writer_access(start->writer, start->vcpu, &access);
    }
    return NULL;
}

/* Each vCPU by a thread of its own, all of which define blocks. */
static void
test_threads(void)
{
    g_autofree char *path = g_build_filename(dir, "trace", NULL);
    const MoseTraceInfo info = { .n_vcpus = THREADS, .memory = TRUE };
    g_autoptr(GError) error = NULL;
    MoseTraceWriter *writer = mose_trace_create(path, &info, 1, &error);
    GThread *threads[THREADS];
    ThreadStart starts[THREADS];
    g_autoptr(MoseTrace) trace = NULL;

    g_assert_no_error(error);
    for (guint i = 0; i < THREADS; i++) {
        starts[i] = (ThreadStart){ writer, i };
        threads[i] = g_thread_new("vcpu", run_vcpu, &starts[i]);
    }
    for (guint i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
    trace = end(writer, path);
    g_assert_cmpuint(mose_trace_n_blocks(trace), ==,
                     THREADS * THREAD_STEPS / STEPS_A_BLOCK);
    for (guint vcpu = 0; vcpu < THREADS; vcpu++) {
        g_autoptr(MoseTraceCursor) cursor = mose_trace_cursor_new(trace, vcpu);
        MoseTraceStep step;
        guint i = 0;

        for (; mose_trace_cursor_next(cursor, &step, &error); i++)
            g_assert_cmpuint(mose_trace_block(trace, step.block)->address, ==,
                             address_of(vcpu, i));
        g_assert_no_error(error);
        g_assert_cmpuint(i, ==, THREAD_STEPS);
    }
}

/* --- names --- */

static void
check_name(const MoseTrace *trace, guint32 task, guint64 address, const char *symbol,
           const char *object)
{
    MoseTraceFound found;

    g_assert_true(mose_trace_name(trace, task, address, &found) == (symbol || object));
    g_assert_cmpstr(found.symbol ? found.symbol->name : NULL, ==, symbol);
    g_assert_cmpstr(found.object ? found.object->object : NULL, ==, object);
}

static void
test_names(void)
{
    g_autofree char *path = g_build_filename(dir, "trace", NULL);
    MoseTraceWriter *writer = begin(path, 1);
    const MoseTraceTask task = { .pid = 1, .name = "init" };
    const MoseTraceName early = { MOSE_TRACE_NO_TASK, 0xf000, 0xf100, "do_fork",
                                  "vmlinux" };
    const MoseTraceName late[] = {
        { MOSE_TRACE_NO_TASK, 0xf000, 0xf800, "text", "vmlinux" },
        { MOSE_TRACE_NO_TASK, 0xf100, 0xf140, "old", "ext4" },
        { MOSE_TRACE_NO_TASK, 0xf100, 0xf180, "new", "btrfs" },
        { 1, 0x4000, 0x6000, NULL, "/bin/sh", "c0ffee", 0x1000 },
        { 1, 0x5000, 0x6000, NULL, "/lib/libc.so", NULL, 0 },
        { 1, 0xf100, 0xf101, "own", NULL },
    };
    g_autoptr(MoseTrace) trace = NULL;
    MoseTraceFound found;

    mose_trace_writer_names(writer, &early, 1);
    mose_trace_writer_define_task(writer, &task);
    mose_trace_writer_define_task(writer, &task);
    mose_trace_writer_names(writer, late, G_N_ELEMENTS(late));
    trace = end(writer, path);
    check_name(trace, MOSE_TRACE_NO_TASK, 0xefff, NULL, NULL);
    /* Both begin there: the later one has it; where it has ended, the earlier. */
    check_name(trace, MOSE_TRACE_NO_TASK, 0xf000, "text", NULL);
    check_name(trace, 0, 0xf100, "new", NULL);
    check_name(trace, 1, 0xf100, "own", NULL);
    check_name(trace, 1, 0xf17f, "new", NULL);
    check_name(trace, 0, 0xf180, "text", NULL);
    check_name(trace, 0, 0xf7ff, "text", NULL);
    check_name(trace, 0, 0xf800, NULL, NULL);
    check_name(trace, 1, 0x4fff, NULL, "/bin/sh");
    check_name(trace, 1, 0x5000, NULL, "/lib/libc.so");
    check_name(trace, 0, 0x5000, NULL, NULL);
    check_name(trace, 77, 0xf100, "new", NULL);
    g_assert_true(mose_trace_name(trace, 1, 0x4000, &found));
    g_assert_cmpstr(found.object->build_id, ==, "c0ffee");
    g_assert_cmpuint(found.object->file_offset, ==, 0x1000);
    g_assert_null(found.object->name);
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("mose-trace-XXXXXX", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(plans); i++) {
        static const char *const names[] = { "loops", "wild", "memory", "all" };
        g_autofree char *whole = g_strconcat("/trace/whole/", names[i], NULL);
        g_autofree char *seek = g_strconcat("/trace/seek/", names[i], NULL);
        g_autofree char *merge = g_strconcat("/trace/merge/", names[i], NULL);

        g_test_add_data_func(whole, &plans[i], test_whole);
        g_test_add_data_func(seek, &plans[i], test_seek);
        g_test_add_data_func(merge, &plans[i], test_merge);
    }
    g_test_add_func("/trace/ends", test_ends);
    g_test_add_func("/trace/names", test_names);
    g_test_add_func("/trace/threads", test_threads);
    ret = g_test_run();
    g_rmdir(dir);
    return ret;
}

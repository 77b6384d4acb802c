/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a trace's writer does not take, what a reader does not believe, and how large a
 * trace is. */
#include <glib/gstdio.h>
#include <string.h>

#include "lib/trace-forge.h"
#include "lib/trace-story.h"
#include "trace/bytes.h"
#include "util/error.h"

#define ALL_KINDS "{\"vcpus\": 1, \"memory\": true, \"values\": true}"

static char *dir, *path;

static const guint8 lengths[MOSE_TRACE_INSTRUCTIONS_MAX + 1] = { 1, 2, 3, 0, 16 };
static const guint8 bytes[64];

/* --- calls that make no sense --- */

static void
call_wrong(MoseTraceWriter *writer, guint which)
{
    const MoseTraceBlock good = { 0x1000, 3, lengths, bytes };
    const MoseTraceBlock none = { 0x1000, 0, lengths, bytes };
    const MoseTraceBlock zero = { 0x1000, 4, lengths, bytes };
    const MoseTraceBlock far = { 0x1000, 1, lengths + 4, bytes };
    const MoseTraceBlock many = { 0x1000, G_N_ELEMENTS(lengths), lengths, bytes };
    const MoseTraceAccess odd = { .size = 3 }, behind = { .size = 8, .instruction = 3 };
    const MoseTraceAccess large = { .size = 128 },
                          valued = { .size = 8, .has_value = TRUE };
    const MoseTraceName empty = { MOSE_TRACE_NO_TASK, 7, 7, "x" };
    const MoseTraceName unknown = { 0, 7, 8, "x" };
    const MoseTraceRegister other = { 1, 0 };

    if (which > 2)
        mose_trace_writer_block(writer, 0, mose_trace_writer_define(writer, &good));
    switch (which) {
    case 0:
        mose_trace_writer_block(writer, 0, 0);
        break;
    case 1:
        mose_trace_writer_cut(writer, 0, 0);
        break;
    case 2:
        mose_trace_writer_access(writer, 0, &(MoseTraceAccess){ .size = 8 });
        break;
    case 3:
        mose_trace_writer_block(writer, 1, 0);
        break;
    case 4:
        mose_trace_writer_cut(writer, 0, 4);
        break;
    case 5:
        mose_trace_writer_access(writer, 0, &odd);
        break;
    case 6:
        mose_trace_writer_access(writer, 0, &large);
        break;
    case 7:
        mose_trace_writer_access(writer, 0, &behind);
        break;
    case 8:
        mose_trace_writer_access(writer, 0, &valued);
        break;
    case 9:
        mose_trace_writer_task(writer, 0, 0);
        break;
    case 10:
        mose_trace_writer_registers(writer, 0, &other, 1);
        break;
    case 11:
        mose_trace_writer_names(writer, &empty, 1);
        break;
    case 12:
        mose_trace_writer_names(writer, &unknown, 1);
        break;
    case 13:
        g_assert_cmpuint(mose_trace_writer_define(writer, &none), ==,
                         MOSE_TRACE_NO_BLOCK);
        break;
    case 14:
        mose_trace_writer_define(writer, &zero);
        break;
    case 15:
        mose_trace_writer_define(writer, &far);
        break;
    default:
        mose_trace_writer_define(writer, &many);
        break;
    }
}

static void
test_wrong_calls(void)
{
    static const char *const names[] = { "rax", NULL };
    static const char *const says[] = {
        "no block 0",
        "no block yet",
        "no block yet",
        "no vCPU 1",
        "4 instructions of a block of 3",
        "3 bytes",
        "128 bytes",
        "instruction 3",
        "access 0",
        "no task 0",
        "no register 1",
        "no name for",
        "no name for",
        "0 instructions",
        "no length",
        "too much of it",
        "513 instructions",
    };
    const MoseTraceInfo info = { .n_vcpus = 1, .memory = TRUE, .registers = names };

    for (guint i = 0; i < G_N_ELEMENTS(says); i++) {
        g_autoptr(GError) error = NULL, again = NULL;
        g_autoptr(MoseTraceWriter) writer = mose_trace_create(path, &info, 1, &error);
        guint64 size;

        g_assert_no_error(error);
        call_wrong(writer, i);
        g_assert_false(mose_trace_writer_check(writer, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
        g_assert_nonnull(strstr(error->message, says[i]));
        g_assert_false(mose_trace_writer_finish(writer, &size, &again));
        g_assert_cmpstr(again->message, ==, error->message);
        g_unlink(path);
    }
}

static void
test_begin(void)
{
    MoseTraceInfo info = { .n_vcpus = 0 };
    g_autoptr(GError) none = NULL, many = NULL, there = NULL;

    g_assert_null(mose_trace_create(path, &info, 1, &none));
    g_assert_error(none, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_unlink(path);
    info.n_vcpus = MOSE_TRACE_VCPUS_MAX + 1;
    g_assert_null(mose_trace_create(path, &info, 1, &many));
    g_assert_error(many, MOSE_ERROR, MOSE_ERROR_INVALID);
    info.n_vcpus = 1;
    g_assert_null(mose_trace_create(path, &info, 1, &there));
    g_assert_error(there, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_assert_nonnull(strstr(there->message, "is there already"));
    g_unlink(path);
}

/* As many accesses of one execution as there may be, of the largest kind. */
static void
test_many_accesses(void)
{
    const MoseTraceInfo info = { .n_vcpus = 1, .memory = TRUE, .values = TRUE };
    const MoseTraceBlock block = { 0x1000, 1, lengths, bytes };
    MoseTraceAccess access = { .size = 64, .has_value = TRUE };
    g_autoptr(MoseTraceWriter) writer = mose_trace_create(path, &info, 1, NULL);
    g_autoptr(MoseTrace) trace = NULL;
    g_autoptr(MoseTraceCursor) cursor = NULL;
    g_autoptr(GError) error = NULL;
    MoseTraceStep step;
    guint64 size;

    mose_trace_writer_block(writer, 0, mose_trace_writer_define(writer, &block));
    for (guint i = 0; i < MOSE_TRACE_ACCESSES_MAX; i++) {
        access.address = i * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
        for (guint k = 0; k < MOSE_TRACE_VALUE_WORDS; k++)
            access.value[k] = access.address * (k + 3);
        mose_trace_writer_access(writer, 0, &access);
    }
    mose_trace_writer_finish(writer, &size, &error);
    g_assert_no_error(error);
    trace = mose_trace_open(path, &error);
    g_assert_no_error(error);
    cursor = mose_trace_cursor_new(trace, 0);
    g_assert_true(mose_trace_cursor_next(cursor, &step, &error));
    g_assert_cmpuint(step.n_accesses, ==, MOSE_TRACE_ACCESSES_MAX);
    g_assert_cmpmem(&step.accesses[MOSE_TRACE_ACCESSES_MAX - 1], sizeof(access),
                    &access, sizeof(access));
    g_unlink(path);
}

/* --- files that make no sense --- */

/* The file is refused when it is opened, or its vCPU 0 when it is read. */
static void
check_refused(const TraceForge *forge, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTrace) trace = NULL;

    g_assert_true(g_file_set_contents(path, (const char *)forge->file->data,
                                      forge->file->len, NULL));
    trace = mose_trace_open(path, &error);
    if (trace) {
        g_autoptr(MoseTraceCursor) cursor = mose_trace_cursor_new(trace, 0);
        MoseTraceStep step;

        while (mose_trace_cursor_next(cursor, &step, &error))
            continue;
    }
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "offset"));
    g_assert_nonnull(strstr(error->message, says));
    g_unlink(path);
}

static void
add_code(TraceForge *forge)
{
    /* One block of one instruction at 0: three streams of 2, 1 and 1 bytes. */
    static const guint8 code[] = { 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0x90 };

    trace_forge_chunk(forge, &(TraceChunk){ .kind = TRACE_CODE, .count = 1 }, code,
                      sizeof(code));
}

/* @executions, and streams by their lengths and bytes. */
static void
add_flow(TraceForge *forge, guint32 executions, guint64 count,
         const char *const *streams)
{
    TraceSink payload = { NULL };

    trace_put_low(&payload, executions, 4);
    for (guint i = 0; i < TRACE_FLOW_STREAMS; i++)
        trace_put_low(&payload, streams[i] ? (guint8)streams[i][0] : 0, 4);
    for (guint i = 0; i < TRACE_FLOW_STREAMS; i++)
        if (streams[i])
            trace_put_bytes(&payload, streams[i] + 1, (guint8)streams[i][0]);
    trace_forge_chunk(forge, &(TraceChunk){ .kind = TRACE_FLOW, .count = count },
                      payload.begin, trace_sink_len(&payload));
    trace_sink_clear(&payload);
}

static void
test_forged_flow(void)
{
    /* The first byte of each stream is its length. One execution of block 0 is the run
     * of 0 and the number 1; its shape of no accesses a run of 1. */
    static const struct {
        const char *says;
        guint32 executions;
        guint64 count;
        const char *streams[TRACE_FLOW_STREAMS];
    } forged[] = {
        { "too many executions", TRACE_EXECUTIONS_MAX + 1, 1, { "\2\0\1" } },
        { "a run is missing", 1, 1, { NULL } },
        { "a block is missing", 1, 1, { "\1\0" } },
        { "no such block", 1, 1, { "\2\0\2", NULL, NULL, "\1\1" } },
        { "no such block", 1, 1, { "\2\0\0", NULL, NULL, "\1\1" } },
        { "no such block", 1, 1, { "\1\1", NULL, NULL, "\1\1" } },
        { "a run is missing", 1, 1, { "\2\0\1" } },
        { "a shape is missing", 1, 1, { "\2\0\1", NULL, NULL, "\1\0" } },
        { "a shape is missing", 1, 1, { "\2\0\1", NULL, NULL, "\2\0\1" } },
        { "a shape is missing", 1, 1, { "\2\0\1", NULL, NULL, "\5\0\x81\x80\x10\0" } },
        { "an access makes no sense", 1, 1, { "\2\0\1", NULL, NULL, "\4\0\1\0\0" } },
        /* Of an instruction that is not there; of 128 bytes. */
        { "an access makes no sense",
          1,
          1,
          { "\2\0\1", NULL, NULL, "\4\0\1\1\0", "\1\0" } },
        { "an access makes no sense",
          1,
          1,
          { "\2\0\1", NULL, NULL, "\4\0\1\0\x0e", "\1\0" } },
        { "a cut makes no sense", 1, 1, { "\2\0\1", "\2\0\0", NULL, "\1\1" } },
        { "a cut is not within", 1, 1, { "\2\0\1", "\2\1\1", NULL, "\1\1" } },
        { "says of itself", 1, 1, { "\2\0\1", "\2\1\0", NULL, "\1\1" } },
        { "says of itself", 1, 0, { "\2\0\1", NULL, NULL, "\1\2" } },
        { "an event has no place", 1, 1, { "\2\0\1", NULL, "\2\2\1", "\1\1" } },
        { "an event makes no sense", 1, 1, { "\2\0\1", NULL, "\2\0\x10", "\1\1" } },
        { "an event makes no sense", 1, 1, { "\2\0\1", NULL, "\3\0\x08\1", "\1\1" } },
        { "more than its executions", 1, 1, { "\3\0\1\0", NULL, NULL, "\1\1" } },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(forged); i++) {
        g_auto(TraceForge) forge = { NULL };

        trace_forge_init(&forge);
        trace_forge_info(&forge, ALL_KINDS);
        add_code(&forge);
        add_flow(&forge, forged[i].executions, forged[i].count, forged[i].streams);
        trace_forge_end(&forge);
        check_refused(&forge, forged[i].says);
    }
}

static void
test_forged_file(void)
{
    static const char *const infos[] = { "{", "{}", "{\"vcpus\": 0}",
                                         "{\"vcpus\": 257}",
                                         "{\"vcpus\": 1, \"registers\": [1]}" };

    for (gsize i = 0; i < G_N_ELEMENTS(infos); i++) {
        g_auto(TraceForge) forge = { NULL };

        trace_forge_init(&forge);
        trace_forge_info(&forge, infos[i]);
        trace_forge_end(&forge);
        check_refused(&forge, "offset 16");
    }
}

/* Small files that would take much memory. */
static void
test_bombs(void)
{
    static const TraceKind kinds[] = { TRACE_CODE, TRACE_NAMES };

    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_auto(TraceForge) forge = { NULL };

        trace_forge_init(&forge);
        trace_forge_info(&forge, ALL_KINDS);
        for (guint64 raw = 0; raw <= TRACE_CODE_MAX; raw += TRACE_CHUNK_MAX)
            trace_forge_bomb(&forge, kinds[i], 10, TRACE_CHUNK_MAX);
        trace_forge_end(&forge);
        check_refused(&forge, "too many definitions");
    }
}

/* More than a chunk may have: there is no such chunk, and the file ends before it. */
static void
test_too_large_chunk(void)
{
    g_auto(TraceForge) forge = { NULL };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTrace) trace = NULL;
    guint64 cut, at;

    trace_forge_init(&forge);
    trace_forge_info(&forge, ALL_KINDS);
    at = forge.file->len;
    trace_forge_bomb(&forge, TRACE_FLOW, 10, TRACE_CHUNK_MAX + 1);
    trace_forge_end(&forge);
    g_assert_true(g_file_set_contents(path, (const char *)forge.file->data,
                                      forge.file->len, NULL));
    trace = mose_trace_open(path, &error);
    g_assert_no_error(error);
    g_assert_false(mose_trace_is_whole(trace, &cut));
    g_assert_cmpuint(cut, ==, at);
    g_unlink(path);
}

/* --- sizes --- */

/* Bytes an instruction of loops as they are. */
static double
size_of(gboolean memory, int level)
{
    const TraceStoryPlan plan = { .seed = 8,
                                  .n_vcpus = 1,
                                  .n_blocks = 500,
                                  .n_tasks = 5,
                                  .n_steps = 100000,
                                  .memory = memory,
                                  .values = memory };
    g_autoptr(TraceStory) story = trace_story_new(&plan);
    guint64 size = trace_story_write(story, path, level);

    g_unlink(path);
    return (double)size / (double)trace_story_instructions(story, 0);
}

static void
test_sizes(void)
{
    g_assert_cmpfloat(size_of(FALSE, 1), <, 0.1);
    g_assert_cmpfloat(size_of(TRUE, 1), <, 0.5);
    g_assert_cmpfloat(size_of(TRUE, 3), <=, size_of(TRUE, 1));
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("mose-trace-XXXXXX", NULL);
    path = g_build_filename(dir, "trace", NULL);
    g_test_add_func("/trace/limits/wrong-calls", test_wrong_calls);
    g_test_add_func("/trace/limits/begin", test_begin);
    g_test_add_func("/trace/limits/many-accesses", test_many_accesses);
    g_test_add_func("/trace/limits/forged-flow", test_forged_flow);
    g_test_add_func("/trace/limits/forged-file", test_forged_file);
    g_test_add_func("/trace/limits/bombs", test_bombs);
    g_test_add_func("/trace/limits/too-large-chunk", test_too_large_chunk);
    g_test_add_func("/trace/limits/sizes", test_sizes);
    ret = g_test_run();
    g_rmdir(dir);
    g_free(path);
    g_free(dir);
    return ret;
}

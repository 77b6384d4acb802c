/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Traces that are damaged, or cut: what is read of them is what was written, and what
 * cannot be read is refused. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/resource.h>

#include "lib/trace-story.h"
#include "trace/format.h"
#include "util/error.h"

static char *dir, *path;

/* All kinds of events in a small file. */
static const TraceStoryPlan small = { .seed = 5,
                                      .n_vcpus = 2,
                                      .n_blocks = 10,
                                      .n_tasks = 4,
                                      .n_steps = 60,
                                      .memory = TRUE,
                                      .values = TRUE,
                                      .registers = TRUE };
/* Several chunks of each vCPU. */
static const TraceStoryPlan large = { .seed = 6,
                                      .n_vcpus = 2,
                                      .n_blocks = 2000,
                                      .n_tasks = 40,
                                      .n_steps = 50000,
                                      .memory = TRUE,
                                      .values = TRUE,
                                      .wild = TRUE };

/* Whether the file's first bytes are taken for a trace; what it holds then is checked.
 * *@ret_whole: with its end; *@ret_n: how many instructions there are. */
static gboolean
is_sound(const TraceStory *story, const char *data, gsize len, gboolean *ret_whole,
         guint64 *ret_n, GError **error)
{
    g_autoptr(MoseTrace) trace = NULL;
    guint64 cut = 0;

    *ret_n = 0;
    g_assert_true(g_file_set_contents(path, data, (gssize)len, NULL));
    trace = mose_trace_open(path, error);
    if (!trace)
        return FALSE;
    *ret_whole = mose_trace_is_whole(trace, &cut);
    g_assert_true(*ret_whole || (cut >= TRACE_HEADER && cut <= len));
    for (guint i = 0; i < mose_trace_info(trace)->n_vcpus; i++)
        *ret_n += mose_trace_instructions(trace, i);
    return trace_story_check(story, trace, error);
}

static char *
write_one(const TraceStory *story, gsize *ret_len)
{
    g_autofree char *first = g_build_filename(dir, "first", NULL);
    char *data;

    trace_story_write(story, first, 1);
    g_assert_true(g_file_get_contents(first, &data, ret_len, NULL));
    g_unlink(first);
    return data;
}

/* Any one byte: there is none of which nothing depends. */
static void
test_bytes(void)
{
    g_autoptr(TraceStory) story = trace_story_new(&small);
    gsize len;
    g_autofree char *data = write_one(story, &len);
    guint cut = 0;

    for (gsize i = 0; i < len; i++) {
        g_autoptr(GError) error = NULL;
        gboolean whole = FALSE;
        char was = data[i];
        guint64 n;

        data[i] ^= (char)g_test_rand_int_range(1, 256);
        if (is_sound(story, data, len, &whole, &n, &error)) {
            /* The index, or a header by which it could only be gone on to. */
            g_assert_false(whole);
            cut++;
        } else {
            g_assert_true(g_error_matches(error, MOSE_ERROR, MOSE_ERROR_INVALID) ||
                          (i < TRACE_HEADER &&
                           g_error_matches(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED)));
            g_assert_true(i < TRACE_HEADER || strstr(error->message, "offset"));
        }
        data[i] = was;
    }
    g_assert_cmpuint(cut, >=, TRACE_CHUNK_HEADER + TRACE_FOOTER);
    g_assert_cmpuint(cut, <, len / 2);
}

/* Up to there it is read, and said to be cut; with each byte there is no less of it. */
static void
check_cut(const TraceStory *story, const char *data, gsize len, guint64 *n)
{
    g_autoptr(GError) error = NULL;
    gboolean whole = FALSE;
    guint64 before = *n;

    if (is_sound(story, data, len, &whole, n, &error)) {
        g_assert_false(whole);
        g_assert_cmpuint(*n, >=, before);
    } else {
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
        g_assert_cmpuint(before, ==, 0);
    }
}

static void
test_cut(void)
{
    g_autoptr(TraceStory) one = trace_story_new(&small), two = trace_story_new(&large);
    gsize len;
    g_autofree char *data = write_one(one, &len), *more = NULL;
    guint64 n = 0, all = 0;

    for (gsize i = 0; i < len; i++)
        check_cut(one, data, i, &n);
    g_assert_cmpuint(
        n, ==, trace_story_instructions(one, 0) + trace_story_instructions(one, 1));
    more = write_one(two, &len);
    n = 0;
    for (gsize i = 0; i < len; i += len / 40)
        check_cut(two, more, i, &n);
    all = trace_story_instructions(two, 0) + trace_story_instructions(two, 1);
    g_assert_cmpuint(n, >, all / 2);
    g_assert_cmpuint(n, <=, all);
}

/* A writer that goes away without a word. */
static void
test_unfinished(void)
{
    g_autoptr(TraceStory) story = trace_story_new(&large);
    g_autofree char *file = g_build_filename(dir, "unfinished", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTraceWriter) writer =
        mose_trace_create(file, trace_story_info(story), 1, &error);
    g_autoptr(MoseTrace) trace = NULL;

    g_assert_no_error(error);
    trace_story_tell(story, writer);
    g_clear_pointer(&writer, mose_trace_writer_free);
    trace = mose_trace_open(file, &error);
    g_assert_no_error(error);
    g_assert_false(mose_trace_is_whole(trace, NULL));
    g_assert_true(trace_story_check(story, trace, &error));
    g_assert_cmpuint(mose_trace_instructions(trace, 0), >,
                     trace_story_instructions(story, 0) / 2);
    g_unlink(file);
}

/* --- where there is no room --- */

static void
set_limit(rlim_t bytes)
{
    struct rlimit limit;

    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    limit.rlim_cur = bytes;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* After @room bytes. The error is kept until it is asked for, and all is taken that
 * comes after it. */
static void
check_full(const TraceStory *story, rlim_t room)
{
    g_autofree char *file = g_build_filename(dir, "full", NULL);
    g_autoptr(GError) error = NULL, at_end = NULL, at_open = NULL;
    g_autoptr(MoseTraceWriter) writer = NULL;
    g_autoptr(MoseTrace) trace = NULL;
    guint64 bytes;

    set_limit(room);
    writer = mose_trace_create(file, trace_story_info(story), 1, &error);
    g_assert_no_error(error);
    trace_story_tell(story, writer);
    if (room < 100000) {
        g_assert_false(mose_trace_writer_check(writer, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES);
    }
    g_assert_false(mose_trace_writer_finish(writer, &bytes, &at_end));
    set_limit(RLIM_INFINITY);
    g_assert_error(at_end, MOSE_ERROR, MOSE_ERROR_RESOURCES);
    g_assert_nonnull(strstr(at_end->message, file));
    trace = mose_trace_open(file, &at_open);
    g_assert_no_error(at_open);
    g_assert_false(mose_trace_is_whole(trace, NULL));
    g_assert_true(trace_story_check(story, trace, &at_open));
    g_unlink(file);
}

static void
test_full(void)
{
    g_autoptr(TraceStory) story = trace_story_new(&large);
    g_autofree char *file = g_build_filename(dir, "whole", NULL);
    guint64 len = trace_story_write(story, file, 1);
    MoseTraceInfo info = { .n_vcpus = 1 };
    g_autoptr(GError) error = NULL;

    g_unlink(file);
    signal(SIGXFSZ, SIG_IGN);
    check_full(story, 5000);
    check_full(story, len / 2);
    check_full(story, len - 1);
    check_full(story, len - TRACE_FOOTER - 10);
    g_assert_null(mose_trace_writer_new(open("/dev/full", O_WRONLY | O_CLOEXEC),
                                        "/dev/full", &info, 1, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES);
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("mose-trace-XXXXXX", NULL);
    path = g_build_filename(dir, "try", NULL);
    g_test_add_func("/trace/damage/bytes", test_bytes);
    g_test_add_func("/trace/damage/cut", test_cut);
    g_test_add_func("/trace/damage/unfinished", test_unfinished);
    g_test_add_func("/trace/damage/full", test_full);
    ret = g_test_run();
    g_unlink(path);
    g_rmdir(dir);
    g_free(path);
    g_free(dir);
    return ret;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is kept of a switch between two hosts outside the guest: that it was taken, and
 * how the images were; and answers that come late. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/taken.h"
#include "lib/says.h"
#include "switch/far-end.h"
#include "switch/image-stamps.h"
#include "util/error.h"
#include "util/json.h"

static char *dir;

static void
test_taken(void)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *other = g_uuid_string_random();
    g_autoptr(GError) error = NULL;

    g_assert_false(mose_taken_is(id));
    g_assert_true(mose_taken_note(id, &error));
    g_assert_no_error(error);
    g_assert_true(mose_taken_is(id));
    g_assert_false(mose_taken_is(other));
    g_assert_true(mose_taken_forget(id, &error));
    g_assert_true(mose_taken_forget(id, &error)); /* twice is no error */
    g_assert_false(mose_taken_is(id));
}

/* An id is a stranger's word, and part of a path. */
static void
test_id(void)
{
    static const char *const wrong[] = { "", "none", "../guest/lock", "/etc/passwd",
                                         "0123456789abcdef0123456789abcdef0123" };

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) note = NULL, forget = NULL;

        g_assert_false(mose_taken_note(wrong[i], &note));
        assert_says(note, MOSE_ERROR_INVALID, "no id");
        g_assert_false(mose_taken_forget(wrong[i], &forget));
        assert_says(forget, MOSE_ERROR_INVALID, "no id");
        g_assert_false(mose_taken_is(wrong[i]));
    }
}

static void
write_file(const char *path, const char *text)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void
test_stamps(void)
{
    g_autofree char *one = g_build_filename(dir, "one", NULL);
    g_autofree char *two = g_build_filename(dir, "two", NULL);
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    g_autoptr(GPtrArray) device = g_ptr_array_new();
    const struct timespec long_ago[2] = { { 1, 0 }, { 1, 0 } };
    g_autoptr(JsonArray) stamps = NULL;
    g_autoptr(GError) error = NULL;

    write_file(one, "image");
    write_file(two, "image");
    /* The clock of files ticks slowly. */
    g_assert_cmpint(utimensat(AT_FDCWD, two, long_ago, 0), ==, 0);
    g_ptr_array_add(paths, one);
    g_ptr_array_add(paths, two);
    stamps = mose_image_stamps(paths, &error);
    g_assert_no_error(error);
    g_assert_true(mose_image_stamps_hold(stamps, &error));
    write_file(two, "imagf");
    g_assert_false(mose_image_stamps_hold(stamps, &error));
    assert_says(error, MOSE_ERROR_FAILED, two);
    g_clear_error(&error);
    unlink(two);
    g_assert_false(mose_image_stamps_hold(stamps, &error));
    assert_says(error, MOSE_ERROR_FAILED, two);
    g_clear_error(&error);
    /* The time of a node in /dev says nothing. */
    g_ptr_array_add(device, (gpointer) "/dev/null");
    g_assert_null(mose_image_stamps(device, &error));
    assert_says(error, MOSE_ERROR_UNSUPPORTED, "/dev/null");
    unlink(one);
}

static void
say(int fd, const char *line)
{
    g_assert_cmpint(write(fd, line, strlen(line)), ==, (gssize)strlen(line));
}

/* A request was given up; its answer comes before that to the next, and is not it. */
static void
test_late(void)
{
    g_autoptr(JsonObject) none = NULL, answer = NULL;
    g_autoptr(GError) error = NULL;
    MoseFarEnd end = { .label = (char *)"there" };
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    end.words = mose_words_new(pair[0]);
    none = mose_far_end_call(&end, mose_json_object("do", "s", "ready", NULL), 10, -1,
                             &error);
    g_assert_null(none);
    assert_says(error, MOSE_ERROR_TIMEOUT, "there");
    g_clear_error(&error);
    say(pair[1],
        "{\"to\":1,\"error\":\"late\",\"code\":0}\n{\"to\":2,\"good\":true}\n");
    answer = mose_far_end_call(&end, mose_json_object("do", "s", "commit", NULL), 5000,
                               -1, &error);
    g_assert_no_error(error);
    g_assert_false(end.refused);
    g_assert_true(mose_json_bool(answer, "good", FALSE));
    mose_words_free(end.words);
    close(pair[0]);
    close(pair[1]);
}

int
main(int argc, char **argv)
{
    g_autofree char *taken = NULL;
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("mose-taken-XXXXXX", NULL);
    g_setenv("MOSE_RUNTIME_DIR", dir, TRUE);
    g_test_add_func("/taken/noted", test_taken);
    g_test_add_func("/taken/id", test_id);
    g_test_add_func("/taken/stamps", test_stamps);
    g_test_add_func("/taken/late-answer", test_late);
    ret = g_test_run();
    taken = g_build_filename(dir, ".taken", NULL);
    rmdir(taken);
    g_assert_cmpint(rmdir(dir), ==, 0);
    g_free(dir);
    return ret;
}

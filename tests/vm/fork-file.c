/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Forks in files: written of a real guest, and guests again; and files that are none.
 */
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "vm/fork-guest.h"

#define KILLS 4

/* It ends, and its files with it. */
static void
end_imported(const VmGuest *guest, const char *files)
{
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    g_assert_false(fork_is_there(guest->name));
    g_assert_false(g_file_test(files, G_FILE_TEST_EXISTS));
}

/* Written to a file while the guest runs on, and made again of it, twice and when the
 * guest has gone; what comes of it can be forked itself. */
static void
test_file(void)
{
    g_autoptr(VmGuest) guest = NULL, first = NULL, second = NULL, fork = NULL;
    g_autofree char *image = NULL, *file = NULL, *files = NULL, *err = NULL;
    ForkSums begin, now, own;

    if (vm_cannot_run())
        return;
    image = fork_disk("file.qcow2");
    file = vm_path("exported.fork");
    guest = fork_start("file", image);
    begin = fork_write(guest, FORK_SMALL_MB);
    fork_assert_ok(vm_mose(NULL, &err, "fork", guest->name, "--export", file, NULL),
                   err);
    g_assert_false(fork_is_frozen(guest->name));
    fork_write(guest, FORK_SMALL_MB);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    unlink(image);

    fork_assert_ok(vm_mose(NULL, NULL, "fork", "--import", file, "file-1", NULL),
                   "import");
    first = fork_as_guest("file-1");
    now = fork_sums(first);
    fork_assert_same(&now, &begin);
    own = fork_write(first, FORK_SMALL_MB);
    fork_make(first, "file-fork", NULL);
    fork = fork_as_guest("file-fork");
    now = fork_sums(fork);
    fork_assert_same(&now, &own);
    fork_discard("file-fork");
    files = vm_path("file-1.files");
    g_assert_true(g_file_test(files, G_FILE_TEST_IS_DIR));
    end_imported(first, files);

    fork_assert_ok(vm_mose(NULL, NULL, "fork", "--import", file, "file-2", NULL),
                   "import");
    second = fork_as_guest("file-2");
    now = fork_sums(second);
    fork_assert_same(&now, &begin);
    g_free(files);
    files = vm_path("file-2.files");
    end_imported(second, files);
}

/* Not an exported fork, or only a part of one. */
static void
test_bad_file(void)
{
    g_autofree char *file = vm_path("bad.fork"), *part = NULL;
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *data = NULL;
    gsize len;

    if (vm_cannot_run())
        return;
    guest = fork_start("bad", NULL);
    FORK_REFUSED("cannot make", "fork", guest->name, "--export", "/proc/none/bad.fork");
    g_assert_false(fork_is_frozen(guest->name));
    g_assert_cmpint(vm_mose(NULL, NULL, "fork", guest->name, "--export", file, NULL),
                    ==, 0);
    FORK_REFUSED("is there already", "fork", guest->name, "--export", file);
    g_assert_false(fork_is_frozen(guest->name));
    g_assert_true(g_file_get_contents(file, &data, &len, NULL));
    g_assert_true(g_file_set_contents(file, data, (gssize)len / 2, NULL));
    FORK_REFUSED("not the whole of one", "fork", "--import", file, "bad-1");
    data[len / 2] ^= 1;
    g_assert_true(g_file_set_contents(file, data, (gssize)len, NULL));
    FORK_REFUSED("is damaged", "fork", "--import", file, "bad-1");
    g_assert_false(fork_is_there("bad-1"));
    part = vm_path("bad-1.files");
    g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

/* An export that is killed in the middle leaves the fork running, and nothing else. */
static void
test_killed(void)
{
    g_autofree char *dir = vm_path("killed"), *file = NULL;
    g_autoptr(VmGuest) guest = NULL;
    int killed = 0;

    if (vm_cannot_run())
        return;
    g_mkdir_with_parents(dir, 0700);
    file = g_build_filename(dir, "killed.fork", NULL);
    guest = fork_start("cut", NULL);
    fork_make(guest, "cut-1", NULL);
    for (int i = 0; i < KILLS; i++) {
        g_autoptr(GSubprocess) mose = g_subprocess_new(
            G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, NULL,
            g_getenv("MOSE"), "fork", "cut-1", "--export", file, "--compress", "19",
            NULL);

        g_usleep((20 + 80 * i) * 1000);
        g_subprocess_force_exit(mose);
        g_subprocess_wait(mose, NULL, NULL);
        killed += !g_subprocess_get_if_exited(mose);
        g_assert_false(g_file_test(file, G_FILE_TEST_EXISTS));
        for (int k = 0; k < 200; k++) {
            g_autofree char *state = NULL;
            g_autoptr(VmGuest) fork = fork_as_guest("cut-1");

            state = vm_state(fork);
            if (strcmp(state, "running") == 0)
                break;
            g_assert_cmpint(k, <, 199);
            g_usleep(50000);
        }
    }
    g_assert_cmpint(killed, ==, KILLS);
    fork_discard("cut-1");
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    vm_remove_tree(dir);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/fork/file", test_file);
    g_test_add_func("/fork/bad-file", test_bad_file);
    g_test_add_func("/fork/export-killed", test_killed);
    return vm_run_tests();
}

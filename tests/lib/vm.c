/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world of tests with real guests: directories and the command. See vm.h;
 * the guest itself: vm-guest.c. */
#include "lib/vm.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/guest.h"
#include "util/json.h"

/* Memory, as the directory that $XDG_RUNTIME_DIR names: on a disk that is busy a file
 * may take seconds to be replaced (ext4 writes back the new one first). */
/* Of what a command prints. */
#define MAX_SHOWN (1 << 16)
#define SHARED_MEMORY "/dev/shm"
#define STOP_TRIES 100
#define STOP_WAIT_US 200000

static char *work_dir, *runtime_dir, *image_dir, *why_not;

static char *
find_image_dir(void)
{
    const char *build = g_getenv("MOSE_GUEST_BUILD");
    const char *argv[] = { build, NULL };
    g_autofree char *out = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;

    if (!build ||
        !g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, NULL, &status,
                      &error) ||
        status != 0) {
        why_not = g_strdup_printf("the demo guest cannot be made (%s)",
                                  build ? build : "MOSE_GUEST_BUILD is not set");
        return NULL;
    }
    return g_strdup(g_strstrip(out));
}

void
vm_remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        vm_remove_tree(child);
    }
    g_remove(path);
}

static void
stop_all(void)
{
    g_auto(GStrv) names = mose_guest_names(NULL);

    for (char **name = names; name && *name; name++) {
        const char *argv[] = { g_getenv("MOSE"), "stop", "--keep", *name, NULL, NULL };
        int status = 1;

        /* Guardians may be busy with a QEMU that hangs; the host that has the guest may
         * be gone already. */
        for (int i = 0; i < STOP_TRIES && status != 0; i++) {
            if (i > 0) {
                argv[4] = "--forget";
                g_usleep(STOP_WAIT_US);
            }
            g_spawn_sync(NULL, (char **)argv, NULL,
                         G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                         NULL, NULL, NULL, &status, NULL);
        }
    }
}

/*
 * A test that aborts, or is killed for taking too long, cannot end its guests: a
 * child does, which outlives it. It keeps none of the test's output open.
 */
static void
start_janitor(void)
{
    int pipe_fds[2], null_fd;
    char byte;

    g_assert_cmpint(pipe2(pipe_fds, O_CLOEXEC), ==, 0);
    if (fork() != 0) {
        close(pipe_fds[0]); /* the other end closes with this process */
        return;
    }
    setsid();
    close(pipe_fds[1]);
    null_fd = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; fd++)
        dup2(null_fd, fd);
    while (read(pipe_fds[0], &byte, 1) < 0)
        ;
    if (g_file_test(runtime_dir, G_FILE_TEST_EXISTS)) {
        stop_all();
        vm_remove_tree(runtime_dir);
    }
    _exit(0);
}

char *
vm_make_runtime_dir(void)
{
    char *dir = g_strdup(SHARED_MEMORY "/mose-test-XXXXXX");

    if (g_mkdtemp(dir))
        return dir;
    g_free(dir);
    dir = vm_path("run");
    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    return dir;
}

void
vm_setup(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *qemu = g_find_program_in_path("qemu-system-x86_64");

    work_dir = g_dir_make_tmp("mose-test-XXXXXX", &error);
    g_assert_no_error(error);
    runtime_dir = vm_make_runtime_dir();
    g_setenv("MOSE_RUNTIME_DIR", runtime_dir, TRUE);
    start_janitor();
    if (!qemu)
        why_not = g_strdup("qemu-system-x86_64 is not installed");
    else
        image_dir = find_image_dir();
}

const char *
vm_why_not(void)
{
    return why_not;
}

gboolean
vm_cannot_run(void)
{
    if (vm_why_not())
        g_test_skip(vm_why_not());
    return vm_why_not() != NULL;
}

static void
clear(gboolean keep)
{
    stop_all();
    vm_remove_tree(runtime_dir);
    if (keep)
        g_test_message("its files are kept in %s", work_dir);
    else
        vm_remove_tree(work_dir);
    g_clear_pointer(&work_dir, g_free);
    g_clear_pointer(&runtime_dir, g_free);
    g_clear_pointer(&image_dir, g_free);
    g_clear_pointer(&why_not, g_free);
}

void
vm_teardown(void)
{
    clear(FALSE);
}

int
vm_run_tests(void)
{
    int ret = g_test_run();

    clear(ret != 0);
    return ret;
}

char *
vm_path(const char *name)
{
    return g_build_filename(work_dir, name, NULL);
}

char *
vm_image(const char *name)
{
    return g_build_filename(image_dir, name, NULL);
}

int
vm_mosev(char **ret_out, char **ret_err, const char *const *words)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autofree char *line = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    g_ptr_array_add(argv, (gpointer)g_getenv("MOSE"));
    for (; *words; words++)
        g_ptr_array_add(argv, (gpointer)*words);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (char **)argv->pdata, NULL, 0, NULL, NULL, &out, &err, &status,
                 &error);
    g_assert_no_error(error);
    line = g_strjoinv(" ", (char **)argv->pdata);
    g_test_message("%s\n%.*s%s", line, MAX_SHOWN, out, err);
    if (ret_out)
        *ret_out = g_steal_pointer(&out);
    if (ret_err)
        *ret_err = g_steal_pointer(&err);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static GPtrArray *
collect(const char *word, va_list args)
{
    GPtrArray *words = g_ptr_array_new();

    for (; word; word = va_arg(args, const char *))
        g_ptr_array_add(words, (gpointer)word);
    return words;
}

int
vm_mose(char **ret_out, char **ret_err, const char *word, ...)
{
    g_autoptr(GPtrArray) words = NULL;
    va_list args;

    va_start(args, word);
    words = collect(word, args);
    va_end(args);
    g_ptr_array_add(words, NULL);
    return vm_mosev(ret_out, ret_err, (const char *const *)words->pdata);
}

JsonObject *
vm_mose_json(const char *word, ...)
{
    g_autoptr(GPtrArray) words = NULL;
    g_autofree char *out = NULL;
    g_autoptr(GError) error = NULL;
    JsonObject *object;
    va_list args;

    va_start(args, word);
    words = collect(word, args);
    va_end(args);
    g_ptr_array_add(words, (gpointer) "--json");
    g_ptr_array_add(words, NULL);
    g_assert_cmpint(vm_mosev(&out, NULL, (const char *const *)words->pdata), ==, 0);
    object = mose_json_parse(out, -1, word, &error);
    g_assert_no_error(error);
    return object;
}

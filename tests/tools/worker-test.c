/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's worker notices damage: it runs here, on a file, which is first left
 * alone and then overwritten behind its back. What it says is read from its
 * standard error, as the guest's console would show it.
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, RING_END = 257 * BLOCK, LIMIT_SECONDS = 30 };

typedef struct {
    char *directory;
    char *disk;
    char *status;
    GSubprocess *process;
    GDataInputStream *errors;
} Worker;

static void
worker_start(Worker *worker)
{
    g_autoptr(GError) error = NULL;
    GInputStream *pipe;

    worker->process = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDERR_PIPE, &error, g_getenv("GUEST_WORKER"), "--disk",
        worker->disk, "--status", worker->status, "--pause", "1", NULL);
    g_assert_no_error(error);
    pipe = g_subprocess_get_stderr_pipe(worker->process);
    worker->errors = g_data_input_stream_new(pipe);
}

/* In the build directory: /tmp may be a tmpfs, which knows no O_DIRECT. */
static void
worker_set_up(Worker *worker, const char *content)
{
    g_autoptr(GError) error = NULL;

    worker->directory = g_strdup("worker-test-XXXXXX");
    g_assert_nonnull(g_mkdtemp(worker->directory));
    worker->disk = g_build_filename(worker->directory, "disk", NULL);
    worker->status = g_build_filename(worker->directory, "status", NULL);
    g_file_set_contents(worker->disk, content, -1, &error);
    g_assert_no_error(error);
    worker_start(worker);
}

static void
worker_tear_down(Worker *worker)
{
    g_subprocess_force_exit(worker->process);
    g_subprocess_wait(worker->process, NULL, NULL);
    g_object_unref(worker->errors);
    g_object_unref(worker->process);
    g_remove(worker->disk);
    g_remove(worker->status);
    g_rmdir(worker->directory);
    g_free(worker->disk);
    g_free(worker->status);
    g_free(worker->directory);
}

/* Blocks until the worker says something; meson's time limit is the limit. */
static char *
next_error(Worker *worker)
{
    g_autoptr(GError) error = NULL;
    char *line = g_data_input_stream_read_line(worker->errors, NULL, NULL, &error);

    g_assert_no_error(error);
    return line;
}

static void
on_changed(GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event,
           gpointer loop)
{
    if (event == G_FILE_MONITOR_EVENT_RENAMED || event == G_FILE_MONITOR_EVENT_MOVED_IN)
        g_main_loop_quit(loop);
}

static gboolean
on_limit(gpointer data)
{
    g_error("the worker wrote no status in %d s", LIMIT_SECONDS);
    return G_SOURCE_REMOVE;
}

/* Wait for the next status, which replaces the one before by a rename. */
static JsonNode *
next_status(const Worker *worker)
{
    g_autoptr(GFile) directory = g_file_new_for_path(worker->directory);
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GFileMonitor) monitor =
        g_file_monitor_directory(directory, G_FILE_MONITOR_WATCH_MOVES, NULL, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    guint limit = g_timeout_add_seconds(LIMIT_SECONDS, on_limit, NULL);
    JsonNode *status;

    g_signal_connect(monitor, "changed", G_CALLBACK(on_changed), loop);
    g_main_loop_run(loop);
    g_source_remove(limit);
    g_assert_true(g_file_get_contents(worker->status, &text, NULL, NULL));
    g_test_message("%s", text);
    status = json_from_string(text, &error);
    g_assert_no_error(error);
    return status;
}

static gint64
count(JsonNode *status, const char *check, const char *what)
{
    JsonObject *object = json_node_get_object(status);

    if (check)
        object = json_object_get_object_member(object, check);
    return json_object_get_int_member(object, what);
}

static gboolean
has_direct_io(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR | O_DIRECT, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Left alone, all checks make steps and none finds anything; then the disk goes. */
static void
test_disk(void)
{
    g_autoptr(JsonNode) status = NULL;
    g_autofree char *zeroes = g_malloc0(RING_END);
    g_autofree char *line = NULL;
    Worker worker = { 0 };
    int fd;

    if (!has_direct_io()) {
        g_test_skip("no O_DIRECT on the build directory's file system");
        return;
    }
    worker_set_up(&worker, "");
    status = next_status(&worker);
    g_assert_cmpint(count(status, NULL, "errors"), ==, 0);
    g_assert_cmpint(count(status, "memory", "steps"), >, 0);
    g_assert_cmpint(count(status, "disk", "steps"), >, 0);
    g_assert_cmpint(count(status, "clock", "steps"), >, 0);
    g_assert_cmpint(count(status, "registers", "steps"), >, 0);

    fd = g_open(worker.disk, O_WRONLY | O_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pwrite(fd, zeroes, RING_END, 0), ==, RING_END);
    close(fd);
    line = next_error(&worker);
    g_assert_true(g_str_has_prefix(line, "MOSE-GUEST ERROR disk disk: write "));
    worker_tear_down(&worker);
}

/* What is no ring of the worker's is refused, and stays as it was. */
static void
test_foreign_disk(void)
{
    g_autofree char *line = NULL;
    g_autofree char *content = NULL;
    Worker worker = { 0 };

    if (!has_direct_io()) {
        g_test_skip("no O_DIRECT on the build directory's file system");
        return;
    }
    worker_set_up(&worker, "a disk with something on it");
    line = next_error(&worker);
    g_assert_nonnull(strstr(line, "holds something else"));
    g_assert_true(g_file_get_contents(worker.disk, &content, NULL, NULL));
    g_assert_cmpstr(content, ==, "a disk with something on it");
    worker_tear_down(&worker);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker/disk", test_disk);
    g_test_add_func("/worker/foreign-disk", test_foreign_disk);
    return g_test_run();
}

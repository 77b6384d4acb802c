/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's storage daemon; see exports.h. */
#include "guest/exports.h"

#include <errno.h>
#include <unistd.h>

#include "guest/guest-dir.h"
#include "util/cgroup.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

#define DAEMON "qemu-storage-daemon"
/* The numbers under which the daemon inherits its listening sockets. */
#define MONITOR_FD 3
#define NBD_FD 4
#define START_TIMEOUT_MS 30000
/* Giving an image up writes what is cached of it, to a disk that may be slow. */
#define FLUSH_TIMEOUT_MS 60000
#define END_TIMEOUT_MS 10000
/* How long a daemon whose monitor has closed may take to end. */
#define LAST_WORDS_MS 1000

static char *
file_of(const MoseGuest *guest, const char *suffix)
{
    return g_strdup_printf("%s/exports%s", guest->dir, suffix);
}

void
mose_exports_free(MoseExports *exports)
{
    if (!exports)
        return;
    mose_process_free(exports->process);
    mose_qmp_free(exports->qmp);
    g_clear_pointer(&exports->disks, g_ptr_array_unref);
    g_free(exports->socket);
    g_free(exports);
}

static void
remove_files(const MoseGuest *guest)
{
    static const char *const suffixes[] = { ".qmp", ".nbd", ".pid", ".log", "" };

    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *path = file_of(guest, suffixes[i]);

        unlink(path);
    }
}

/* --- the record --- */

static gboolean
write_record(const MoseGuest *guest, const MoseExports *exports, GError **error)
{
    g_autofree char *path = file_of(guest, "");
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) record = mose_json_object(
        "pid", "i", (gint64)exports->process->pid, "start-time", "i",
        (gint64)exports->process->start_time, "boot-id", "s", guest->boot_id, "disks",
        "a", mose_exports_to_json(exports->disks), NULL);

    text = mose_json_text(record, TRUE);
    return mose_guest_dir_write(path, text, error);
}

static JsonObject *
read_record(const MoseGuest *guest, GError **error)
{
    g_autofree char *path = file_of(guest, "");
    g_autofree char *text = NULL;

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "the disks of guest %s are not exported", guest->name);
        return NULL;
    }
    text = mose_guest_dir_read(path, error);
    return text ? mose_json_parse(text, -1, path, error) : NULL;
}

/* --- starting it --- */

/* The daemon's last words, where it has ended. */
static void
explain(const MoseGuest *guest, const MoseExports *exports, GError **error)
{
    g_autofree char *log = file_of(guest, ".log");
    g_autofree char *said = NULL;

    if (!error || !g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_CLOSED) ||
        !mose_process_wait(exports->process, LAST_WORDS_MS))
        return;
    said = mose_log_said(log);
    g_clear_error(error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED, "%s did not start: %s", DAEMON,
                *said ? said : "it ended without a word");
}

static MoseProcess *
spawn(const MoseGuest *guest, const char *socket, const MoseProcess *source,
      GError **error)
{
    g_autofree char *pidfile = file_of(guest, ".pid"); /* names it as this guest's */
    const char *const argv[] = {
        DAEMON,
        "--pidfile",
        pidfile,
        "--chardev",
        "socket,id=mose-qmp,fd=" G_STRINGIFY(MONITOR_FD) ",server=on,wait=off",
        "--monitor",
        "chardev=mose-qmp",
        "--nbd-server",
        "addr.type=fd,addr.str=" G_STRINGIFY(NBD_FD),
        NULL,
    };
    g_autofree char *log = file_of(guest, ".log");
    g_autofree char *monitor = file_of(guest, ".qmp");
    g_auto(MoseFd) monitor_fd = mose_unix_listen(monitor, error);
    g_auto(MoseFd) nbd_fd = monitor_fd < 0 ? -1 : mose_unix_listen(socket, error);
    const MoseInheritedFd fds[] = { { monitor_fd, MONITOR_FD }, { nbd_fd, NBD_FD } };
    g_autoptr(MoseSurroundings) surroundings = mose_surroundings_of(source->pid);
    MoseProcess *process;

    if (nbd_fd < 0)
        return NULL;
    process = mose_process_spawn_in(surroundings, argv, guest->spec->cwd, log, fds,
                                    G_N_ELEMENTS(fds), error);
    if (process)
        mose_cgroup_join(process->pid, source->pid);
    return process;
}

static gboolean
connect_monitor(const MoseGuest *guest, MoseExports *exports, GError **error)
{
    g_autofree char *path = file_of(guest, ".qmp");

    exports->qmp = mose_qmp_connect(path, START_TIMEOUT_MS, error);
    return exports->qmp != NULL;
}

static JsonObject *
named_node(JsonArray *nodes, const char *name)
{
    for (guint i = 0; nodes && i < json_array_get_length(nodes); i++) {
        JsonObject *node = mose_json_element(nodes, i);

        if (node && g_strcmp0(mose_json_string(node, "node-name", NULL), name) == 0)
            return node;
    }
    return NULL;
}

static JsonNode *
query_nodes(MoseExports *exports, GError **error)
{
    return mose_qmp_execute(exports->qmp, "query-named-block-nodes",
                            mose_json_object("flat", "b", TRUE, NULL), error);
}

/* The daemon sees the disk that the guest sees. */
static gboolean
check_size(MoseExports *exports, const MoseExport *disk, GError **error)
{
    g_autoptr(JsonNode) answer = query_nodes(exports, error);
    JsonObject *node;
    gint64 size;

    if (!answer)
        return FALSE;
    node = named_node(mose_json_node_array(answer), disk->name);
    size = mose_json_int(mose_json_child(node, "image"), "virtual-size", -1);
    if (node && (guint64)size == disk->size)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "disk %s has %" G_GUINT64_FORMAT
                " bytes in the guest's QEMU, and %" G_GINT64_FORMAT
                " where it is opened to be exported",
                disk->file, disk->size, size);
    return FALSE;
}

static gboolean
add_disk(MoseExports *exports, const MoseExport *disk, GError **error)
{
    if (!mose_qmp_run(exports->qmp, "blockdev-add", json_object_ref(disk->options),
                      error) ||
        !check_size(exports, disk, error))
        return FALSE;
    return mose_qmp_run(exports->qmp, "block-export-add",
                        mose_json_object("type", "s", "nbd", "id", "s", disk->name,
                                         "node-name", "s", disk->name, "name", "s",
                                         disk->name, "writable", "b", !disk->read_only,
                                         "allow-inactive", "b", TRUE, NULL),
                        error);
}

static gboolean
add_disks(MoseExports *exports, GError **error)
{
    for (guint i = 0; i < exports->disks->len; i++) {
        const MoseExport *disk = exports->disks->pdata[i];

        if (!add_disk(exports, disk, error)) {
            g_prefix_error(error, "disk %s: ", disk->file);
            return FALSE;
        }
    }
    return TRUE;
}

static GPtrArray *
plan(const MoseGuest *guest, MoseQmp *qmp, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, "query-block", NULL, error);
    JsonArray *block = answer ? mose_json_node_array(answer) : NULL;

    if (block)
        return mose_exports_plan(block, guest->spec->cwd, error);
    if (answer)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "query-block: no list");
    return NULL;
}

/* NULL: it has ended. */
static MoseProcess *
recorded_process(const MoseGuest *guest, JsonObject *record)
{
    if (g_strcmp0(mose_json_string(record, "boot-id", NULL), guest->boot_id) != 0)
        return NULL;
    return mose_process_open((pid_t)mose_json_int(record, "pid", 0),
                             (guint64)mose_json_int(record, "start-time", 0), NULL);
}

MoseProcess *
mose_exports_process(const MoseGuest *guest)
{
    g_autoptr(JsonObject) record = read_record(guest, NULL);

    return record ? recorded_process(guest, record) : NULL;
}

gboolean
mose_exports_abandon(const MoseGuest *guest, GError **error)
{
    g_autoptr(MoseProcess) process = mose_exports_process(guest);

    if (!process)
        return mose_exports_clear(guest, error);
    if (!mose_process_kill(process)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the %s of guest %s (pid %d) does not end", DAEMON, guest->name,
                    (int)process->pid);
        return FALSE;
    }
    remove_files(guest);
    return TRUE;
}

/* One of before, or one whose record a MOSE that died had no time to write: its monitor
 * is where it always is. */
gboolean
mose_exports_clear(const MoseGuest *guest, GError **error)
{
    g_autofree char *path = file_of(guest, ".qmp");
    g_autoptr(GError) cause = NULL;
    g_autoptr(MoseExports) old = mose_exports_open(guest, &cause);
    g_autoptr(MoseQmp) qmp = NULL;

    if (old)
        return mose_exports_end(guest, old, error);
    if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND) &&
        !g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_ENDED)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    qmp = mose_qmp_connect(path, START_TIMEOUT_MS, NULL);
    if (qmp)
        mose_qmp_run(qmp, "quit", NULL, NULL);
    remove_files(guest);
    return TRUE;
}

MoseExports *
mose_exports_start(const MoseGuest *guest, MoseQmp *qmp, const MoseProcess *source,
                   GError **error)
{
    g_autoptr(MoseExports) exports = g_new0(MoseExports, 1);

    exports->socket = file_of(guest, ".nbd");
    exports->disks = plan(guest, qmp, error);
    if (!exports->disks || !mose_exports_clear(guest, error))
        return NULL;
    exports->process = spawn(guest, exports->socket, source, error);
    if (exports->process && write_record(guest, exports, error) &&
        connect_monitor(guest, exports, error) && add_disks(exports, error))
        return g_steal_pointer(&exports);
    if (exports->process) {
        explain(guest, exports, error);
        mose_process_kill(exports->process); /* It has nothing to lose yet. */
    }
    remove_files(guest);
    return NULL;
}

MoseExports *
mose_exports_open(const MoseGuest *guest, GError **error)
{
    g_autoptr(MoseExports) exports = g_new0(MoseExports, 1);
    g_autoptr(JsonObject) record = read_record(guest, error);

    if (!record)
        return NULL;
    exports->disks = mose_exports_from_json(mose_json_array(record, "disks"), error);
    exports->socket = file_of(guest, ".nbd");
    if (!exports->disks)
        return NULL;
    exports->process = recorded_process(guest, record);
    if (!exports->process) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_ENDED, "the %s of guest %s has ended",
                    DAEMON, guest->name);
        return NULL;
    }
    return connect_monitor(guest, exports, error) ? g_steal_pointer(&exports) : NULL;
}

/* --- whose the images are --- */

static gboolean
set_active(MoseExports *exports, const MoseExport *disk, gboolean active,
           GError **error)
{
    gboolean done;

    mose_qmp_set_timeout(exports->qmp, FLUSH_TIMEOUT_MS);
    done = mose_qmp_run(
        exports->qmp, "blockdev-set-active",
        mose_json_object("node-name", "s", disk->name, "active", "b", active, NULL),
        error);
    mose_qmp_set_timeout(exports->qmp, MOSE_QMP_TIMEOUT_MS);
    if (!done)
        g_prefix_error(error, "disk %s: ", disk->file);
    return done;
}

gboolean
mose_exports_activate(MoseExports *exports, GError **error)
{
    for (guint i = 0; i < exports->disks->len; i++) {
        const MoseExport *disk = exports->disks->pdata[i];

        if (!disk->read_only && !set_active(exports, disk, TRUE, error)) {
            mose_exports_deactivate(exports, NULL);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean
mose_exports_deactivate(MoseExports *exports, GError **error)
{
    g_autoptr(GError) first = NULL;

    for (guint i = 0; i < exports->disks->len; i++) {
        const MoseExport *disk = exports->disks->pdata[i];

        if (!disk->read_only)
            set_active(exports, disk, FALSE, first ? NULL : &first);
    }
    if (!first)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&first));
    return FALSE;
}

gboolean
mose_exports_count_active(MoseExports *exports, guint *ret, GError **error)
{
    g_autoptr(JsonNode) answer = query_nodes(exports, error);

    if (!answer)
        return FALSE;
    *ret = 0;
    for (guint i = 0; i < exports->disks->len; i++) {
        const MoseExport *disk = exports->disks->pdata[i];
        JsonObject *node = named_node(mose_json_node_array(answer), disk->name);

        *ret += !disk->read_only && node && mose_json_bool(node, "active", FALSE);
    }
    return TRUE;
}

gboolean
mose_exports_end(const MoseGuest *guest, MoseExports *exports, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (mose_process_alive(exports->process) &&
        !mose_exports_deactivate(exports, &cause)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                    "the %s of guest %s has not given its disks up, and goes on: %s",
                    DAEMON, guest->name, cause->message);
        return FALSE;
    }
    mose_qmp_run(exports->qmp, "quit", NULL, NULL);
    if (!mose_process_wait(exports->process, END_TIMEOUT_MS))
        mose_process_kill(exports->process);
    remove_files(guest);
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Putting a gdb stub up, and undoing a debug session; see debug-stub.h, debug.h. */
#include "switch/debug-stub.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "qemu/command.h"
#include "switch/resume.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* The chardev, and the descriptor while it is on its way. */
#define STUB_ID "mose-gdb"
#define TIMEOUT_MS 5000

static void
say(MoseDebugTell tell, gpointer data, const char *step)
{
    if (tell)
        tell(step, data);
}

MoseQmp *
mose_debug_monitor(const MoseGuest *guest, GError **error)
{
    MoseQmp *qmp = mose_guest_connect(guest, MOSE_MONITOR_SWITCH, error);

    if (qmp)
        mose_qmp_set_timeout(qmp, TIMEOUT_MS);
    return qmp;
}

char *
mose_debug_run_state(MoseQmp *qmp, gboolean *ret_live, GError **error)
{
    g_autoptr(JsonObject) status = mose_qmp_query(qmp, "query-status", NULL, error);

    if (!status)
        return NULL;
    *ret_live = mose_status_is_live(status);
    return g_strdup(mose_json_string(status, "status", ""));
}

/* --- the stub --- */

/* Hand our end's other to QEMU as a chardev that is connected already. */
static gboolean
add_chardev(MoseQmp *qmp, int fd, GError **error)
{
    JsonObject *address, *socket, *backend;

    if (!mose_qmp_send_fd(qmp, STUB_ID, fd, error))
        return FALSE;
    address = mose_json_object("type", "s", "fd", "data", "o",
                               mose_json_object("str", "s", STUB_ID, NULL), NULL);
    socket = mose_json_object("addr", "o", address, "server", "b", FALSE, NULL);
    backend = mose_json_object("type", "s", "socket", "data", "o", socket, NULL);
    return mose_qmp_run(
        qmp, "chardev-add",
        mose_json_object("id", "s", STUB_ID, "backend", "o", backend, NULL), error);
}

/* HMP tells of its failure in words (monitor/hmp-cmds.c:hmp_gdbserver). */
static gboolean
run_gdbserver(MoseQmp *qmp, const char *device, const char *wanted, GError **error)
{
    g_autofree char *line = g_strconcat("gdbserver ", device, NULL);
    g_autofree char *said = mose_qmp_hmp(qmp, line, error);

    if (said && strstr(said, wanted))
        return TRUE;
    if (said)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "QEMU puts no gdb stub up: %s", g_strstrip(said));
    return FALSE;
}

MoseGdb *
mose_debug_stub_open(MoseQmp *qmp, const char *name, MoseDebugTell tell, gpointer data,
                     GError **error)
{
    g_auto(MoseFd) ours = MOSE_FD_NONE;
    g_auto(MoseFd) theirs = MOSE_FD_NONE;
    g_autoptr(MoseGdb) gdb = NULL;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        mose_error_set_errno(error, errno, "cannot make a socket for the gdb stub");
        return NULL;
    }
    ours = pair[0];
    theirs = pair[1];
    if (!add_chardev(qmp, theirs, error))
        return NULL;
    say(tell, data, "chardev");
    if (!run_gdbserver(qmp, "chardev:" STUB_ID, "Waiting for gdb", error))
        return NULL;
    say(tell, data, "stub");
    gdb = mose_gdb_new(mose_fd_steal(&ours), name, TIMEOUT_MS, error);
    /* A session that died may have left it at physical addresses. */
    if (!gdb || !mose_gdb_reset_mode(gdb, error))
        return NULL;
    say(tell, data, "connected");
    return g_steal_pointer(&gdb);
}

static gboolean
has_chardev(MoseQmp *qmp, gboolean *ret, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, "query-chardev", NULL, error);
    JsonArray *list = mose_json_node_array(answer);

    *ret = FALSE;
    for (guint i = 0; list && i < json_array_get_length(list); i++)
        *ret |= strcmp(mose_json_string(mose_json_element(list, i), "label", ""),
                       STUB_ID) == 0;
    return answer != NULL;
}

/* The stub's chardev goes with it (chardev/char-fe.c:qemu_chr_fe_deinit), but not one
 * that no stub has taken yet. A descriptor that no chardev has taken yet is replaced by
 * the next session's, or ends with QEMU. */
static gboolean
take_down(MoseQmp *qmp, GError **error)
{
    gboolean there = FALSE;

    if (!run_gdbserver(qmp, "none", "Disabled gdbserver", error) ||
        !has_chardev(qmp, &there, error))
        return FALSE;
    return !there || mose_qmp_run(qmp, "chardev-remove",
                                  mose_json_object("id", "s", STUB_ID, NULL), error);
}

/* --- the end of a session --- */

/* One that was not set yet, or is removed already, is an error to the stub alone. */
static gboolean
remove_points(MoseGdb *gdb, const MoseDebugRecord *record, GError **error)
{
    for (guint i = 0; i < record->points->len; i++) {
        const MoseGdbPoint *point = &g_array_index(record->points, MoseGdbPoint, i);
        g_autoptr(GError) cause = NULL;

        if (!mose_gdb_remove(gdb, point, &cause) &&
            !g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_FAILED)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
    }
    return TRUE;
}

/* As a client of its own, which can be sure of where it stands. */
static gboolean
disarm(MoseQmp *qmp, const char *name, const MoseDebugRecord *record, gboolean run,
       MoseDebugTell tell, gpointer data, GError **error)
{
    g_autoptr(MoseGdb) gdb = mose_debug_stub_open(qmp, name, NULL, NULL, error);

    if (!gdb || !remove_points(gdb, record, error))
        return FALSE;
    say(tell, data, "removed");
    /* It removes what there may be besides. */
    if (run && !mose_gdb_detach(gdb, error))
        return FALSE;
    say(tell, data, "detached");
    return TRUE;
}

static gboolean
run_again(MoseQmp *qmp, GError **error)
{
    gboolean live = FALSE;
    g_autofree char *state = mose_debug_run_state(qmp, &live, error);

    return state && (live || mose_qmp_run(qmp, "cont", NULL, error));
}

/* A guest that stopped for reasons of its own (a disk has failed, it has shut down)
 * is not ours to continue. */
static gboolean
is_to_run(const char *state, gboolean live, gboolean was_running)
{
    return live || strcmp(state, "debug") == 0 ||
           (strcmp(state, "paused") == 0 && was_running);
}

static gboolean
undo(MoseQmp *qmp, const char *name, const MoseDebugRecord *record, MoseDebugTell tell,
     gpointer data, GError **error)
{
    gboolean live = FALSE, run;
    g_autofree char *state = mose_debug_run_state(qmp, &live, error);

    if (!state)
        return FALSE;
    run = is_to_run(state, live, record->was_running);
    if ((live && !mose_qmp_run(qmp, "stop", NULL, error)) || !take_down(qmp, error))
        return FALSE;
    if (record->points->len > 0 &&
        (!disarm(qmp, name, record, run, tell, data, error) || !take_down(qmp, error)))
        return FALSE;
    say(tell, data, "closed");
    return !run || run_again(qmp, error);
}

gboolean
mose_debug_undo(const MoseGuest *guest, const MoseDebugRecord *record,
                MoseDebugTell tell, gpointer data, GError **error)
{
    g_autoptr(MoseProcess) process = mose_guest_process(guest, NULL);
    g_autoptr(MoseQmp) qmp = NULL;

    /* With its process all is gone. */
    if (process && record->generation == guest->generation) {
        qmp = mose_debug_monitor(guest, error);
        if (!qmp || !undo(qmp, guest->name, record, tell, data, error))
            return FALSE;
    }
    return mose_debug_record_remove(guest, error);
}

gboolean
mose_debug_recover(MoseGuest *guest, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(MoseDebugRecord) record = mose_debug_record_read(guest, &cause);

    if (!record && g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
        return mose_debug_record_remove(guest, error);
    if (!record) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (!mose_debug_undo(guest, record, NULL, NULL, error)) {
        g_prefix_error(
            error, "cannot undo what a debug session left in guest %s: ", guest->name);
        return FALSE;
    }
    mose_guest_note(guest, "debug-undone-after-death",
                    mose_json_object("side", "s", mose_side_name(guest->side), "points",
                                     "i", (gint64)record->points->len, NULL));
    return mose_guest_save(guest, error);
}

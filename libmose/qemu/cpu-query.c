/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that answers, and the one question. */
#include "qemu/cpu-query.h"

#include <errno.h>
#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu/qmp.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* The monitor's descriptor in QEMU. */
#define MONITOR_FD 3
#define TIMEOUT_MS 10000
#define MAX_STDERR 4096

struct MoseCpuQuery {
    char *accel;
    GSubprocess *process;
    MoseFd socket; /* until the first question */
    MoseQmp *qmp;
};

/* @data is the parent's pid: it may have died before this was asked for. */
static void
die_with_parent(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != GPOINTER_TO_INT(data))
        raise(SIGKILL);
}

static GSubprocess *
spawn(const char *qemu, const char *accel, int monitor, GError **error)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autoptr(GError) why = NULL;
    GSubprocess *process;

    g_subprocess_launcher_set_child_setup(launcher, die_with_parent,
                                          GINT_TO_POINTER(getpid()), NULL);
    g_subprocess_launcher_take_fd(launcher, monitor, MONITOR_FD);
    process = g_subprocess_launcher_spawn(
        launcher, &why, qemu, "-machine", "none", "-accel", accel, "-nodefaults",
        "-no-user-config", "-display", "none", "-S", "-chardev",
        "socket,id=monitor,fd=" G_STRINGIFY(MONITOR_FD), "-mon",
        "chardev=monitor,mode=control", NULL);
    if (process == NULL)
        g_set_error(error, MOSE_ERROR,
                    g_error_matches(why, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT)
                        ? MOSE_ERROR_NOT_FOUND
                        : MOSE_ERROR_FAILED,
                    "cannot start %s: %s", qemu, why->message);
    return process;
}

MoseCpuQuery *
mose_cpu_query_start(const char *qemu, const char *accel, GError **error)
{
    MoseCpuQuery *query;
    g_autoptr(GSubprocess) process = NULL;
    g_auto(MoseFd) ours = MOSE_FD_NONE;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        mose_error_set_errno(error, errno, "socketpair");
        return NULL;
    }
    ours = fds[0];
    process = spawn(qemu, accel, fds[1], error);
    if (process == NULL)
        return NULL;
    query = g_new0(MoseCpuQuery, 1);
    query->accel = g_strdup(accel);
    query->process = g_steal_pointer(&process);
    query->socket = mose_fd_steal(&ours);
    return query;
}

void
mose_cpu_query_free(MoseCpuQuery *query)
{
    if (query == NULL)
        return;
    mose_qmp_free(query->qmp);
    mose_fd_close(query->socket);
    g_subprocess_force_exit(query->process);
    g_subprocess_wait(query->process, NULL, NULL);
    g_object_unref(query->process);
    g_free(query->accel);
    g_free(query);
}

/* What QEMU said on its standard error before it ended. */
static char *
last_words(MoseCpuQuery *query)
{
    GInputStream *stream = g_subprocess_get_stderr_pipe(query->process);
    char text[MAX_STDERR + 1] = "";
    gsize n = 0;

    g_subprocess_force_exit(query->process);
    g_input_stream_read_all(stream, text, MAX_STDERR, &n, NULL, NULL);
    text[n] = '\0';
    return g_utf8_make_valid(g_strstrip(text), -1);
}

static gboolean
connect_monitor(MoseCpuQuery *query, GError **error)
{
    g_autofree char *name = g_strdup_printf("the CPU query under %s", query->accel);
    g_autoptr(GError) why = NULL;
    g_autofree char *words = NULL;

    if (query->qmp != NULL)
        return TRUE;
    if (query->socket >= 0)
        query->qmp =
            mose_qmp_new(mose_fd_steal(&query->socket), name, TIMEOUT_MS, &why);
    if (query->qmp != NULL)
        return TRUE;
    words = last_words(query);
    g_set_error(error, MOSE_ERROR, why != NULL ? why->code : MOSE_ERROR_CLOSED,
                "QEMU does not start under %s: %s", query->accel,
                *words != '\0' ? words
                : why != NULL  ? why->message
                               : "it ended");
    return FALSE;
}

int
mose_cpu_query_version(MoseCpuQuery *query, GError **error)
{
    return connect_monitor(query, error) ? mose_qmp_version(query->qmp) : 0;
}

JsonObject *
mose_cpu_query_expand(MoseCpuQuery *query, const char *model, JsonObject *props,
                      GError **error)
{
    g_autoptr(JsonObject) answer = NULL;
    JsonObject *wanted = mose_json_object("name", "s", model, NULL);
    JsonObject *expanded;

    if (props != NULL)
        json_object_set_object_member(wanted, "props", json_object_ref(props));
    if (!connect_monitor(query, error)) {
        json_object_unref(wanted);
        return NULL;
    }
    answer = mose_qmp_query(
        query->qmp, "query-cpu-model-expansion",
        mose_json_object("type", "s", "static", "model", "o", wanted, NULL), error);
    if (answer == NULL) {
        g_prefix_error(error, "CPU %s under %s: ", model, query->accel);
        return NULL;
    }
    expanded = mose_json_child(answer, "model");
    expanded = expanded != NULL ? mose_json_child(expanded, "props") : NULL;
    if (expanded == NULL) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                    "CPU %s under %s: QEMU's answer has no model.props", model,
                    query->accel);
        return NULL;
    }
    return json_object_ref(expanded);
}

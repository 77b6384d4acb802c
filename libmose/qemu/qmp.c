/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The QMP client: lines in and out, answers told from events. See qmp.h. */
#include "qemu/qmp.h"

#include <errno.h>
#include <gio/gio.h>
#include <gio/gunixfdmessage.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>

#include "util/error.h"
#include "util/json.h"
#include "util/unix-socket.h"

/* The longest line QEMU may send: full CPU model expansions have some 12 KB,
 * query-qmp-schema some 200 KB. */
#define MAX_LINE (16 * 1024 * 1024)
/* Events kept for somebody who may wait for them; the oldest go first. */
#define MAX_EVENTS 4096

struct MoseQmp {
    GSocket *socket;
    char *name;
    char *token;       /* in the ids of our commands, and in nobody else's */
    guint commands;    /* sent so far */
    GByteArray *input; /* what was read beyond the last whole line */
    gsize scanned;     /* bytes of input known to hold no newline */
    GQueue events;     /* JsonObject *, oldest first */
    JsonObject *taken; /* the event handed out last */
    int version;
    int timeout_ms;
    gboolean dead;
};

static gint64
deadline_in(int timeout_ms)
{
    return g_get_monotonic_time() + timeout_ms * (gint64)1000;
}

static gboolean
fail(MoseQmp *qmp, int code, const char *what, GError **error)
{
    qmp->dead = TRUE;
    g_set_error(error, MOSE_ERROR, code, "monitor %s: %s", qmp->name, what);
    return FALSE;
}

/* Take one line out of the input, or NULL when there is none yet. */
static char *
next_line(MoseQmp *qmp)
{
    guint8 *start = qmp->input->data;
    guint8 *end =
        qmp->input->len > qmp->scanned
            ? memchr(start + qmp->scanned, '\n', qmp->input->len - qmp->scanned)
            : NULL;
    char *line;

    if (!end) {
        qmp->scanned = qmp->input->len;
        return NULL;
    }
    line = g_strndup((char *)start, end - start);
    g_byte_array_remove_range(qmp->input, 0, end - start + 1);
    qmp->scanned = 0;
    return line;
}

/* Read what is there; FALSE on end of file or error. */
static gboolean
fill(MoseQmp *qmp, GError **error)
{
    char buffer[65536];
    gssize n = g_socket_receive(qmp->socket, buffer, sizeof(buffer), NULL, NULL);

    if (n <= 0)
        return fail(qmp, MOSE_ERROR_CLOSED, "QEMU closed it", error);
    if (qmp->input->len + n > MAX_LINE)
        return fail(qmp, MOSE_ERROR_QMP, "a line of more than 16 MB", error);
    g_byte_array_append(qmp->input, (guint8 *)buffer, n);
    return TRUE;
}

/*
 * Wait for input until @deadline. Returns FALSE with @error on time-out, on a
 * closed monitor, or when @also is readable and the monitor is not.
 */
static gboolean
wait_input(MoseQmp *qmp, gint64 deadline, int also, GError **error)
{
    for (;;) {
        struct pollfd fds[2] = { { g_socket_get_fd(qmp->socket), POLLIN, 0 },
                                 { also, POLLIN, 0 } };
        gint64 left = deadline - g_get_monotonic_time();
        int n = poll(fds, 2, left > 0 ? (int)((left + 999) / 1000) : 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                        "monitor %s: nothing came within the time limit", qmp->name);
            return FALSE;
        }
        if (fds[0].revents)
            return TRUE;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED,
                    "monitor %s: the wait was ended from elsewhere", qmp->name);
        return FALSE;
    }
}

/* The next message, as an object the caller owns. */
static JsonObject *
receive(MoseQmp *qmp, gint64 deadline, int also, GError **error)
{
    for (;;) {
        g_autofree char *line = next_line(qmp);

        if (line) {
            g_autofree char *what = g_strdup_printf("monitor %s", qmp->name);

            return mose_json_parse(line, -1, what, error);
        }
        if (!wait_input(qmp, deadline, also, error) || !fill(qmp, error))
            return NULL;
    }
}

static void
keep_event(MoseQmp *qmp, JsonObject *message)
{
    if (qmp->events.length >= MAX_EVENTS)
        json_object_unref(g_queue_pop_head(&qmp->events));
    g_queue_push_tail(&qmp->events, message);
}

/* After a message that was not waited for: a QEMU that never stops talking must not
 * hold us. */
static gboolean
in_time(const MoseQmp *qmp, gint64 deadline, GError **error)
{
    if (g_get_monotonic_time() < deadline)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                "monitor %s: only events came within the time limit", qmp->name);
    return FALSE;
}

static gboolean
is_answer(JsonObject *message)
{
    return json_object_has_member(message, "return") ||
           json_object_has_member(message, "error");
}

/*
 * Whether @answer is to the command that went out as @id. A monitor outlives its
 * clients: one that died with a command under way leaves the answer to whoever connects
 * next (QEMU monitor/qmp.c:monitor_qmp_dispatch, which does not ask who was there
 * before). An answer without any id is to what QEMU could not parse, and so to us.
 */
static gboolean
is_answer_to(JsonObject *answer, const char *id)
{
    return !json_object_has_member(answer, "id") ||
           strcmp(mose_json_string(answer, "id", ""), id) == 0;
}

/*
 * The greeting. An event may come before it, and an answer to whom we follow. An event:
 * QEMU's main thread emits events to a monitor whose I/O thread has accepted us, but
 * not yet begun the negotiation (QEMU monitor/monitor.c:monitor_qapi_event_emit,
 * monitor/qmp.c:monitor_qmp_event).
 */
static JsonObject *
receive_greeting(MoseQmp *qmp, gint64 deadline, GError **error)
{
    for (;;) {
        JsonObject *message = receive(qmp, deadline, -1, error);

        if (!message)
            return NULL;
        if (json_object_has_member(message, "event"))
            keep_event(qmp, message);
        else if (is_answer(message))
            json_object_unref(message);
        else
            return message;
        if (!in_time(qmp, deadline, error))
            return NULL;
    }
}

static gboolean
negotiate(MoseQmp *qmp, int timeout_ms, GError **error)
{
    g_autoptr(JsonObject) greeting =
        receive_greeting(qmp, deadline_in(timeout_ms), error);
    JsonObject *version;

    if (!greeting)
        return FALSE;
    version = mose_json_child(
        mose_json_child(mose_json_child(greeting, "QMP"), "version"), "qemu");
    if (!version)
        return fail(qmp, MOSE_ERROR_QMP, "no QMP greeting; is this a QMP monitor?",
                    error);
    qmp->version = mose_json_int(version, "major", 0) * 10000 +
                   mose_json_int(version, "minor", 0) * 100 +
                   mose_json_int(version, "micro", 0);
    return mose_qmp_run(qmp, "qmp_capabilities", NULL, error);
}

/* No two connections of anybody's have one. */
static char *
new_token(void)
{
    return g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
}

MoseQmp *
mose_qmp_new(int fd, const char *name, int timeout_ms, GError **error)
{
    g_autoptr(MoseQmp) qmp = g_new0(MoseQmp, 1);

    qmp->name = g_strdup(name);
    qmp->token = new_token();
    qmp->input = g_byte_array_new();
    qmp->timeout_ms = timeout_ms;
    g_queue_init(&qmp->events);
    qmp->socket = g_socket_new_from_fd(fd, error);
    if (!qmp->socket) {
        g_close(fd, NULL);
        return NULL;
    }
    /* Reads are waited for with limits of their own; a QEMU that no longer reads
     * must not hold us either. */
    g_socket_set_timeout(qmp->socket, MOSE_QMP_TIMEOUT_MS / 1000);
    if (!negotiate(qmp, timeout_ms, error))
        return NULL;
    qmp->timeout_ms = MOSE_QMP_TIMEOUT_MS;
    return g_steal_pointer(&qmp);
}

MoseQmp *
mose_qmp_connect(const char *path, int timeout_ms, GError **error)
{
    int fd = mose_unix_connect(path, error);

    return fd < 0 ? NULL : mose_qmp_new(fd, path, timeout_ms, error);
}

void
mose_qmp_free(MoseQmp *qmp)
{
    if (!qmp)
        return;
    g_clear_object(&qmp->socket);
    g_clear_pointer(&qmp->input, g_byte_array_unref);
    g_queue_clear_full(&qmp->events, (GDestroyNotify)json_object_unref);
    g_clear_pointer(&qmp->taken, json_object_unref);
    g_free(qmp->token);
    g_free(qmp->name);
    g_free(qmp);
}

int
mose_qmp_version(const MoseQmp *qmp)
{
    return qmp->version;
}

void
mose_qmp_set_timeout(MoseQmp *qmp, int timeout_ms)
{
    qmp->timeout_ms = timeout_ms;
}

/* Send @text, with @fd beside it unless it is negative. */
static gboolean
send_text(MoseQmp *qmp, const char *text, int fd, GError **error)
{
    gsize len = strlen(text), sent = 0;
    g_autoptr(GError) cause = NULL;

    while (sent < len) {
        GOutputVector vector = { text + sent, len - sent };
        g_autoptr(GSocketControlMessage) control = NULL;
        gssize n;

        if (fd >= 0 && sent == 0) {
            control = g_unix_fd_message_new();
            if (!g_unix_fd_message_append_fd(G_UNIX_FD_MESSAGE(control), fd, error))
                return FALSE;
        }
        n = g_socket_send_message(qmp->socket, NULL, &vector, 1, &control,
                                  control ? 1 : 0, 0, NULL, &cause);
        if (n < 0)
            return fail(qmp, MOSE_ERROR_CLOSED, cause->message, error);
        sent += n;
    }
    return TRUE;
}

/* The answer to @command, sent as @id; events that come first are kept. */
static JsonNode *
receive_answer(MoseQmp *qmp, const char *command, const char *id, GError **error)
{
    gint64 deadline = deadline_in(qmp->timeout_ms);

    for (gboolean first = TRUE;; first = FALSE) {
        g_autoptr(JsonObject) message = NULL;
        g_autoptr(GError) cause = NULL;
        JsonObject *failure;

        if (first || in_time(qmp, deadline, &cause))
            message = receive(qmp, deadline, -1, &cause);
        if (!message) {
            /* A late answer would be taken for that of the next command. */
            qmp->dead = TRUE;
            g_propagate_prefixed_error(error, g_steal_pointer(&cause), "%s: ", command);
            return NULL;
        }
        if (json_object_has_member(message, "event")) {
            keep_event(qmp, g_steal_pointer(&message));
            continue;
        }
        if (!is_answer_to(message, id))
            continue;
        if (json_object_has_member(message, "return"))
            return json_object_dup_member(message, "return");
        failure = mose_json_child(message, "error");
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "monitor %s: %s: %s (%s)",
                    qmp->name, command, mose_json_string(failure, "desc", "no reason"),
                    mose_json_string(failure, "class", "no class"));
        return NULL;
    }
}

/* A new command as QEMU reads it; what its answer is known by is put into @id. Takes
 * @arguments over. */
static char *
format_command(MoseQmp *qmp, const char *command, JsonObject *arguments, char **id)
{
    g_autoptr(JsonObject) message = NULL;
    g_autofree char *text = NULL;

    *id = g_strdup_printf("%s-%u", qmp->token, ++qmp->commands);
    message = mose_json_object("id", "s", *id, "execute", "s", command, NULL);
    if (arguments)
        json_object_set_object_member(message, "arguments", arguments);
    text = mose_json_text(message, FALSE);
    return g_strconcat(text, "\n", NULL);
}

/* Send it, unless the connection is of no use any more. */
static gboolean
send_commands(MoseQmp *qmp, const char *text, int fd, GError **error)
{
    if (qmp->dead)
        return fail(qmp, MOSE_ERROR_CLOSED, "closed after an earlier failure", error);
    return send_text(qmp, text, fd, error);
}

static JsonNode *
execute_with_fd(MoseQmp *qmp, const char *command, JsonObject *arguments, int fd,
                GError **error)
{
    g_autofree char *id = NULL;
    g_autofree char *line = format_command(qmp, command, arguments, &id);

    if (!send_commands(qmp, line, fd, error))
        return NULL;
    return receive_answer(qmp, command, id, error);
}

gboolean
mose_qmp_batch(MoseQmp *qmp, MoseQmpCommand *commands, gsize n, GError **error)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) text = g_string_new(NULL);
    gboolean ok = TRUE;

    for (gsize i = 0; i < n; i++) {
        char *id;
        g_autofree char *line =
            format_command(qmp, commands[i].command, commands[i].arguments, &id);

        commands[i].answer = NULL;
        g_string_append(text, line);
        g_ptr_array_add(ids, id);
    }
    if (!send_commands(qmp, text->str, -1, error))
        return FALSE;
    for (gsize i = 0; i < n && !qmp->dead; i++) {
        commands[i].answer =
            receive_answer(qmp, commands[i].command, ids->pdata[i], ok ? error : NULL);
        ok = ok && commands[i].answer;
    }
    return ok;
}

JsonNode *
mose_qmp_execute(MoseQmp *qmp, const char *command, JsonObject *arguments,
                 GError **error)
{
    return execute_with_fd(qmp, command, arguments, -1, error);
}

gboolean
mose_qmp_run(MoseQmp *qmp, const char *command, JsonObject *arguments, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, command, arguments, error);

    return answer != NULL;
}

JsonObject *
mose_qmp_query(MoseQmp *qmp, const char *command, JsonObject *arguments, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, command, arguments, error);

    if (!answer)
        return NULL;
    if (!JSON_NODE_HOLDS_OBJECT(answer)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                    "monitor %s: %s: the answer is no object", qmp->name, command);
        return NULL;
    }
    return json_object_ref(json_node_get_object(answer));
}

MoseQmpCommand
mose_qmp_hmp_command(const char *line)
{
    return (MoseQmpCommand){
        .command = "human-monitor-command",
        .arguments = mose_json_object("command-line", "s", line, NULL),
    };
}

char *
mose_qmp_hmp_text(JsonNode *answer)
{
    const char *text =
        JSON_NODE_HOLDS_VALUE(answer) ? json_node_get_string(answer) : NULL;
    g_auto(GStrv) parts = g_strsplit(text ? text : "", "\r\n", -1);

    return g_strjoinv("\n", parts);
}

char *
mose_qmp_hmp(MoseQmp *qmp, const char *line, GError **error)
{
    MoseQmpCommand command = mose_qmp_hmp_command(line);
    g_autoptr(JsonNode) answer =
        mose_qmp_execute(qmp, command.command, command.arguments, error);

    return answer ? mose_qmp_hmp_text(answer) : NULL;
}

gboolean
mose_qmp_send_fd(MoseQmp *qmp, const char *name, int fd, GError **error)
{
    g_autoptr(JsonNode) answer = execute_with_fd(
        qmp, "getfd", mose_json_object("fdname", "s", name, NULL), fd, error);

    return answer != NULL;
}

static MoseQmpEvent
event_of(JsonObject *message)
{
    JsonObject *stamp = mose_json_child(message, "timestamp");

    return (MoseQmpEvent){
        .name = mose_json_string(message, "event", ""),
        .data = mose_json_child(message, "data"),
        .time_us = mose_json_int(stamp, "seconds", 0) * G_USEC_PER_SEC +
                   mose_json_int(stamp, "microseconds", 0),
    };
}

/* Take the first kept event that @match accepts. */
static gboolean
take_kept(MoseQmp *qmp, MoseQmpMatch match, gpointer data, MoseQmpEvent *ret)
{
    for (GList *l = qmp->events.head; l; l = l->next) {
        MoseQmpEvent event = event_of(l->data);

        if (!match(&event, data))
            continue;
        g_clear_pointer(&qmp->taken, json_object_unref);
        qmp->taken = l->data;
        g_queue_delete_link(&qmp->events, l);
        if (ret)
            *ret = event;
        return TRUE;
    }
    return FALSE;
}

gboolean
mose_qmp_wait(MoseQmp *qmp, MoseQmpMatch match, gpointer data, int timeout_ms, int also,
              MoseQmpEvent *ret, GError **error)
{
    gint64 deadline = deadline_in(timeout_ms);

    for (gboolean first = TRUE; !take_kept(qmp, match, data, ret); first = FALSE) {
        JsonObject *message;

        if (qmp->dead)
            return fail(qmp, MOSE_ERROR_CLOSED, "closed after an earlier failure",
                        error);
        if (!first && !in_time(qmp, deadline, error))
            return FALSE;
        message = receive(qmp, deadline, also, error);
        if (!message)
            return FALSE;
        if (json_object_has_member(message, "event"))
            keep_event(qmp, message);
        else
            json_object_unref(message);
    }
    return TRUE;
}

static gboolean
has_name(const MoseQmpEvent *event, gpointer data)
{
    return g_str_equal(event->name, (const char *)data);
}

gboolean
mose_qmp_wait_event(MoseQmp *qmp, const char *name, int timeout_ms, int also,
                    MoseQmpEvent *ret, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (mose_qmp_wait(qmp, has_name, (gpointer)name, timeout_ms, also, ret, &cause))
        return TRUE;
    g_propagate_prefixed_error(error, g_steal_pointer(&cause),
                               "waiting for %s: ", name);
    return FALSE;
}

gboolean
mose_qmp_take_event(MoseQmp *qmp, const char *name, MoseQmpEvent *ret)
{
    return take_kept(qmp, has_name, (gpointer)name, ret);
}

gboolean
mose_qmp_is_quiet(const MoseQmp *qmp)
{
    struct pollfd fd = { g_socket_get_fd(qmp->socket), POLLIN, 0 };

    return qmp->input->len == 0 && poll(&fd, 1, 0) == 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of QEMU's machine protocol (docs/interop/qmp-spec.rst of QEMU).
 *
 * Synchronous: one command at a time, each with a time limit; events that
 * arrive in between are kept in order until somebody waits for them. One
 * client per monitor, used by one thread. It knows no command by itself.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef struct MoseQmp MoseQmp;

/* One event. The object is {"event", "data", "timestamp"}. */
typedef struct {
    const char *name; /* "STOP" */
    JsonObject *data; /* may be NULL */
    gint64 time_us;   /* QEMU's own wall clock, microseconds since the epoch */
} MoseQmpEvent;

/* Time limit of a command unless mose_qmp_set_timeout() says otherwise. */
#define MOSE_QMP_TIMEOUT_MS 10000

/*
 * Connect to the monitor at @path, read the greeting and negotiate. @timeout_ms
 * bounds all of it. Errors: CLOSED (nobody listens), TIMEOUT, QMP.
 */
MoseQmp *mose_qmp_connect(const char *path, int timeout_ms, GError **error);

/* The same on a connected socket, which is taken over. */
MoseQmp *mose_qmp_new(int fd, const char *name, int timeout_ms, GError **error);

void mose_qmp_free(MoseQmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseQmp, mose_qmp_free)

/* QEMU's version from the greeting, as major * 10000 + minor * 100 + micro. */
int mose_qmp_version(const MoseQmp *qmp);

void mose_qmp_set_timeout(MoseQmp *qmp, int timeout_ms);

/*
 * Run @command. @arguments is taken over and may be NULL. Returns the value of
 * "return" (free with json_node_unref()). Errors: QMP (QEMU's own class and
 * text, with the command's name), TIMEOUT, CLOSED, all naming the monitor. After
 * TIMEOUT or CLOSED the client answers nothing but CLOSED.
 */
JsonNode *mose_qmp_execute(MoseQmp *qmp, const char *command, JsonObject *arguments,
                           GError **error);

/* The same where the answer does not matter. */
gboolean mose_qmp_run(MoseQmp *qmp, const char *command, JsonObject *arguments,
                      GError **error);

/* The same where the answer is an object (QMP error otherwise). */
JsonObject *mose_qmp_query(MoseQmp *qmp, const char *command, JsonObject *arguments,
                           GError **error);

/* human-monitor-command: the text it prints, newlines made plain. */
char *mose_qmp_hmp(MoseQmp *qmp, const char *line, GError **error);

/* One command of several. */
typedef struct {
    const char *command;
    JsonObject *arguments; /* taken over by mose_qmp_batch(); may be NULL */
    JsonNode *answer;      /* the caller's from then on; NULL where there was none */
} MoseQmpCommand;

/*
 * Run @n commands that are sent together: QEMU goes from one to the next without
 * waiting for us (monitor/qmp.c, monitor_qmp_dispatcher_co). One that fails keeps none
 * of those behind it from being run. FALSE where any failed, with the error of the
 * first; the answers of the others are there all the same. Errors: those of
 * mose_qmp_execute().
 */
gboolean mose_qmp_batch(MoseQmp *qmp, MoseQmpCommand *commands, gsize n,
                        GError **error);

/* mose_qmp_hmp() as one of several: the command, and the text of its answer. */
MoseQmpCommand mose_qmp_hmp_command(const char *line);
char *mose_qmp_hmp_text(JsonNode *answer);

/* Pass @fd to QEMU under @name (command getfd); @fd stays the caller's. */
gboolean mose_qmp_send_fd(MoseQmp *qmp, const char *name, int fd, GError **error);

/*
 * Wait until an event arrives that @match accepts, and take it out of the queue;
 * those before it stay. @ret is valid until the next wait (NULL allowed). The
 * wait ends early, with CLOSED, when @also (a descriptor, or -1) becomes
 * readable: a pidfd, an eventfd.
 */
typedef gboolean (*MoseQmpMatch)(const MoseQmpEvent *event, gpointer data);
gboolean mose_qmp_wait(MoseQmp *qmp, MoseQmpMatch match, gpointer data, int timeout_ms,
                       int also, MoseQmpEvent *ret, GError **error);

/* mose_qmp_wait() for the next event called @name. */
gboolean mose_qmp_wait_event(MoseQmp *qmp, const char *name, int timeout_ms, int also,
                             MoseQmpEvent *ret, GError **error);

/* Look for an event in the queue without waiting; takes it out. */
gboolean mose_qmp_take_event(MoseQmp *qmp, const char *name, MoseQmpEvent *ret);

/* Whether nothing more has come than what was asked for and waited for: no event, no
 * end. */
gboolean mose_qmp_is_quiet(const MoseQmp *qmp);

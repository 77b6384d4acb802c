/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that takes QEMU's command line and acts as QEMU 10.0.2 does towards
 * its monitors and its migration socket, without a guest. What it is to do
 * otherwise is in a script; what it was told, and loaded, is written down.
 *
 * $FAKEQEMU_DIR has, for the process with `-pidfile .../pid.N`:
 *   pid.N.script   see below; may be missing. Read again whenever somebody connects
 *   next.script    the same for a process that waits for a guest and has no other
 *   pid.N.seen     the commands it got, one a line; of HMP its line (written)
 *   pid.N.loaded   the stream that it was sent (written)
 *   stream         what every process sends
 *
 * A line of the script is a point, what happens there, and a text:
 *   greeting VERSION       version in the greeting ("9.2.0")
 *   features NAMES         of the CPU, out of known_features (else: sse2)
 *   device TYPE            one more device
 *   copy N MS              as a source: its migration lasts for N query-migrate, each
 *                          of which tells of one more round and of MS to come
 *   POINT exit TEXT        print TEXT on standard error, end with status 1
 *   POINT hang             do nothing, for ever
 *   POINT close            close the monitor, or the migration socket
 *   POINT fail TEXT        a QMP error; the migration fails for that reason
 *   POINT say TEXT         answer TEXT (JSON)
 *   POINT tell EVENT       send an event first
 *   POINT ignore           do nothing, and never answer
 *   POINT swallow          do it, and never answer
 *   POINT do-close         do it, and close the monitor
 *   POINT do-exit TEXT     do it, and exit as above
 * where POINT is `start`, a QMP command, `#N` (the Nth command of a connection to
 * the first monitor, counted from 1; written down as well), `send` (half of the stream
 * has been sent) or `load` (the first bytes have come).
 */
#pragma once

#include <json-glib/json-glib.h>

#include "fakeqemu/line.h"
#include "stream/reader.h"

#define FAKE_N_MONITORS 3
#define FAKE_MAX_CLIENTS 16

typedef struct {
    char *point;
    char *what;
    char *text;
} FakeAct;

typedef struct {
    FakeLine line;
    gboolean used;
    int monitor;
    guint commands; /* that it has sent */
} FakeClient;

typedef struct {
    char *dir;         /* $FAKEQEMU_DIR */
    char *name;        /* "pid.N" */
    GPtrArray *script; /* FakeAct */
    int listeners[FAKE_N_MONITORS];
    FakeClient clients[FAKE_MAX_CLIENTS];
    guint rounds; /* that have been told of a copy */
    guint64 ram_size;

    const char *run_state;
    gboolean running;
    const char *migration; /* status, or NULL */
    char *reason;

    int given;   /* by getfd, or -1 */
    int channel; /* of the migration under way, or -1 */
    gboolean incoming;
    gboolean sent;        /* the stream, as a source */
    gboolean was_running; /* and the state, before it */
    const char *old_state;
    MoseReader *reader;
} FakeQemu;

/* script.c */
void fake_script_load(FakeQemu *qemu);
const FakeAct *fake_script_find(const FakeQemu *qemu, const char *point);
/* The text of the act @what at @point, or NULL. */
const char *fake_script_text(const FakeQemu *qemu, const char *point, const char *what);
/* Do what can be done anywhere: exit, hang. */
void fake_script_act(const FakeAct *act);
/* Write down one more line of what happened. */
void fake_note(const FakeQemu *qemu, const char *text);
char *fake_path(const FakeQemu *qemu, const char *suffix);

/* answers.c: the answer to @command with @arguments; NULL: none is given, and the
 * client is hung up if *@ret_close. */
char *fake_answer(FakeQemu *qemu, FakeClient *client, const char *command,
                  JsonObject *arguments, gboolean *ret_close);
void fake_event(FakeQemu *qemu, const char *name, const char *data);
void fake_set_running(FakeQemu *qemu, gboolean running, const char *state);

/* Whether a migration is to last, by the script, and has not. */
gboolean fake_copies(const FakeQemu *qemu);

/* migration.c */
gboolean fake_migrate(FakeQemu *qemu, gboolean incoming);
void fake_migration_send(FakeQemu *qemu);
/* Something came on the migration socket. */
void fake_migration_input(FakeQemu *qemu);

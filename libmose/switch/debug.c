/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A debug session from within; see debug.h. Its begin and end in QEMU: debug-stub.c. */
#include "switch/debug.h"

#include <string.h>

#include "switch/debug-stub.h"
#include "switch/guardian.h"
#include "util/error.h"

#define STOP_TIMEOUT_MS 5000
/* One instruction; a hlt would take for ever. */
#define STEP_TIMEOUT_MS 1000

struct MoseDebug {
    MoseGuest *guest;
    MoseGuardian *guardian;
    MoseDebugRecord *record;
    MoseGdb *gdb;
    MoseGdbStop stop; /* the last one; all zero before the first */
    MoseDebugTell tell;
    gpointer data;
};

static void
say(const MoseDebug *debug, const char *step)
{
    if (debug->tell)
        debug->tell(step, debug->data);
}

gboolean
mose_debug_is_open(const MoseGuest *guest)
{
    return mose_debug_record_exists(guest);
}

/* --- begin and end --- */

/* What is to be known before anything is touched, in the guest's directory. */
static gboolean
begin_record(MoseDebug *debug, MoseQmp *qmp, GError **error)
{
    gboolean live = FALSE;
    g_autofree char *state = mose_debug_run_state(qmp, &live, error);

    if (!state)
        return FALSE;
    debug->record = mose_debug_record_new(debug->guest->generation, live);
    if (!mose_debug_record_write(debug->record, debug->guest, error))
        return FALSE;
    say(debug, "recorded");
    return TRUE;
}

static gboolean
begin(MoseDebug *debug, GError **error)
{
    g_autoptr(MoseQmp) qmp = NULL;

    debug->guardian = mose_guardian_start(debug->guest, error);
    if (!debug->guardian)
        return FALSE;
    /* Not kept: nobody would read its events for as long as the session lasts. */
    qmp = mose_debug_monitor(debug->guest, error);
    if (!qmp || !begin_record(debug, qmp, error))
        return FALSE;
    debug->gdb =
        mose_debug_stub_open(qmp, debug->guest->name, debug->tell, debug->data, error);
    return debug->gdb != NULL;
}

/* The guardians are needed for as long as the record is there. */
static gboolean
finish(MoseDebug *debug, GError **error)
{
    gboolean done = TRUE;

    g_clear_pointer(&debug->gdb, mose_gdb_free);
    if (debug->record) {
        say(debug, "ending");
        done = mose_debug_undo(debug->guest, debug->record, debug->tell, debug->data,
                               error);
    }
    if (done)
        mose_guardian_stop(debug->guardian);
    else
        mose_guardian_leave(debug->guardian);
    g_clear_pointer(&debug->record, mose_debug_record_free);
    g_free(debug);
    return done;
}

MoseDebug *
mose_debug_begin(MoseGuest *guest, MoseDebugTell tell, gpointer data, GError **error)
{
    g_autoptr(MoseProcess) process = mose_guest_process(guest, error);
    g_autoptr(GError) undone = NULL;
    MoseDebug *debug;

    if (!process)
        return NULL;
    if (mose_debug_is_open(guest)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_BUSY,
                    "guest %s is being debugged already", guest->name);
        return NULL;
    }
    debug = g_new0(MoseDebug, 1);
    debug->guest = guest;
    debug->tell = tell;
    debug->data = data;
    if (begin(debug, error))
        return debug;
    if (!finish(debug, &undone) && error)
        g_prefix_error(error, "(and it could not be undone yet: %s) ", undone->message);
    return NULL;
}

gboolean
mose_debug_end(MoseDebug *debug, GError **error)
{
    return finish(debug, error);
}

void
mose_debug_free(MoseDebug *debug)
{
    g_autoptr(GError) error = NULL;

    if (debug && !finish(debug, &error))
        g_debug("ending a debug session: %s", error->message);
}

MoseGdb *
mose_debug_gdb(MoseDebug *debug)
{
    return debug->gdb;
}

/* --- points --- */

static gboolean
can_arm(const MoseDebug *debug, const MoseGdbPoint *point, GError **error)
{
    const MoseGuest *guest = debug->guest;

    if (point->kind == MOSE_GDB_SOFTWARE &&
        strcmp(guest->spec->accel[guest->side], "tcg") != 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "no software breakpoints under KVM: they are written into the "
                    "guest's memory");
        return FALSE;
    }
    if (mose_debug_record_find(debug->record, point) < 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "there is a breakpoint at 0x%" G_GINT64_MODIFIER "x already",
                point->address);
    return FALSE;
}

gboolean
mose_debug_arm(MoseDebug *debug, const MoseGdbPoint *point, GError **error)
{
    GArray *points = debug->record->points;

    if (!can_arm(debug, point, error))
        return FALSE;
    g_array_append_val(points, *point);
    if (!mose_debug_record_write(debug->record, debug->guest, error)) {
        g_array_set_size(points, points->len - 1);
        return FALSE;
    }
    say(debug, "point");
    if (mose_gdb_insert(debug->gdb, point, error)) {
        say(debug, "armed");
        return TRUE;
    }
    /* The file may tell of it still: that does no harm. */
    g_array_set_size(points, points->len - 1);
    return FALSE;
}

gboolean
mose_debug_disarm(MoseDebug *debug, const MoseGdbPoint *point, GError **error)
{
    int number = mose_debug_record_find(debug->record, point);

    if (number < 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "there is no breakpoint at 0x%" G_GINT64_MODIFIER "x",
                    point->address);
        return FALSE;
    }
    if (!mose_gdb_remove(debug->gdb, point, error))
        return FALSE;
    g_array_remove_index(debug->record->points, (guint)number);
    return mose_debug_record_write(debug->record, debug->guest, error);
}

/* --- running --- */

/* The breakpoint that the vCPU which stopped last stands at, or NULL. */
static gboolean
find_here(MoseDebug *debug, const MoseGdbPoint **ret, GError **error)
{
    MoseGdbPoint here = { MOSE_GDB_HARDWARE, 0, 1 };
    MoseGdbRegisters registers;
    int number;

    *ret = NULL;
    if (debug->stop.thread.thread == 0)
        return TRUE;
    if (!mose_gdb_select(debug->gdb, debug->stop.thread, error) ||
        !mose_gdb_read_registers(debug->gdb, &registers, error))
        return FALSE;
    here.address = mose_gdb_register(&registers, MOSE_GDB_RIP);
    number = mose_debug_record_find(debug->record, &here);
    if (number >= 0)
        *ret = &g_array_index(debug->record->points, MoseGdbPoint, number);
    return TRUE;
}

/* Wait for the end of the step; one that does not end is ended. */
static gboolean
wait_step(MoseDebug *debug, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MoseGdbStop stop;

    if (mose_gdb_wait_stop(debug->gdb, STEP_TIMEOUT_MS, -1, &stop, &cause))
        return TRUE;
    if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_TIMEOUT))
        return mose_gdb_interrupt(debug->gdb, error) &&
               mose_gdb_wait_stop(debug->gdb, STOP_TIMEOUT_MS, -1, &stop, error);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* The record goes on telling of the breakpoint that is out for a moment. */
static gboolean
step_over(MoseDebug *debug, GError **error)
{
    const MoseGdbPoint *point;

    if (!find_here(debug, &point, error))
        return FALSE;
    if (!point)
        return TRUE;
    if (!mose_gdb_remove(debug->gdb, point, error))
        return FALSE;
    say(debug, "over");
    return mose_gdb_step(debug->gdb, debug->stop.thread, error) &&
           wait_step(debug, error) && mose_gdb_insert(debug->gdb, point, error);
}

gboolean
mose_debug_continue(MoseDebug *debug, GError **error)
{
    if (!debug->record->was_running) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "guest %s was paused before it was debugged, and stays so",
                    debug->guest->name);
        return FALSE;
    }
    if (!step_over(debug, error) || !mose_gdb_continue(debug->gdb, error))
        return FALSE;
    say(debug, "running");
    return TRUE;
}

gboolean
mose_debug_wait(MoseDebug *debug, int timeout_ms, int cancel_fd, MoseGdbStop *ret,
                GError **error)
{
    if (!mose_gdb_wait_stop(debug->gdb, timeout_ms, cancel_fd, ret, error))
        return FALSE;
    debug->stop = *ret;
    say(debug, "hit");
    return TRUE;
}

gboolean
mose_debug_stop(MoseDebug *debug, MoseGdbStop *ret, GError **error)
{
    return mose_gdb_interrupt(debug->gdb, error) &&
           mose_debug_wait(debug, STOP_TIMEOUT_MS, -1, ret, error);
}

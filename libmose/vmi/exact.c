/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers of one instant. See exact.h. What happens when this process dies in the
 * middle of a stop is that of a debug session without breakpoints (switch/debug.h). */
#include "vmi/exact.h"

#include <signal.h>
#include <string.h>

#include "switch/debug-stub.h"
#include "switch/guardian.h"
#include "util/error.h"

static gint64 stop_us;

gint64
mose_exact_stop_us(void)
{
    return stop_us;
}

/* What is to be done while the guest stands still; func may be NULL. */
typedef struct {
    MoseExactFunc func;
    gpointer data;
} Still;

#define REGISTERS "info registers -a"

static char *
ask(MoseQmp *qmp, const Still *still, GError **error)
{
    char *text = mose_qmp_hmp(qmp, REGISTERS, error);

    if (text && still->func)
        still->func(text, still->data);
    return text;
}

/* What QEMU says of when it stopped and let run: the answers come later, that to `stop`
 * when the disks have been written to (system/cpus.c:do_vm_stop). */
static void
measure_stop(MoseQmp *qmp)
{
    MoseQmpEvent event;
    gint64 stopped;

    if (!mose_qmp_take_event(qmp, "STOP", &event))
        return;
    stopped = event.time_us;
    if (mose_qmp_take_event(qmp, "RESUME", &event))
        stop_us = event.time_us - stopped;
}

enum { STOP, ASK, CONT, N_STEPS };

/* Stop, ask, let run. All of it in one where nothing is to be done in between: the
 * guest does not wait for two ways to QEMU and back. */
static char *
ask_stopped(MoseQmp *qmp, const Still *still, GError **error)
{
    MoseQmpCommand steps[N_STEPS] = {
        [STOP] = { .command = "stop" },
        [ASK] = mose_qmp_hmp_command(REGISTERS),
        [CONT] = { .command = "cont" },
    };
    gboolean ok = mose_qmp_batch(qmp, steps, still->func ? CONT : N_STEPS, error);
    g_autofree char *text =
        steps[ASK].answer ? mose_qmp_hmp_text(steps[ASK].answer) : NULL;

    if (still->func) {
        if (ok)
            still->func(text, still->data);
        ok = mose_qmp_run(qmp, "cont", NULL, ok ? error : NULL) && ok;
    }
    for (int i = 0; i < N_STEPS; i++)
        g_clear_pointer(&steps[i].answer, json_node_unref);
    if (!ok)
        return NULL;
    measure_stop(qmp);
    return g_steal_pointer(&text);
}

/* Guardians see to a guest whose command has died, not to one whose command has been
 * stopped by its terminal (Ctrl-Z): that has to wait for a moment. */
static char *
ask_unstopped(MoseQmp *qmp, const Still *still, GError **error)
{
    static const int stops[] = { SIGTSTP, SIGTTIN, SIGTTOU };
    sigset_t block, before;
    char *text;

    sigemptyset(&block);
    for (gsize i = 0; i < G_N_ELEMENTS(stops); i++)
        sigaddset(&block, stops[i]);
    sigprocmask(SIG_BLOCK, &block, &before);
    text = ask_stopped(qmp, still, error);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return text;
}

/* The record is there from before the stop until the guest runs again. */
static char *
ask_recorded(MoseGuest *guest, MoseQmp *qmp, const Still *still, GError **error)
{
    g_autoptr(MoseDebugRecord) record = mose_debug_record_new(guest->generation, TRUE);
    g_autoptr(GError) undone = NULL;
    char *text;

    if (!mose_debug_record_write(record, guest, error))
        return NULL;
    text = ask_unstopped(qmp, still, error);
    if (text ? mose_debug_record_remove(guest, &undone)
             : mose_debug_undo(guest, record, NULL, NULL, &undone))
        return text;
    g_clear_error(error);
    g_propagate_error(error, g_steal_pointer(&undone));
    g_free(text);
    return NULL;
}

static char *
ask_guarded(MoseGuest *guest, MoseQmp *qmp, const Still *still, GError **error)
{
    MoseGuardian *guardian = mose_guardian_start(guest, error);
    char *text;

    if (!guardian)
        return NULL;
    text = ask_recorded(guest, qmp, still, error);
    if (mose_debug_record_exists(guest))
        mose_guardian_leave(guardian);
    else
        mose_guardian_stop(guardian);
    return text;
}

static char *
ask_still(MoseGuest *guest, MoseQmp *qmp, const Still *still, GError **error)
{
    gboolean live = FALSE;
    g_autofree char *state = mose_debug_run_state(qmp, &live, error);
    g_autoptr(MoseGuest) locked = NULL;

    stop_us = 0;
    if (!state)
        return NULL;
    if (!live || (!still->func && strcmp(guest->spec->accel[guest->side], "tcg") != 0))
        return ask(qmp, still, error);
    if (guest->lock_fd >= 0)
        return ask_guarded(guest, qmp, still, error);
    locked = mose_guest_open(guest->name, MOSE_GUEST_LOCK, error);
    if (!locked)
        return NULL;
    if (locked->generation == guest->generation)
        return ask_guarded(locked, qmp, still, error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "guest %s was switched meanwhile; try again", guest->name);
    return NULL;
}

char *
mose_exact_registers(MoseGuest *guest, MoseQmp *qmp, GError **error)
{
    return ask_still(guest, qmp, &(Still){ 0 }, error);
}

char *
mose_exact_still(MoseGuest *guest, MoseQmp *qmp, MoseExactFunc func, gpointer data,
                 GError **error)
{
    return ask_still(guest, qmp, &(Still){ func, data }, error);
}

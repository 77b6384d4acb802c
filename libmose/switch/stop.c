/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a guest, here or on the host that it is on; see stop.h. */
#include "switch/stop.h"

#include <unistd.h>

#include "guest/disks.h"
#include "guest/forks.h"
#include "guest/generation.h"
#include "guest/launch.h"
#include "qemu/command.h"
#include "switch/far-end.h"
#include "switch/tether.h"
#include "util/error.h"
#include "util/json.h"

#define STOP_TIMEOUT_MS 2000
/* For another host to do the same. */
#define AWAY_TIMEOUT_MS 20000

/* The sockets that the guest's last process was reached by. */
static void
remove_sockets(const MoseGuest *guest)
{
    MoseCommandFor what = { guest->side, guest->generation, TRUE, "", NULL };
    g_autoptr(MoseCommandLine) line = mose_command_build(guest->spec, &what, NULL);

    for (guint i = 0; line && i < line->renames->len; i++)
        unlink(((const MoseRename *)line->renames->pdata[i])->wanted);
}

gboolean
mose_stop(MoseGuest *guest, GError **error)
{
    g_autoptr(MoseProcess) process = mose_guest_process(guest, NULL);
    g_autoptr(MoseQmp) qmp = NULL;

    if (process) {
        mose_process_thaw(process);
        /* `quit` lets QEMU write what its disks' caches hold. */
        qmp = mose_guest_connect(guest, MOSE_MONITOR_SWITCH, NULL);
        if (qmp)
            mose_qmp_run(qmp, "quit", NULL, NULL);
        if ((!qmp || !mose_process_wait(process, STOP_TIMEOUT_MS)) &&
            !mose_process_kill(process)) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "pid %d does not end",
                        (int)process->pid);
            return FALSE;
        }
    }
    /* Of a switch that could not be recovered. */
    for (guint i = guest->generation; i <= guest->generations; i++) {
        if (!mose_end_generation(guest, i, error))
            return FALSE;
        mose_launch_forget_files(guest, i);
    }
    if (!mose_tether_clear(guest, error))
        return FALSE;
    remove_sockets(guest);
    return mose_guest_remove(guest, error);
}

/* --- with its overlays, and wherever it is --- */

/* The overlays to be deleted with the guest; NULL: it must not end yet. */
static GPtrArray *
judge_overlays(const MoseGuest *guest, MoseOverlaysAtEnd overlays, GError **error)
{
    g_autoptr(GPtrArray) found = mose_disks_read(guest, guest->generation, error);

    if (overlays == MOSE_OVERLAYS_KEEP)
        return mose_overlays_new();
    if (!found ||
        !(overlays == MOSE_OVERLAYS_DISCARD ? mose_disks_may_discard(found, error)
                                            : mose_disks_may_end(guest, error)))
        return NULL;
    return g_steal_pointer(&found);
}

/* End it on its host. One that is not there any more has ended. */
static gboolean
end_away(const MoseGuest *guest, MoseOverlaysAtEnd overlays, GError **error)
{
    g_autoptr(MoseFarEnd) end = mose_far_end_open(guest->far, NULL, 0, error);
    g_autoptr(GError) cause = NULL;

    if (!end)
        return FALSE;
    if (mose_far_end_tell(end,
                          mose_json_object("do", "s", "stop", "name", "s", guest->name,
                                           "life", "s", guest->far->life, "discard",
                                           "b", overlays == MOSE_OVERLAYS_DISCARD,
                                           "keep", "b", overlays == MOSE_OVERLAYS_KEEP,
                                           NULL),
                          AWAY_TIMEOUT_MS, -1, &cause) ||
        g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* The images of one that lives are under its forks' overlays, and its overlays to be
 * put into them. */
static gboolean
may_stop(const MoseGuest *guest, GError **error)
{
    g_autoptr(MoseProcess) process = mose_guest_process(guest, NULL);

    return !process || mose_guest_may_change(guest, "stopped", error);
}

gboolean
mose_stop_wherever(MoseGuest *guest, MoseOverlaysAtEnd overlays, gboolean forget,
                   GError **error)
{
    g_autoptr(GPtrArray) deleted = NULL;

    if (mose_guest_is_away(guest))
        return (forget || end_away(guest, overlays, error)) && mose_stop(guest, error);
    if (!may_stop(guest, error))
        return FALSE;
    deleted = judge_overlays(guest, overlays, error);
    return deleted && mose_stop(guest, error) && mose_disks_discard(deleted, error);
}

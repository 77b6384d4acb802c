/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has the guest; see doubt.h. */
#include "switch/doubt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "guest/guest-dir.h"
#include "guest/journal.h"
#include "guest/launch.h"
#include "switch/recover.h"
#include "switch/resume.h"
#include "switch/take.h"
#include "util/error.h"
#include "util/json.h"

#define ANSWER_MS 30000
/* The host is asked while a guest stands still: it may not think for long. */
static const MoseLinkOptions link_options = { .hello_ms = 10000 };

/* --- asking --- */

static MoseDoubt
read_answer(JsonObject *answer, GError **error)
{
    const char *taken = mose_json_string(answer, "taken", "unknown");

    if (strcmp(taken, "yes") == 0)
        return MOSE_DOUBT_TAKEN;
    if (strcmp(taken, "no") == 0)
        return MOSE_DOUBT_NOT_TAKEN;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "it does not know either");
    return MOSE_DOUBT_UNKNOWN;
}

MoseDoubt
mose_doubt_ask(const MoseGuest *guest, GError **error)
{
    g_autoptr(MoseFar) far = mose_far_copy(guest->far);
    g_autoptr(MoseFarEnd) end = NULL;
    g_autoptr(JsonObject) answer = NULL;

    if (!far->host) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s cannot be reached from here", mose_far_label(far));
        return MOSE_DOUBT_UNKNOWN;
    }
    end = mose_far_end_open(far, &link_options, 0, error);
    if (!end)
        return MOSE_DOUBT_UNKNOWN;
    /* What it knew has gone with its earlier boot, and so has a guest that it took. */
    if (g_strcmp0(far->boot_id, guest->far->boot_id) != 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "%s has been started anew since, and cannot tell", far->host);
        return MOSE_DOUBT_UNKNOWN;
    }
    answer = mose_far_end_call(end,
                               mose_json_object("do", "s", "outcome", "name", "s",
                                                guest->name, "id", "s", far->id, NULL),
                               ANSWER_MS, -1, error);
    return answer ? read_answer(answer, error) : MOSE_DOUBT_UNKNOWN;
}

void
mose_doubt_tell(const MoseGuest *guest, gboolean taken)
{
    g_autoptr(MoseFar) far = guest->far ? mose_far_copy(guest->far) : NULL;
    g_autoptr(MoseFarEnd) end = NULL;

    if (!far || !far->host)
        return;
    end = mose_far_end_open(far, &link_options, 0, NULL);
    if (end)
        mose_far_end_tell(end,
                          mose_json_object("do", "s", "told", "name", "s", guest->name,
                                           "id", "s", far->id, "taken", "b", taken,
                                           NULL),
                          ANSWER_MS, -1, NULL);
}

/* --- answering --- */

MoseDoubt
mose_doubt_answer(const char *name, const char *id, GError **error)
{
    g_autoptr(MoseGuest) guest = mose_guest_seize(name, error);
    MoseRecovered recovered;

    if (!guest)
        return g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND)
                   ? MOSE_DOUBT_NOT_TAKEN
                   : MOSE_DOUBT_UNKNOWN;
    if (!mose_recover(guest, &recovered, error))
        return g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND)
                   ? MOSE_DOUBT_NOT_TAKEN
                   : MOSE_DOUBT_UNKNOWN;
    return guest->far && strcmp(guest->far->id, id) == 0 && !guest->far->away
               ? MOSE_DOUBT_TAKEN
               : MOSE_DOUBT_NOT_TAKEN;
}

/* --- deciding --- */

gboolean
mose_doubt_give(MoseGuest *guest, MoseSide side, GError **error)
{
    g_autoptr(MoseProcess) process =
        mose_process_open(guest->pid, guest->start_time, NULL);

    if (process && !mose_process_kill(process)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the source (pid %d) does not end", (int)process->pid);
        return FALSE;
    }
    mose_launch_forget_files(guest, guest->generation);
    if (!guest->far->host) {
        guest->pid = 0;
        return mose_guest_remove(guest, error);
    }
    guest->far->away = TRUE;
    guest->side = side;
    guest->pid = 0;
    guest->generation = guest->generations;
    return mose_guest_save(guest, error) && mose_journal_end(guest->dir, error);
}

/* Nobody can commit any more. */
static void
wait_for_lease(gint64 since_us)
{
    gint64 left = since_us + MOSE_LEASE_OVER_MS * 1000 - mose_boottime_us();

    if (left > 0)
        poll(NULL, 0, (int)MIN(left / 1000 + 1, MOSE_LEASE_OVER_MS));
}

/*
 * The source takes the locks of its images with its `cont`; where the other host has
 * them, it cannot, and has not run.
 */
static MoseDoubt
ask_locks(MoseGuest *guest, gboolean was_running, GError **error)
{
    g_autoptr(MoseProcess) process = mose_guest_process(guest, error);
    g_autoptr(MoseQmp) qmp = NULL;
    g_autoptr(GError) cause = NULL;

    if (!process)
        return MOSE_DOUBT_UNKNOWN;
    mose_process_thaw(process);
    qmp = mose_guest_connect(guest, MOSE_MONITOR_GUARDIAN, error);
    if (!qmp)
        return MOSE_DOUBT_UNKNOWN;
    if (mose_resume_source(qmp, was_running, &cause))
        return MOSE_DOUBT_NOT_TAKEN;
    if (strstr(cause->message, "\" lock"))
        return MOSE_DOUBT_TAKEN;
    g_propagate_error(error, g_steal_pointer(&cause));
    return MOSE_DOUBT_UNKNOWN;
}

gboolean
mose_doubt_recover(MoseGuest *guest, gint64 since_us, gboolean was_running,
                   gboolean *ret_taken, GError **error)
{
    MoseDoubt doubt = mose_doubt_ask(guest, error);

    if (doubt == MOSE_DOUBT_UNKNOWN && guest->far->locks_seen && was_running) {
        g_clear_error(error);
        wait_for_lease(since_us);
        doubt = ask_locks(guest, was_running, error);
    }
    *ret_taken = doubt == MOSE_DOUBT_TAKEN;
    return doubt != MOSE_DOUBT_UNKNOWN;
}

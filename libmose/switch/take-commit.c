/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commit of a guest that comes from another host, and what follows. See take.h. */
#include <string.h>

#include "guest/taken.h"
#include "guest/writes.h"
#include "qemu/ram.h"
#include "switch/home-disks.h"
#include "switch/take-private.h"
#include "switch/tether.h"
#include "util/error.h"
#include "util/json.h"

#define RESUME_TIMEOUT_MS 5000
#define LAST_WORDS_MS 200
/* The other host's clock is not ours: a wait that long would be a mistake. */
#define MAX_WAIT_US 500000

/* What the rules have planned on the other host goes to the record first, and then into
 * the guest's memory, as in a switch on one host (move-writes.c). */
static gboolean
plan_writes(MoseTake *take, JsonObject *request, MoseWrites **ret, GError **error)
{
    JsonObject *object = mose_json_child(request, "writes");

    *ret = object ? mose_writes_from_json(object, "the other host", error)
                  : mose_writes_new();
    if (!*ret)
        return FALSE;
    if (mose_writes_count(*ret) == 0)
        return TRUE;
    if (!mose_writes_save(*ret, take->guest, take->generation, error))
        return FALSE;
    mose_journal_set_writes(take->journal, MOSE_WRITES_PLANNED);
    return TRUE;
}

static gboolean
do_writes(MoseTake *take, const MoseWrites *writes, GError **error)
{
    g_autoptr(MoseRam) ram = NULL;

    if (mose_writes_count(writes) == 0)
        return TRUE;
    ram = mose_ram_of(take->launch->process, take->launch->qmp, error);
    if (!ram || !mose_writes_do(writes, ram, error))
        return FALSE;
    mose_journal_set_writes(take->journal, MOSE_WRITES_DONE);
    return mose_journal_advance(take->journal, MOSE_PHASE_COMMIT, error);
}

static void
wait_until(gint64 due_us)
{
    gint64 left = due_us - g_get_monotonic_time();

    if (due_us && left > 0 && left < MAX_WAIT_US)
        g_usleep(left);
}

/* Not run: it goes back. The memory is our own copy, and ends with its process. */
static gboolean
goes_back(MoseTake *take)
{
    mose_journal_set_writes(take->journal, MOSE_WRITES_NONE);
    return mose_journal_advance(take->journal, MOSE_PHASE_TAKE, NULL) &&
           mose_taken_forget(take->guest->far->id, NULL);
}

/* Whether QEMU refused to run it (a locked image, say), or ended before it did. */
static gboolean
has_not_run(MoseTake *take, const GError *cause)
{
    MoseQmp *qmp = take->launch->qmp;
    g_autoptr(JsonObject) status = NULL;

    if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_QMP))
        status = mose_qmp_query(qmp, "query-status", NULL, NULL);
    else if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_CLOSED) ||
             !mose_process_wait(take->launch->process, LAST_WORDS_MS))
        return FALSE;
    return !mose_json_bool(status, "running", FALSE) &&
           !mose_qmp_take_event(qmp, "RESUME", NULL);
}

static gboolean
run(MoseTake *take, gint64 *ret_resume_us, GError **error)
{
    MoseQmp *qmp = take->launch->qmp;
    g_autoptr(GError) cause = NULL;

    while (mose_qmp_take_event(qmp, "RESUME", NULL))
        ;
    if (mose_qmp_run(qmp, "cont", NULL, &cause) &&
        mose_qmp_wait_event(qmp, "RESUME", RESUME_TIMEOUT_MS, -1, NULL, &cause)) {
        *ret_resume_us = g_get_monotonic_time();
        return TRUE;
    }
    take->uncertain = !has_not_run(take, cause) || !goes_back(take);
    mose_launch_explain(take->launch, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

gboolean
mose_take_commit(MoseTake *take, JsonObject *request, gint64 *ret_resume_us,
                 GError **error)
{
    gboolean was_running = mose_json_bool(request, "was-running", TRUE);
    g_autoptr(MoseWrites) writes = NULL;

    if (!plan_writes(take, request, &writes, error) ||
        (take->guest == take->options->home && take->guest->far->home_disks &&
         !mose_home_disks_take(take->guest, error)))
        return FALSE;
    mose_journal_set_running(take->journal, was_running);
    /* In this order: recovery takes the first one back where the second is missing. */
    if (!mose_taken_note(take->guest->far->id, error) ||
        !mose_journal_advance(take->journal, MOSE_PHASE_COMMIT, error)) {
        take->uncertain = !mose_taken_forget(take->guest->far->id, NULL);
        return FALSE;
    }
    if (!do_writes(take, writes, error)) {
        take->uncertain = !goes_back(take);
        return FALSE;
    }
    if (was_running) {
        wait_until(mose_json_int(request, "due-us", 0));
        if (!run(take, ret_resume_us, error))
            return FALSE;
    }
    take->committed = TRUE;
    return TRUE;
}

gboolean
mose_take_settle(MoseTake *take, GError **error)
{
    MoseGuest *guest = take->guest;
    g_autoptr(GError) first = NULL;

    guest->generation = take->generation;
    guest->side = take->side;
    guest->pid = take->launch->process->pid;
    guest->start_time = take->launch->process->start_time;
    guest->clock = (MoseClockLine){ 0 };
    guest->far->away = FALSE;
    if (guest == take->options->home)
        mose_tether_clear(guest, &first);
    mose_launch_settle(take->launch->qmp, take->launch->line, first ? NULL : &first);
    mose_writes_forget(guest, guest->generation);
    mose_launch_forget_channels(guest, guest->generation);
    if (mose_guest_save(guest, first ? NULL : &first))
        mose_journal_end(guest->dir, first ? NULL : &first);
    if (!first)
        return TRUE;
    g_propagate_prefixed_error(error, g_steal_pointer(&first),
                               "the guest is here, but: ");
    return FALSE;
}

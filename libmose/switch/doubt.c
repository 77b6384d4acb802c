/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has the guest; see doubt.h. */
#include "switch/doubt.h"

#include <poll.h>
#include <string.h>

#include "guest/journal.h"
#include "guest/generation.h"
#include "guest/launch.h"
#include "guest/seize.h"
#include "guest/taken.h"
#include "switch/home-disks.h"
#include "switch/image-locks.h"
#include "switch/image-stamps.h"
#include "switch/recover.h"
#include "switch/resume.h"
#include "switch/take.h"
#include "util/error.h"
#include "util/json.h"

#define ANSWER_MS 30000
/* A host that is gone for good shall not hold up every command. */
#define TELL_AGAIN_S 30
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
    const MoseFar *far = guest->far;
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
    if (g_strcmp0(far->boot_id, end->boot_id) != 0) {
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

gboolean
mose_doubt_tell(const MoseGuest *guest, MoseDoubt doubt, GError **error)
{
    const MoseFar *far = guest->far;
    g_autoptr(MoseFarEnd) end = NULL;

    if (!far || !far->host || doubt == MOSE_DOUBT_UNKNOWN)
        return TRUE;
    end = mose_far_end_open(far, &link_options, 0, error);
    if (!end)
        return FALSE;
    /* One that was started anew since knows of no switch. */
    if (g_strcmp0(far->boot_id, end->boot_id) == 0 &&
        !mose_far_end_tell(end,
                           mose_json_object("do", "s", "told", "name", "s", guest->name,
                                            "id", "s", far->id, "taken", "b",
                                            doubt == MOSE_DOUBT_TAKEN, NULL),
                           ANSWER_MS, -1, error))
        return FALSE;
    /* It will not ask any more. */
    return doubt != MOSE_DOUBT_TAKEN || mose_taken_forget(far->id, error);
}

gboolean
mose_doubt_is_untold(const MoseGuest *guest)
{
    return guest->far && guest->far->host && !guest->far->away &&
           mose_taken_is(guest->far->id);
}

void
mose_doubt_tell_late(const MoseGuest *guest)
{
    if (mose_doubt_is_untold(guest) && mose_taken_due(guest->far->id, TELL_AGAIN_S))
        mose_doubt_tell(guest, MOSE_DOUBT_TAKEN, NULL);
}

/* --- answering --- */

/* TRUE when what was under way with @name is over, or was never begun. */
static gboolean
bring_to_an_end(const char *name, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(MoseGuest) guest = mose_guest_seize(name, &cause);
    MoseRecovered recovered;

    if ((guest && mose_recover(guest, &recovered, &cause)) ||
        g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

MoseDoubt
mose_doubt_answer(const char *name, const char *id, GError **error)
{
    if (!mose_taken_check(id, error) || !bring_to_an_end(name, error))
        return MOSE_DOUBT_UNKNOWN;
    return mose_taken_is(id) ? MOSE_DOUBT_TAKEN : MOSE_DOUBT_NOT_TAKEN;
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
    mose_launch_forget_channels(guest, guest->generations);
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

gboolean
mose_doubt_untake(MoseGuest *guest, const MoseJournalEntry *entry, GError **error)
{
    gboolean is_home = mose_guest_is_away(guest);

    if (!mose_end_generation(guest, entry->generation, error) ||
        (guest->far && !mose_taken_forget(guest->far->id, error)))
        return FALSE;
    mose_launch_forget_files(guest, entry->generation);
    if (is_home && guest->far->home_disks && !mose_home_disks_give(guest, error))
        return FALSE;
    if (is_home && !mose_doubt_tell(guest, MOSE_DOUBT_NOT_TAKEN, error)) {
        g_prefix_error(error,
                       "guest %s may stand still on its host until that has heard that "
                       "it did not come here: ",
                       guest->name);
        return FALSE;
    }
    if (is_home)
        return mose_journal_end(guest->dir, error);
    if (mose_guest_remove(guest, error))
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "guest %s did not come here: the switch that was to bring it was "
                    "undone",
                    guest->name);
    return FALSE;
}

gboolean
mose_doubt_refuse(MoseGuest *guest, MoseJournalEntry *entry, GError **error)
{
    g_clear_error(error);
    entry->phase = MOSE_PHASE_TAKE;
    entry->writes = MOSE_WRITES_NONE;
    return mose_journal_rewrite(guest->dir, entry, error) &&
           mose_doubt_untake(guest, entry, error);
}

/* Nobody can commit any more. */
static void
wait_for_lease(gint64 since_us)
{
    gint64 left = since_us + MOSE_LEASE_OVER_MS * 1000 - mose_boottime_us();

    if (left > 0)
        poll(NULL, 0, (int)MIN(left / 1000 + 1, MOSE_LEASE_OVER_MS));
}

/* Nobody else writes the guest's images, nor has since. */
static gboolean
are_untouched(JsonArray *images, GError **error)
{
    for (guint i = 0; i < json_array_get_length(images); i++) {
        const char *path = mose_json_string(mose_json_element(images, i), "path", "");

        if (!mose_image_locks_see(path, NULL))
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_BUSY,
                    "somebody has locked its image %s: it seems to run there", path);
        return FALSE;
    }
    return mose_image_stamps_hold(images, error);
}

/*
 * Nobody can be asked: the images tell whether the source may run. Where another has
 * locked one, the guest runs there; where one has been written and is free, it ran
 * there and has ended, and its memory here is older than its images. Either way it is
 * kept still here, and not ended either: a lock may be of a third one. Two that come to
 * the locks at the same time cannot both have them: the one's `cont` fails.
 */
static MoseDoubt
ask_images(MoseGuest *guest, GError **error)
{
    g_autoptr(MoseProcess) process = mose_guest_process(guest, error);
    g_autoptr(MoseQmp) qmp = NULL;

    if (!process || !are_untouched(guest->far->images, error))
        return MOSE_DOUBT_UNKNOWN;
    mose_process_thaw(process);
    qmp = mose_guest_connect(guest, MOSE_MONITOR_GUARDIAN, error);
    if (qmp && mose_resume_source(qmp, TRUE, error))
        return MOSE_DOUBT_NOT_TAKEN;
    mose_process_freeze(process);
    return MOSE_DOUBT_UNKNOWN;
}

gboolean
mose_doubt_recover(MoseGuest *guest, gint64 since_us, gboolean was_running,
                   gboolean *ret_taken, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MoseDoubt doubt = mose_doubt_ask(guest, &cause);

    if (doubt == MOSE_DOUBT_UNKNOWN && guest->far->locks_seen && guest->far->images &&
        was_running) {
        g_clear_error(&cause);
        wait_for_lease(since_us);
        doubt = ask_images(guest, &cause);
    }
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    *ret_taken = doubt == MOSE_DOUBT_TAKEN;
    return doubt != MOSE_DOUBT_UNKNOWN;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What overlays hold put into their images, by the QEMU that has them; see disks.h.
 *
 * One block job a disk copies the overlay into the image while the guest goes on
 * writing (QEMU block/mirror.c:commit_active_start). Only when all of them have caught
 * up is each told to complete: until then a failure leaves every disk on its overlay.
 * Jobs stay, concluded, until they are dismissed: so nothing depends on an event that
 * somebody else has seen.
 */
#include <string.h>

#include "guest/disks.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* Jobs tell of their states by events, of their progress only when asked. */
#define ASK_MS 200
/* A storage that hangs does not hold the command for ever. */
#define STALL_MS 60000
#define CANCEL_MS 5000

/* What the jobs of all overlays do. */
typedef struct {
    guint under_way, ready, concluded;
    guint64 done, total;
    char *failure; /* of one that failed */
} Jobs;

static void
jobs_clear(Jobs *jobs)
{
    g_clear_pointer(&jobs->failure, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Jobs, jobs_clear)

/* The overlay that job @name is for; jobs have the names of their overlays. */
static const MoseOverlay *
overlay_of(const GPtrArray *overlays, const char *name)
{
    for (guint i = 0; i < overlays->len; i++)
        if (strcmp(((const MoseOverlay *)overlays->pdata[i])->id, name) == 0)
            return overlays->pdata[i];
    return NULL;
}

static void
count_job(JsonObject *job, const MoseOverlay *overlay, Jobs *jobs)
{
    const char *status = mose_json_string(job, "status", "");
    const char *failure = mose_json_string(job, "error", NULL);

    jobs->under_way++;
    jobs->ready += strcmp(status, "ready") == 0 || strcmp(status, "standby") == 0;
    jobs->concluded += strcmp(status, "concluded") == 0;
    jobs->done += (guint64)mose_json_int(job, "current-progress", 0);
    jobs->total += (guint64)mose_json_int(job, "total-progress", 0);
    if (failure && !jobs->failure)
        jobs->failure = g_strdup_printf("disk %s: %s", overlay->image, failure);
}

static gboolean
query_jobs(MoseQmp *qmp, const GPtrArray *overlays, Jobs *ret, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, "query-jobs", NULL, error);
    JsonArray *array = mose_json_node_array(answer);

    jobs_clear(ret);
    *ret = (Jobs){ 0 };
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonObject *job = mose_json_element(array, i);
        const MoseOverlay *overlay =
            job ? overlay_of(overlays, mose_json_string(job, "id", "")) : NULL;

        if (overlay)
            count_job(job, overlay, ret);
    }
    return answer != NULL;
}

static gboolean
is_job_event(const MoseQmpEvent *event, gpointer data)
{
    return strcmp(event->name, "JOB_STATUS_CHANGE") == 0;
}

static gboolean
is_interrupted(int interrupt_fd, GError **error)
{
    if (!mose_fd_is_readable(interrupt_fd))
        return FALSE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                "interrupted; the guest stays in the emulator, on its overlays");
    return TRUE;
}

/* Until some job has changed its state, or it is time to ask; @interrupt_fd ends it. */
static gboolean
wait_a_little(MoseQmp *qmp, int interrupt_fd, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (mose_qmp_wait(qmp, is_job_event, NULL, ASK_MS,
                      interrupt_fd > 0 ? interrupt_fd : -1, NULL, &cause) ||
        g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_TIMEOUT))
        return !is_interrupted(interrupt_fd, error);
    if (!is_interrupted(interrupt_fd, error))
        g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static gboolean
job_command(MoseQmp *qmp, const char *command, const MoseOverlay *overlay,
            GError **error)
{
    return mose_qmp_run(qmp, command, mose_json_object("id", "s", overlay->id, NULL),
                        error);
}

/* --- what is found in a QEMU --- */

/* Whether some device of @block (the answer to query-block) has @node itself. */
static gboolean
is_root(JsonArray *block, const char *node)
{
    for (guint i = 0; block && i < json_array_get_length(block); i++) {
        JsonObject *drive = mose_json_element(block, i);
        JsonObject *inserted = drive ? mose_json_child(drive, "inserted") : NULL;

        if (g_strcmp0(inserted ? mose_json_string(inserted, "node-name", NULL) : NULL,
                      node) == 0)
            return TRUE;
    }
    return FALSE;
}

/*
 * Write down which disks have their image again. Only the QEMU knows: a MOSE may have
 * died after it said "complete". A disk that is under neither name is left as it is.
 */
static gboolean
note_committed(const MoseGuest *guest, MoseQmp *qmp, GPtrArray *overlays,
               GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, "query-block", NULL, error);
    JsonArray *block = mose_json_node_array(answer);

    if (!answer)
        return FALSE;
    for (guint i = 0; i < overlays->len; i++) {
        MoseOverlay *overlay = overlays->pdata[i];

        if (overlay->state == MOSE_OVERLAY_COMMITTING && is_root(block, overlay->node))
            overlay->state = MOSE_OVERLAY_COMMITTED;
    }
    return mose_disks_write(guest, guest->generation, overlays, error);
}

/* Cancel what is under way, and dismiss what has ended. */
static gboolean
end_jobs(MoseQmp *qmp, const GPtrArray *overlays, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + CANCEL_MS * 1000;
    g_auto(Jobs) jobs = { 0 };

    if (!query_jobs(qmp, overlays, &jobs, error))
        return FALSE;
    for (guint i = 0; jobs.under_way && i < overlays->len; i++)
        job_command(qmp, "job-cancel", overlays->pdata[i], NULL);
    while (query_jobs(qmp, overlays, &jobs, error)) {
        if (jobs.concluded == jobs.under_way) {
            for (guint i = 0; jobs.concluded && i < overlays->len; i++)
                job_command(qmp, "job-dismiss", overlays->pdata[i], NULL);
            return TRUE;
        }
        if (g_get_monotonic_time() > deadline) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                        "the commit of the overlays does not let itself be ended");
            return FALSE;
        }
        if (!wait_a_little(qmp, 0, error))
            return FALSE;
    }
    return FALSE;
}

gboolean
mose_disks_recover(const MoseGuest *guest, MoseQmp *qmp, GError **error)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, guest->generation, error);

    if (!overlays)
        return FALSE;
    if (overlays->len == 0)
        return TRUE;
    if (!end_jobs(qmp, overlays, error) || !note_committed(guest, qmp, overlays, error))
        return FALSE;
    mose_disks_forget(guest, guest->generation);
    return TRUE;
}

/* --- the commit --- */

static gboolean
begin(const MoseGuest *guest, MoseQmp *qmp, GPtrArray *overlays, GError **error)
{
    for (guint i = 0; i < overlays->len; i++)
        ((MoseOverlay *)overlays->pdata[i])->state = MOSE_OVERLAY_COMMITTING;
    if (!mose_disks_write(guest, guest->generation, overlays, error))
        return FALSE;
    for (guint i = 0; i < overlays->len; i++) {
        const MoseOverlay *overlay = overlays->pdata[i];

        if (!mose_qmp_run(qmp, "block-commit",
                          mose_json_object("job-id", "s", overlay->id, "device", "s",
                                           overlay->id, "base-node", "s", overlay->node,
                                           "auto-dismiss", "b", FALSE, NULL),
                          error)) {
            g_prefix_error(error, "disk %s: ", overlay->image);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
is_done(const Jobs *jobs, gboolean completing)
{
    return (completing ? jobs->concluded : jobs->ready + jobs->concluded) ==
           jobs->under_way;
}

/* Until all have caught up, or all have @completed. */
static gboolean
wait_jobs(MoseQmp *qmp, const GPtrArray *overlays, gboolean completing,
          const MoseDisksCommit *how, GError **error)
{
    g_auto(Jobs) jobs = { 0 };
    guint64 last = 0;
    gint64 moved_us = g_get_monotonic_time();

    while (query_jobs(qmp, overlays, &jobs, error)) {
        if (jobs.failure) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "%s", jobs.failure);
            return FALSE;
        }
        if (how->progress)
            how->progress(jobs.done, jobs.total, how->data);
        if (is_done(&jobs, completing))
            return TRUE;
        if (jobs.done != last)
            moved_us = g_get_monotonic_time();
        last = jobs.done;
        if (g_get_monotonic_time() - moved_us > STALL_MS * 1000) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                        "nothing of the overlays went into the images for %d s",
                        STALL_MS / 1000);
            return FALSE;
        }
        if (!wait_a_little(qmp, how->interrupt_fd, error))
            return FALSE;
    }
    return FALSE;
}

static gboolean
complete(MoseQmp *qmp, const GPtrArray *overlays, const MoseDisksCommit *how,
         GError **error)
{
    for (guint i = 0; i < overlays->len; i++)
        if (!job_command(qmp, "job-complete", overlays->pdata[i], error))
            return FALSE;
    return wait_jobs(qmp, overlays, TRUE, how, error);
}

/*
 * A guest that was switched while it stood still has never opened its disks: they are
 * opened for the commit, and let go again, since its migration holds them for let go
 * (migration/migration.c:migration_block_inactivate). *@ret whether they were not.
 */
static gboolean
open_disks(MoseQmp *qmp, const GPtrArray *overlays, gboolean *ret, GError **error)
{
    g_autoptr(JsonNode) answer = mose_qmp_execute(qmp, "query-block", NULL, error);
    JsonArray *block = mose_json_node_array(answer);

    *ret = FALSE;
    for (guint i = 0; block && i < json_array_get_length(block); i++) {
        JsonObject *drive = mose_json_element(block, i);
        JsonObject *inserted = drive ? mose_json_child(drive, "inserted") : NULL;

        if (inserted &&
            overlay_of(overlays, mose_json_string(inserted, "node-name", "")))
            *ret |= !mose_json_bool(inserted, "active", TRUE);
    }
    return answer &&
           (!*ret || mose_qmp_run(qmp, "blockdev-set-active",
                                  mose_json_object("active", "b", TRUE, NULL), error));
}

/* What the jobs say is believed only where the disks say so, too. */
static gboolean
all_committed(const GPtrArray *overlays, GError **error)
{
    for (guint i = 0; i < overlays->len; i++) {
        const MoseOverlay *overlay = overlays->pdata[i];

        if (overlay->state == MOSE_OVERLAY_COMMITTED)
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "disk %s: no device of the guest has it after the commit",
                    overlay->image);
        return FALSE;
    }
    return TRUE;
}

static gboolean
commit_all(const MoseGuest *guest, MoseQmp *qmp, GPtrArray *overlays,
           const MoseDisksCommit *how, GError **error)
{
    gboolean opened;
    gboolean done;

    if (!open_disks(qmp, overlays, &opened, error))
        return FALSE;
    done = begin(guest, qmp, overlays, error) &&
           wait_jobs(qmp, overlays, FALSE, how, error) &&
           /* The last moment at which all stay as they are. */
           !is_interrupted(how->interrupt_fd, error) &&
           complete(qmp, overlays, how, error);
    /* After a failure the disks that are not done go on with their overlays. */
    if (!end_jobs(qmp, overlays, done ? error : NULL) ||
        !note_committed(guest, qmp, overlays, done ? error : NULL))
        return FALSE;
    done = done && all_committed(overlays, error);
    if (opened)
        done &= mose_qmp_run(qmp, "blockdev-set-active",
                             mose_json_object("active", "b", FALSE, NULL),
                             done ? error : NULL);
    return done;
}

gboolean
mose_disks_commit(const MoseGuest *guest, MoseQmp *qmp, const MoseDisksCommit *how,
                  guint *ret_committed, GError **error)
{
    g_autoptr(GPtrArray) overlays = NULL;
    g_autoptr(GPtrArray) left = NULL;
    gboolean done;

    *ret_committed = 0;
    if (!mose_disks_recover(guest, qmp, error) ||
        !(overlays = mose_disks_read(guest, guest->generation, error)))
        return FALSE;
    if (overlays->len == 0)
        return TRUE;
    done = commit_all(guest, qmp, overlays, how, error);
    mose_disks_forget(guest, guest->generation);
    left = mose_disks_read(guest, guest->generation, NULL);
    *ret_committed = overlays->len - (left ? left->len : 0);
    if (!done)
        g_prefix_error(error, "what the emulator wrote is not in the images: ");
    return done;
}

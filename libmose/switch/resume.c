/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source made to run again; see resume.h. */
#include "switch/resume.h"

#include <string.h>

#include "util/error.h"
#include "util/json.h"

#define CANCEL_TIMEOUT_MS 5000
/* A migration that still has not been cleared away by then hangs. */
#define CLEAR_TIMEOUT_MS 800
#define POLL_MS 2
#define LOCK_PATIENCE_MS 3000
#define LOCK_POLL_MS 20

gboolean
mose_status_is_live(JsonObject *status)
{
    return mose_json_bool(status, "running", FALSE) ||
           strcmp(mose_json_string(status, "status", ""), "suspended") == 0;
}

static const char *const ended[] = { "",       "none",      "completed",
                                     "failed", "cancelled", NULL };

static gboolean
has_migration(JsonArray *instances)
{
    for (guint i = 0; i < json_array_get_length(instances); i++)
        if (g_strcmp0(mose_json_string(mose_json_element(instances, i), "type", NULL),
                      "migration") == 0)
            return TRUE;
    return FALSE;
}

gboolean
mose_source_hangs(MoseQmp *source)
{
    g_autoptr(JsonObject) state = mose_qmp_query(source, "query-migrate", NULL, NULL);
    g_autoptr(JsonNode) yank = NULL;
    JsonArray *instances;

    if (!state || (!g_strv_contains(ended, mose_json_string(state, "status", "")) &&
                   strcmp(mose_json_string(state, "status", ""), "cancelling") != 0))
        return FALSE;
    yank = mose_qmp_execute(source, "query-yank", NULL, NULL);
    instances = yank ? mose_json_node_array(yank) : NULL;
    return instances && has_migration(instances);
}

/* Wait until the next migration is possible. That follows the end of this one a moment
 * later; the guest runs already. */
static void
wait_for_clearing(MoseQmp *source, gint64 deadline)
{
    while (mose_source_hangs(source) && g_get_monotonic_time() < deadline)
        g_usleep(POLL_MS * 1000);
}

/* Wait until no migration is under way at the source. One that has "completed" may
 * not have left the state "finish-migrate" yet, in which `cont` is refused. */
static gboolean
wait_for_end(MoseQmp *source, gint64 hangs_from, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + CANCEL_TIMEOUT_MS * 1000;

    for (;;) {
        g_autoptr(JsonObject) state =
            mose_qmp_query(source, "query-migrate", NULL, error);
        g_autoptr(JsonObject) status =
            state ? mose_qmp_query(source, "query-status", NULL, error) : NULL;

        if (!status)
            return FALSE;
        if (g_strv_contains(ended, mose_json_string(state, "status", "")) &&
            strcmp(mose_json_string(status, "status", ""), "finish-migrate") != 0)
            return TRUE;
        /* mose_source_hangs(): it will be cancelling for ever, but the guest runs. */
        if (mose_status_is_live(status) && g_get_monotonic_time() > hangs_from)
            return TRUE;
        if (g_get_monotonic_time() > deadline) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                        "the source does not end its migration (%s)",
                        mose_json_string(state, "status", ""));
            return FALSE;
        }
        /* QEMU tells of this end by an event only where events are switched on,
         * and that is another command's choice. */
        g_usleep(POLL_MS * 1000);
    }
}

/*
 * Let it run. Between the move and this nobody had its images, and somebody may have
 * opened one (`qemu-img info`, say): that is over in a moment, and the kernel tells
 * of no such end.
 */
static gboolean
cont(MoseQmp *source, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + LOCK_PATIENCE_MS * 1000;

    for (;;) {
        g_autoptr(GError) cause = NULL;

        if (mose_qmp_run(source, "cont", NULL, &cause))
            return TRUE;
        if (!strstr(cause->message, "\" lock") || g_get_monotonic_time() > deadline) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        g_usleep(LOCK_POLL_MS * 1000);
    }
}

/* Whether the guest stopped of itself. Some of these states QEMU leaves by a reset only
 * (system/runstate.c:runstate_needs_reset); and none is for us to end. */
static gboolean
stopped_itself(const char *state)
{
    static const char *const own[] = { "guest-panicked", "internal-error", "io-error",
                                       "shutdown",       "watchdog",       NULL };

    return g_strv_contains(own, state);
}

/* Whether it is to be told to run: it does not, and a migration, or somebody, has
 * stopped it. */
static gboolean
is_to_run(MoseQmp *source, gboolean *ret, GError **error)
{
    g_autoptr(JsonObject) status = mose_qmp_query(source, "query-status", NULL, error);

    *ret = status && !mose_status_is_live(status) &&
           !stopped_itself(mose_json_string(status, "status", ""));
    return status != NULL;
}

static gboolean
let_run(MoseQmp *source, gboolean was_running, gint64 hangs_from, GError **error)
{
    gboolean stands = FALSE;

    if (!mose_qmp_run(source, "migrate_cancel", NULL, error) ||
        !wait_for_end(source, hangs_from, error) || !is_to_run(source, &stands, error))
        return FALSE;
    if (!stands || !was_running)
        return TRUE;
    /* Then it may stop of itself. */
    if (!cont(source, error) || !is_to_run(source, &stands, error))
        return FALSE;
    if (stands)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the source does not run although it was told to");
    return !stands;
}

gboolean
mose_resume_source(MoseQmp *source, gboolean was_running, GError **error)
{
    gint64 hangs_from = g_get_monotonic_time() + CLEAR_TIMEOUT_MS * 1000;

    if (!let_run(source, was_running, hangs_from, error))
        return FALSE;
    wait_for_clearing(source, hangs_from);
    return TRUE;
}

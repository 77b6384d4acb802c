/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An analysis, from its begin to its end; see session.h. */
#include "analysis/session.h"

#include "qemu/command.h"
#include "switch/debug-stub.h"
#include "util/error.h"
#include "vmi/exact.h"

/* A guest that has not much to do has a vCPU come by by itself, soon; one that has been
 * stopped at once. */
#define BY_ITSELF_MS 10
#define STOPPED_MS 2000

struct MoseSession {
    MoseGuest *guest; /* the caller's */
    MosePlugin *plugin;
    MoseRings *rings;
    gint64 still_us;
};

void
mose_session_free(MoseSession *session)
{
    if (!session)
        return;
    mose_plugin_free(session->plugin);
    mose_rings_free(session->rings);
    g_free(session);
}

typedef struct {
    MosePlugin *plugin;
    gboolean done;
    GError *error;
} Coming;

static void
wait_for_vcpu(const char *registers, gpointer data)
{
    Coming *coming = data;

    coming->done = mose_plugin_wait(coming->plugin, STOPPED_MS, &coming->error);
}

static gboolean
must_run(const MoseGuest *guest, MoseQmp *qmp, GError **error)
{
    gboolean live = FALSE;
    g_autofree char *state = mose_debug_run_state(qmp, &live, error);

    if (!state || live)
        return state != NULL;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "guest %s does not run (%s): there is nothing to be told of",
                guest->name, state);
    return FALSE;
}

/* What was asked for is pending: have a vCPU come by. */
static gboolean
stop_for_it(MoseSession *session, GError **error)
{
    Coming coming = { session->plugin, FALSE, NULL };
    g_autoptr(MoseQmp) qmp =
        mose_guest_connect(session->guest, MOSE_MONITOR_QUERY, error);
    g_autofree char *registers = NULL;

    if (!qmp)
        return FALSE;
    registers = mose_exact_still(session->guest, qmp, wait_for_vcpu, &coming, error);
    session->still_us = MAX(session->still_us, mose_exact_stop_us());
    if (coming.error)
        g_propagate_error(registers ? error : NULL, coming.error);
    return registers && coming.done;
}

static gboolean
settle(MoseSession *session, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (mose_plugin_wait(session->plugin, BY_ITSELF_MS, &cause))
        return TRUE;
    if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_TIMEOUT))
        return stop_for_it(session, error);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static gboolean
begin(MoseSession *session, const MosePlan *plan, guint words, GError **error)
{
    MoseGuest *guest = session->guest;
    g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_QUERY, error);

    if (!qmp || !must_run(guest, qmp, error))
        return FALSE;
    session->plugin = mose_plugin_connect(guest, error);
    if (!session->plugin)
        return FALSE;
    session->rings = mose_rings_new(mose_plugin_vcpus(session->plugin), words, error);
    return session->rings &&
           mose_plugin_arm(session->plugin, plan, session->rings, error);
}

MoseSession *
mose_session_begin(MoseGuest *guest, const MosePlan *plan, guint words, GError **error)
{
    g_autoptr(MoseSession) session = g_new0(MoseSession, 1);

    session->guest = guest;
    if (begin(session, plan, words, error) && settle(session, error))
        return g_steal_pointer(&session);
    return NULL;
}

gboolean
mose_session_read(MoseSession *session, const MoseRingSink *sink, gpointer data,
                  guint64 *ret_n, GError **error)
{
    return mose_rings_read(session->rings, sink, data, ret_n, error);
}

gboolean
mose_session_check(MoseSession *session, GError **error)
{
    gboolean overrun;

    if (!mose_plugin_overrun(session->plugin, &overrun, error))
        return FALSE;
    if (!overrun)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                "guest %s: more code came than could be told of in time; a larger "
                "--buffer may help",
                session->guest->name);
    return FALSE;
}

gboolean
mose_session_end(MoseSession *session, const MoseRingSink *sink, gpointer data,
                 GError **error)
{
    guint64 n;

    return mose_plugin_disarm(session->plugin, error) && settle(session, error) &&
           mose_rings_read(session->rings, sink, data, &n, error);
}

guint
mose_session_vcpus(const MoseSession *session)
{
    return mose_plugin_vcpus(session->plugin);
}

gint64
mose_session_still_us(const MoseSession *session)
{
    return session->still_us;
}

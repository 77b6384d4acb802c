/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a file of device state to a loaded fork; see load.h. */
#include "fork/load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/writes.h"
#include "net/private-tap.h"
#include "qemu/migration.h"
#include "qemu/ram.h"
#include "stream/relay.h"
#include "stream/rules/rule.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* Some 330 KB. */
#define LOAD_MS 15000
#define LAST_WORDS_MS 200

typedef struct {
    const MoseForkLoad *load;
    MoseTscSample begun;
    MoseWrites *writes;
    GPtrArray *changed;
} Loading;

static void
loading_clear(Loading *loading)
{
    mose_writes_free(loading->writes);
    g_clear_pointer(&loading->changed, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Loading, loading_clear)

/* --- the rules --- */

/* No time has gone by for it. */
static gint64
stopped_ns(gpointer data, guint64 tsc)
{
    return 0;
}

static gboolean
read_memory(gpointer data, guint64 address, void *to, gsize len)
{
    const Loading *loading = data;

    return mose_writes_peek(loading->writes, loading->load->ram, address, to, len);
}

static gboolean
write_memory(gpointer data, guint64 address, const void *from, gsize len)
{
    Loading *loading = data;

    return mose_writes_plan(loading->writes, loading->load->ram, address, from, len);
}

/* On the relay's thread. */
static gboolean
rewrite(MoseDoc *doc, gpointer data, GError **error)
{
    Loading *loading = data;
    const MoseFacts *facts = loading->load->facts;
    MoseTscSample now = mose_tsc_sample();
    guint64 khz = mose_tsc_khz(&loading->begun, &now);

    return mose_rules_rewrite(
        &(MoseRuleContext){ loading->load->direction, khz, stopped_ns, read_memory,
                            write_memory, loading, facts ? facts->lost_features : NULL,
                            khz },
        doc, loading->load->without_rule, loading->changed, error);
}

/* --- the move --- */

/* The file has no other end: what would go back there goes nowhere. */
static gboolean
open_source(const MoseForkLoad *load, MoseRelayEnd *ret, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", load->state_fd);

    ret->in = open(path, O_RDONLY | O_CLOEXEC);
    ret->out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (ret->in >= 0 && ret->out >= 0)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot read the kept state");
    mose_fd_close(ret->in);
    mose_fd_close(ret->out);
    return FALSE;
}

static MoseRelay *
connect_relay(Loading *loading, GError **error)
{
    MoseQmp *qmp = loading->load->launch->qmp;
    g_auto(MoseFd) ours = MOSE_FD_NONE;
    g_auto(MoseFd) theirs = MOSE_FD_NONE;
    MoseRelayEnd source, destination;
    MoseRelay *relay;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        mose_error_set_errno(error, errno, "cannot make a socket pair");
        return NULL;
    }
    ours = pair[0];
    theirs = pair[1];
    if (!mose_qmp_send_fd(qmp, "mose", theirs, error) ||
        !mose_qmp_run(qmp, "migrate-incoming",
                      mose_json_object("uri", "s", "fd:mose", NULL), error) ||
        !open_source(loading->load, &source, error))
        return NULL;
    destination.in = destination.out = mose_fd_steal(&ours);
    relay = mose_relay_start_between(source, destination, rewrite, loading, error);
    if (relay)
        mose_relay_set_patience(relay, LOAD_MS);
    return relay;
}

/* Whoever fails first makes the others fail. */
static gboolean
explain(const Loading *loading, MoseRelay *relay, GError **error)
{
    g_autofree char *said = NULL;
    g_autoptr(GError) why = NULL;

    mose_relay_check(relay, &why);
    if (why && !g_error_matches(why, MOSE_ERROR, MOSE_ERROR_CLOSED)) {
        g_clear_error(error);
        g_propagate_error(error, g_steal_pointer(&why));
        return FALSE;
    }
    mose_process_wait(loading->load->launch->process, LAST_WORDS_MS);
    said = mose_log_said(loading->load->launch->log);
    if (*said) {
        g_clear_error(error);
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "it did not load the guest's state; it said: %s", said);
    }
    return FALSE;
}

static gboolean
wait_loaded(const Loading *loading, MoseRelay *relay, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MoseQmpEvent event;

    if (mose_qmp_wait(loading->load->launch->qmp, mose_migration_has_ended, NULL,
                      LOAD_MS, mose_relay_failure_fd(relay), &event, &cause) &&
        mose_migration_is_completed(&event))
        return TRUE;
    if (!cause)
        g_set_error(&cause, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "it did not load the guest's state");
    explain(loading, relay, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

int
mose_fork_open_tap(const MoseTap *tap, gconstpointer data, GError **error)
{
    return mose_private_tap_alone(tap->ifname, tap->vnet_hdr, error);
}

MoseRam *
mose_fork_load_prepare(MoseLaunch *launch, GError **error)
{
    static const MoseCapability capabilities[] = { { "events", TRUE },
                                                   { "x-ignore-shared", TRUE },
                                                   { "return-path", TRUE },
                                                   { "late-block-activate", TRUE } };

    return mose_migration_set(launch->qmp, capabilities, G_N_ELEMENTS(capabilities),
                              error)
               ? mose_ram_of(launch->process, launch->qmp, error)
               : NULL;
}

gboolean
mose_fork_load(const MoseForkLoad *load, GError **error)
{
    g_auto(Loading)
        loading = { load, mose_tsc_sample(), mose_writes_new(), g_ptr_array_new() };
    g_autoptr(MoseRelay) relay = connect_relay(&loading, error);

    return relay && wait_loaded(&loading, relay, error) &&
           mose_writes_do(loading.writes, load->ram, error);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One QEMU process of a guest started; see launch.h. */
#include "guest/launch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "qemu/frozen.h"
#include "qemu/module.h"
#include "qemu/ram.h"
#include "qemu/tap.h"
#include "guest/disks.h"
#include "guest/writes.h"
#include "util/cgroup.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/unix-socket.h"

#define START_TIMEOUT_MS 30000
#define MIN_QEMU_VERSION 100000 /* 10.0.0 */
/* How long a QEMU whose monitor has closed may take to end. */
#define LAST_WORDS_MS 1000

/* Descriptors for the child; the owned ones are closed here after the start. */
typedef struct {
    GArray *fds;   /* MoseInheritedFd */
    GArray *owned; /* int */
} Inheritance;

static void
inheritance_clear(Inheritance *set)
{
    for (guint i = 0; i < set->owned->len; i++)
        mose_fd_close(g_array_index(set->owned, int, i));
    g_array_unref(set->owned);
    g_array_unref(set->fds);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Inheritance, inheritance_clear)

static void
inherit(Inheritance *set, int fd, int number, gboolean owned)
{
    MoseInheritedFd entry = { fd, number };

    g_array_append_val(set->fds, entry);
    if (owned)
        g_array_append_val(set->owned, fd);
}

static gboolean
inherit_monitors(Inheritance *set, const MoseGuest *guest, guint generation,
                 GError **error)
{
    for (int i = 0; i < MOSE_N_MONITORS; i++) {
        g_autofree char *path = mose_guest_monitor(guest, i, generation);
        int fd = mose_unix_listen(path, error);

        if (fd < 0)
            return FALSE;
        inherit(set, fd, MOSE_MONITOR_FD + i, TRUE);
    }
    return TRUE;
}

/* What the plugin listens at. */
static gboolean
inherit_plugin(Inheritance *set, const MoseGuest *guest, guint generation,
               GError **error)
{
    g_autofree char *path = mose_guest_plugin(guest, generation);
    int fd = mose_unix_listen(path, error);

    if (fd < 0)
        return FALSE;
    inherit(set, fd, MOSE_PLUGIN_FD, TRUE);
    return TRUE;
}

/*
 * A tap has one open file for the guest's whole life: packets that wait in it
 * during a switch are read by the next process. A tap cannot be opened twice.
 */
static int
open_tap(const MoseGuest *guest, const MoseLaunchFor *what, const MoseTap *tap,
         GError **error)
{
    if (what->source)
        return mose_tap_take(what->source, tap->ifname, tap->number, error);
    return what->open_tap ? what->open_tap(tap, guest, error)
                          : mose_tap_open(tap->ifname, tap->vnet_hdr, error);
}

static gboolean
inherit_taps(Inheritance *set, const MoseGuest *guest, const MoseLaunchFor *what,
             const MoseCommandLine *line, GError **error)
{
    for (guint i = 0; i < line->taps->len; i++) {
        const MoseTap *tap = line->taps->pdata[i];
        int fd = open_tap(guest, what, tap, error);

        if (fd < 0) {
            g_prefix_error(error, "tap %s: ", tap->ifname);
            return FALSE;
        }
        inherit(set, fd, tap->number, TRUE);
    }
    return TRUE;
}

void
mose_launch_explain(const MoseLaunch *launch, GError **error)
{
    g_autofree char *said = NULL;

    if (!error || !g_error_matches(*error, MOSE_ERROR, MOSE_ERROR_CLOSED) ||
        !mose_process_wait(launch->process, LAST_WORDS_MS))
        return;
    said = mose_log_said(launch->log);
    g_clear_error(error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED, "QEMU (%s) did not start: %s",
                mose_side_name(launch->side), *said ? said : "it ended without a word");
}

/* Wait until QEMU greets, has ended, or is not wanted any more. */
static gboolean
wait_greeting(const MoseLaunch *launch, int monitor, int interrupt_fd, GError **error)
{
    struct pollfd fds[] = { { monitor, POLLIN, 0 },
                            { launch->process->pidfd, POLLIN, 0 },
                            { interrupt_fd > 0 ? interrupt_fd : -1, POLLIN, 0 } };
    int n;

    /* A signal that is not for us only makes the wait longer. */
    while ((n = poll(fds, G_N_ELEMENTS(fds), START_TIMEOUT_MS)) < 0 && errno == EINTR)
        ;
    if (n <= 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_TIMEOUT,
                    "its monitor did not answer within %d s", START_TIMEOUT_MS / 1000);
    else if (fds[2].revents)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                    "interrupted while QEMU was starting");
    else if (!fds[0].revents)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED, "it has ended");
    return n > 0 && !fds[2].revents && fds[0].revents;
}

static MoseQmp *
greet(const MoseLaunch *launch, const char *path, int interrupt_fd, GError **error)
{
    g_auto(MoseFd) fd = mose_unix_connect(path, error);

    if (fd < 0 || !wait_greeting(launch, fd, interrupt_fd, error))
        return NULL;
    return mose_qmp_new(mose_fd_steal(&fd), path, START_TIMEOUT_MS, error);
}

/* What the process inherits beside descriptors; NULL: what we have. */
static MoseSurroundings *
choose_surroundings(const MoseLaunchFor *what, gboolean *ret_good, GError **error)
{
    const MoseProcess *like = what->source ? what->source : what->like;
    g_autofree char *module = what->frozen ? mose_frozen_module(error) : NULL;
    MoseSurroundings *all;

    *ret_good = module || !what->frozen;
    if (!*ret_good || (!like && !module))
        return NULL;
    all = mose_surroundings_of(like ? like->pid : getpid());
    /* One that a frozen process had is not for the next. */
    mose_surroundings_preload(all, MOSE_FROZEN_NAME, module);
    return all;
}

static gboolean
start(const MoseGuest *guest, const MoseLaunchFor *what, MoseLaunch *launch,
      GError **error)
{
    g_auto(Inheritance) set = { g_array_new(FALSE, FALSE, sizeof(MoseInheritedFd)),
                                g_array_new(FALSE, FALSE, sizeof(int)) };
    gboolean good;
    g_autoptr(MoseSurroundings) surroundings = choose_surroundings(what, &good, error);

    if (!good)
        return FALSE;
    if (what->ram_fd >= 0)
        inherit(&set, what->ram_fd, MOSE_RAM_FD, FALSE);
    if (!inherit_monitors(&set, guest, launch->generation, error) ||
        (launch->plugin && !inherit_plugin(&set, guest, launch->generation, error)) ||
        !inherit_taps(&set, guest, what, launch->line, error))
        return FALSE;
    unlink(launch->log);
    launch->process = mose_process_spawn_in(
        surroundings, (const char *const *)launch->line->argv->pdata, guest->spec->cwd,
        launch->log, (const MoseInheritedFd *)(gpointer)set.fds->data, set.fds->len,
        error);
    if (!launch->process)
        return FALSE;
    /* The guest is to outlive the service or session that switches it. */
    if (what->source)
        mose_cgroup_join(launch->process->pid, what->source->pid);
    return TRUE;
}

/* The emulator has it loaded, idle, from the start: none can be loaded later. */
static char *
choose_plugin(const MoseGuest *guest, MoseSide side)
{
    if (side != MOSE_SIDE_EMULATOR ||
        !g_str_has_prefix(guest->spec->accel[side], "tcg"))
        return NULL;
    return mose_module_takes_plugins(guest->spec->qemu)
               ? mose_module_path(&mose_module_plugin)
               : NULL;
}

MoseLaunch *
mose_launch_begin(const MoseGuest *guest, const MoseLaunchFor *what, GError **error)
{
    g_autoptr(MoseLaunch) launch = g_new0(MoseLaunch, 1);
    g_autofree char *pidfile = mose_guest_pidfile(guest, what->generation);
    g_autofree char *plugin = choose_plugin(guest, what->side);
    MoseCommandFor command = { .side = what->side,
                               .generation = what->generation,
                               .ram_shared = what->ram_fd >= 0,
                               .incoming = what->incoming || what->source != NULL,
                               .pidfile = pidfile,
                               .machine_type = guest->machine_type,
                               .ioapic_as_is = what->ioapic_as_is,
                               .plugin = plugin };

    launch->side = what->side;
    launch->generation = what->generation;
    launch->log = mose_guest_log(guest, what->generation);
    launch->plugin = plugin != NULL;
    launch->line = mose_command_build(guest->spec, &command, error);
    if (!launch->line)
        return NULL;
    if (start(guest, what, launch, error))
        return g_steal_pointer(&launch);
    mose_launch_abort(guest, launch);
    return NULL;
}

gboolean
mose_launch_wait(const MoseGuest *guest, MoseLaunch *launch, int interrupt_fd,
                 GError **error)
{
    g_autofree char *path =
        mose_guest_monitor(guest, MOSE_MONITOR_SWITCH, launch->generation);
    g_autoptr(GError) cause = NULL;

    launch->qmp = greet(launch, path, interrupt_fd, &cause);
    if (!launch->qmp) {
        if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_INTERRUPTED))
            g_prefix_error(&cause,
                           "QEMU (%s) did not start: ", mose_side_name(launch->side));
        mose_launch_explain(launch, &cause);
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (mose_qmp_version(launch->qmp) < MIN_QEMU_VERSION) {
        int version = mose_qmp_version(launch->qmp);

        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s is QEMU %d.%d.%d; MOSE needs 10.0 or later", guest->spec->qemu,
                    version / 10000, version / 100 % 100, version % 100);
        return FALSE;
    }
    return TRUE;
}

MoseLaunch *
mose_launch(const MoseGuest *guest, const MoseLaunchFor *what, GError **error)
{
    g_autoptr(MoseLaunch) launch = mose_launch_begin(guest, what, error);

    if (!launch || mose_launch_wait(guest, launch, what->interrupt_fd, error))
        return g_steal_pointer(&launch);
    mose_launch_abort(guest, launch);
    return NULL;
}

void
mose_launch_free(MoseLaunch *launch)
{
    if (!launch)
        return;
    mose_process_free(launch->process);
    mose_qmp_free(launch->qmp);
    mose_command_free(launch->line);
    g_free(launch->log);
    g_free(launch);
}

char *
mose_launch_channel(const MoseGuest *guest, const char *what, guint generation)
{
    return g_strdup_printf("%s/%s.%u", guest->dir, what, generation);
}

/* The user's sockets that the process has bound and that were not renamed. */
static void
forget_sockets(const MoseGuest *guest, guint generation)
{
    MoseCommandFor what = { guest->side, generation, TRUE, "", NULL };
    g_autoptr(MoseCommandLine) line = mose_command_build(guest->spec, &what, NULL);

    for (guint i = 0; line && i < line->renames->len; i++)
        unlink(((const MoseRename *)line->renames->pdata[i])->bound);
}

void
mose_launch_forget_channels(const MoseGuest *guest, guint generation)
{
    static const char *const names[] = { MOSE_CHANNEL_STREAM, MOSE_CHANNEL_INCOMING };

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = mose_launch_channel(guest, names[i], generation);

        unlink(path);
    }
}

void
mose_launch_forget_files(const MoseGuest *guest, guint generation)
{
    g_autofree char *pidfile = mose_guest_pidfile(guest, generation);
    g_autofree char *log = mose_guest_log(guest, generation);
    g_autofree char *plugin = mose_guest_plugin(guest, generation);

    for (int i = 0; i < MOSE_N_MONITORS; i++) {
        g_autofree char *path = mose_guest_monitor(guest, i, generation);

        unlink(path);
    }
    unlink(pidfile);
    unlink(log);
    unlink(plugin);
    mose_launch_forget_channels(guest, generation);
    forget_sockets(guest, generation);
    mose_disks_forget(guest, generation);
    mose_writes_forget(guest, generation);
}

void
mose_launch_doom(const MoseLaunch *launch)
{
    if (launch->process)
        mose_process_doom(launch->process);
}

void
mose_launch_abort(const MoseGuest *guest, MoseLaunch *launch)
{
    mose_launch_doom(launch);
    /* Nobody takes the generation of one that the kernel keeps for longer. */
    if (launch->process)
        mose_process_wait(launch->process, LAST_WORDS_MS);
    mose_launch_forget_files(guest, launch->generation);
}

gboolean
mose_launch_settle(MoseQmp *qmp, const MoseCommandLine *line, GError **error)
{
    g_autoptr(GError) first = NULL;

    for (guint i = 0; i < line->renames->len; i++) {
        const MoseRename *socket = line->renames->pdata[i];

        if (rename(socket->bound, socket->wanted) < 0 && errno != ENOENT && !first)
            mose_error_set_errno(&first, errno, "cannot rename socket %s to %s",
                                 socket->bound, socket->wanted);
    }
    for (guint i = 0; i < line->forwards->len; i++) {
        const MoseForward *forward = line->forwards->pdata[i];
        g_autofree char *command =
            g_strdup_printf("hostfwd_add %s %s", forward->netdev, forward->rule);
        g_autofree char *said = mose_qmp_hmp(qmp, command, first ? NULL : &first);

        if (said && *said && !first)
            g_set_error(&first, MOSE_ERROR, MOSE_ERROR_QMP, "%s: %s", command,
                        g_strstrip(said));
    }
    if (!first)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&first));
    return FALSE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tether as the commands have it, and its other end; see tether.h. */
#include "switch/tether.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guest/exports.h"
#include "guest/guest-dir.h"
#include "qemu/command.h"
#include "switch/home-disks.h"
#include "switch/home-net.h"
#include "switch/tether-process.h"
#include "util/cgroup.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

static char *
file_path(const MoseGuest *guest)
{
    return g_build_filename(guest->dir, "tether", NULL);
}

gboolean
mose_tether_is_needed(const MoseGuest *guest)
{
    return mose_guest_is_away(guest) && mose_far_needs_home(guest->far);
}

MoseProcess *
mose_tether_process(const MoseGuest *guest)
{
    g_autofree char *path = file_path(guest);
    g_autofree char *text = mose_guest_dir_read(path, NULL);
    g_autoptr(JsonObject) record = text ? mose_json_parse(text, -1, path, NULL) : NULL;
    g_autofree char *boot_id = mose_boot_id();

    if (!record || g_strcmp0(mose_json_string(record, "boot-id", NULL), boot_id) != 0)
        return NULL;
    return mose_process_open((pid_t)mose_json_int(record, "pid", 0),
                             (guint64)mose_json_int(record, "start-time", 0), NULL);
}

static gboolean
write_record(const MoseGuest *guest, pid_t pid, GError **error)
{
    g_autofree char *path = file_path(guest);
    g_autofree char *boot_id = mose_boot_id();
    g_autoptr(JsonObject) record = mose_json_object(
        "pid", "i", (gint64)pid, "start-time", "i",
        (gint64)mose_process_start_time(pid), "boot-id", "s", boot_id, NULL);
    g_autofree char *text = mose_json_text(record, TRUE);

    return mose_guest_dir_write(path, text, error);
}

static void
join_groups(const MoseGuest *guest, pid_t pid, pid_t like)
{
    g_autoptr(MoseProcess) daemon = mose_exports_process(guest);

    if (daemon)
        like = daemon->pid;
    if (like > 0)
        mose_cgroup_join(pid, like);
}

gboolean
mose_tether_start(const MoseGuest *guest, MoseFarEnd *end, pid_t like, GError **error)
{
    g_autoptr(MoseProcess) there_is = mose_tether_process(guest);
    g_auto(MoseFd) ours = MOSE_FD_NONE, theirs = MOSE_FD_NONE;
    int ends[2];
    pid_t pid;

    if (there_is && mose_process_alive(there_is))
        return TRUE;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        mose_error_set_errno(error, errno, "cannot start the guest's tether");
        return FALSE;
    }
    theirs = ends[0];
    ours = ends[1];
    pid = fork();
    if (pid == 0) {
        mose_fd_close(mose_fd_steal(&ours));
        mose_tether_main(guest, end, theirs);
    }
    if (pid < 0) {
        mose_error_set_errno(error, errno, "cannot start the guest's tether");
        return FALSE;
    }
    if (end)
        mose_far_end_leave(end);
    join_groups(guest, pid, like);
    /* Not before it can be found: it would be one that nobody ends. */
    return write_record(guest, pid, error) &&
           mose_fd_write_all(ours, "", 1, "to the guest's tether", error);
}

gboolean
mose_tether_end(const MoseGuest *guest, GError **error)
{
    g_autofree char *path = file_path(guest);
    g_autoptr(MoseProcess) process = mose_tether_process(guest);

    if (process && !mose_process_kill(process)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "the guest's tether (pid %d) does not end", (int)process->pid);
        return FALSE;
    }
    unlink(path);
    return TRUE;
}

gboolean
mose_tether_clear(MoseGuest *guest, GError **error)
{
    if (!mose_exports_clear(guest, error) || !mose_tether_end(guest, error))
        return FALSE;
    if (guest->far)
        guest->far->home_disks = guest->far->home_net = FALSE;
    return TRUE;
}

char *
mose_tether_trouble(const MoseGuest *guest)
{
    g_autofree char *path = mose_tether_log(guest);

    return mose_tether_is_needed(guest) ? mose_guest_dir_read(path, NULL) : NULL;
}

/* --- the other end --- */

/* The guest that @request is about. Who has its lock may be waiting for a disk. */
static MoseGuest *
look_guest(JsonObject *request, GError **error)
{
    const char *name = mose_json_string(request, "name", "");
    g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, error);

    if (!guest)
        return NULL;
    if (mose_guest_hangs_on_home(guest) &&
        strcmp(guest->far->life, mose_json_string(request, "life", "")) == 0)
        return g_steal_pointer(&guest);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "guest %s here is another one, which has only the same name", name);
    return NULL;
}

gboolean
mose_tether_offer(const MoseGuest *guest, MoseLink *link, GError **error)
{
    return !guest->far->home_net || mose_home_net_offer(guest, link, error);
}

gboolean
mose_tether_serve_tie(MoseFarEnd *end, JsonObject *request, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(MoseGuest) guest = look_guest(request, &cause);

    if (guest &&
        (!guest->far->home_disks || mose_home_disks_listen(guest, end->link, &cause)) &&
        mose_tether_offer(guest, end->link, &cause))
        return mose_far_end_answer(end, NULL, error);
    return mose_far_end_refuse(end, cause, error);
}

gboolean
mose_tether_serve_wake(MoseFarEnd *end, JsonObject *request, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(MoseGuest) guest = look_guest(request, &cause);
    g_autoptr(MoseQmp) qmp =
        guest ? mose_guest_connect(guest, MOSE_MONITOR_QUERY, &cause) : NULL;
    g_autoptr(JsonObject) status =
        qmp ? mose_qmp_query(qmp, "query-status", NULL, &cause) : NULL;
    g_autofree char *state = g_strdup(mose_json_string(status, "status", ""));

    if (!status)
        return mose_far_end_refuse(end, cause, error);
    if (strcmp(state, "io-error") == 0)
        mose_qmp_run(qmp, "cont", NULL, NULL); /* It may stop again; we shall see. */
    return mose_far_end_answer(end, mose_json_object("status", "s", state, NULL),
                               error);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of one guest, read and written. Its directory: guest-dir.c. */
#include "guest/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/command.h"
#include "guest/disks.h"
#include "guest/forks.h"
#include "guest/guest-dir.h"
#include "guest/journal.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

#define FORMAT 1
#define CONNECT_TIMEOUT_MS 5000

/* What a guest that is a fork has more. */
static void
read_fork(MoseGuest *guest, JsonObject *object)
{
    g_free(guest->fork_of);
    guest->fork_of = g_strdup(mose_json_string(object, "of", NULL));
    guest->owner = (pid_t)mose_json_int(object, "owner", 0);
    guest->owner_start_time = (guint64)mose_json_int(object, "owner-start-time", 0);
}

static gboolean
read_state(MoseGuest *guest, JsonObject *object, GError **error)
{
    JsonObject *process = mose_json_child(object, "process");
    JsonObject *spec = mose_json_child(object, "spec");
    JsonArray *timeline = mose_json_array(object, "timeline");

    if (mose_json_int(object, "format", 0) != FORMAT) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "format %" G_GINT64_FORMAT "; this MOSE reads %d",
                    mose_json_int(object, "format", 0), FORMAT);
        return FALSE;
    }
    g_clear_pointer(&guest->spec, mose_spec_free);
    guest->spec = spec ? mose_spec_from_json(spec, error) : NULL;
    if (spec && !guest->spec)
        return FALSE;
    if (!spec || !process || !timeline ||
        !mose_side_from_name(mose_json_string(object, "side", NULL), &guest->side)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "it is not complete");
        return FALSE;
    }
    guest->generation = mose_json_int(object, "generation", 0);
    guest->generations =
        MAX(guest->generation, mose_json_int(object, "generations", 0));
    guest->pid = mose_json_int(process, "pid", 0);
    guest->start_time = mose_json_int(process, "start-time", 0);
    g_free(guest->machine_type);
    guest->machine_type = g_strdup(mose_json_string(object, "machine-type", NULL));
    g_free(guest->boot_id);
    guest->boot_id = g_strdup(mose_json_string(object, "boot-id", ""));
    guest->clock.known = json_object_has_member(object, "tsc-offset");
    guest->clock.offset = (guint64)mose_json_int(object, "tsc-offset", 0);
    guest->clock.late_ns = mose_json_int(object, "late-ns", 0);
    mose_far_free(guest->far);
    guest->far = mose_far_from_json(mose_json_child(object, "far"));
    g_free(guest->files);
    guest->files = g_strdup(mose_json_string(object, "files", NULL));
    read_fork(guest, mose_json_child(object, "fork"));
    g_clear_pointer(&guest->timeline, json_array_unref);
    guest->timeline = json_array_ref(timeline);
    return TRUE;
}

gboolean
mose_guest_reload(MoseGuest *guest, GError **error)
{
    g_autofree char *path = g_build_filename(guest->dir, "guest.json", NULL);
    g_autofree char *text = mose_guest_dir_read(path, error);
    g_autoptr(JsonObject) object = NULL;

    if (!text)
        return FALSE;
    object = mose_json_parse(text, -1, path, error);
    if (!object)
        return FALSE;
    if (!read_state(guest, object, error)) {
        g_prefix_error(error, "%s: ", path);
        return FALSE;
    }
    return TRUE;
}

gboolean
mose_guest_save(MoseGuest *guest, GError **error)
{
    g_autofree char *path = g_build_filename(guest->dir, "guest.json", NULL);
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) object = mose_json_object(
        "format", "i", (gint64)FORMAT, "spec", "o", mose_spec_to_json(guest->spec),
        "side", "s", mose_side_name(guest->side), "generation", "i",
        (gint64)guest->generation, "generations", "i", (gint64)guest->generations,
        "process", "o",
        mose_json_object("pid", "i", (gint64)guest->pid, "start-time", "i",
                         (gint64)guest->start_time, NULL),
        "boot-id", "s", guest->boot_id, "timeline", "a",
        json_array_ref(guest->timeline), NULL);

    /* Not before its first QEMU has told. */
    if (guest->machine_type)
        json_object_set_string_member(object, "machine-type", guest->machine_type);
    if (guest->clock.known)
        json_object_set_int_member(object, "tsc-offset", (gint64)guest->clock.offset);
    if (guest->clock.known)
        json_object_set_int_member(object, "late-ns", guest->clock.late_ns);
    if (guest->far)
        json_object_set_object_member(object, "far", mose_far_to_json(guest->far));
    if (guest->files)
        json_object_set_string_member(object, "files", guest->files);
    if (guest->fork_of)
        json_object_set_object_member(
            object, "fork",
            mose_json_object("of", "s", guest->fork_of, "owner", "i",
                             (gint64)guest->owner, "owner-start-time", "i",
                             (gint64)guest->owner_start_time, NULL));
    text = mose_json_text(object, TRUE);
    return mose_guest_dir_write(path, text, error);
}

static MoseGuest *
guest_new(const char *name, const char *runtime_dir)
{
    MoseGuest *guest = g_new0(MoseGuest, 1);

    guest->name = g_strdup(name);
    guest->dir = g_build_filename(runtime_dir, name, NULL);
    guest->lock_fd = -1;
    guest->timeline = json_array_new();
    guest->boot_id = mose_boot_id();
    return guest;
}

void
mose_guest_free(MoseGuest *guest)
{
    if (!guest)
        return;
    mose_guest_unlock(guest);
    g_free(guest->name);
    g_free(guest->dir);
    g_free(guest->machine_type);
    g_free(guest->boot_id);
    g_free(guest->fork_of);
    g_free(guest->files);
    mose_spec_free(guest->spec);
    mose_far_free(guest->far);
    g_clear_pointer(&guest->timeline, json_array_unref);
    g_free(guest);
}

void
mose_guest_unlock(MoseGuest *guest)
{
    mose_fd_close(guest->lock_fd);
    guest->lock_fd = -1;
}

MoseGuest *
mose_guest_open(const char *name, MoseGuestAccess access, GError **error)
{
    g_autofree char *runtime_dir = NULL;
    g_autoptr(MoseGuest) guest = NULL;

    if (!mose_guest_name_valid(name, error) ||
        !(runtime_dir = mose_runtime_dir_look(error)))
        return NULL;
    guest = guest_new(name, runtime_dir);
    if (!mose_guest_dir_check(guest->dir, error))
        return NULL;
    if (access == MOSE_GUEST_LOCK) {
        guest->lock_fd = mose_guest_dir_lock(guest->dir, error);
        if (guest->lock_fd < 0)
            return NULL;
    }
    if (!mose_guest_reload(guest, error))
        return NULL;
    return g_steal_pointer(&guest);
}

/* Whether its journal tells of more than a start that died. */
static gboolean
is_under_way(const MoseGuest *guest)
{
    g_autoptr(GError) error = NULL;
    MoseJournalEntry entry;

    if (mose_journal_read(guest->dir, &entry, &error))
        return entry.phase != MOSE_PHASE_START;
    return !g_error_matches(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

/* Copies of a guest that had this name would be taken for its own. */
static gboolean
has_forks(const char *name, GError **error)
{
    g_auto(GStrv) forks = mose_guest_forks(name, error);

    if (forks && *forks)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "there are forks of an earlier guest %s (%s, ...); end them with "
                    "`mose discard`",
                    name, *forks);
    return !forks || *forks;
}

/*
 * The directory of @guest is free for a new one: what is in it is of a guest that
 * has ended, or of a start that died. What cannot be read may be of a guest that
 * lives.
 */
static gboolean
is_free(const MoseGuest *guest, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(MoseGuest) old = mose_guest_open(guest->name, MOSE_GUEST_LOOK, &cause);
    g_autoptr(MoseProcess) process = old ? mose_guest_process(old, NULL) : NULL;
    g_autofree char *monitor = NULL;
    g_auto(MoseFd) listener = MOSE_FD_NONE;

    if (!old && !g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND)) {
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_INVALID,
            "there is a guest %s already, and what is known of it can't be read "
            "(%s); end its QEMU and remove %s",
            guest->name, cause->message, guest->dir);
        return FALSE;
    }
    monitor = old ? mose_guest_monitor(old, MOSE_MONITOR_QUERY, old->generation) : NULL;
    /* A process of another pid namespace is not found, but it listens. */
    listener = monitor ? mose_unix_connect(monitor, NULL) : MOSE_FD_NONE;
    /* What was under way when the host went down is over. */
    if (has_forks(guest->name, error))
        return FALSE;
    if (process || listener >= 0 || (old && mose_guest_is_away(old)) ||
        (old && strcmp(old->boot_id, guest->boot_id) == 0 && is_under_way(guest))) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "there is a guest %s already; see `mose status %s`", guest->name,
                    guest->name);
        return FALSE;
    }
    /* Forgotten with their record, they would be lost. */
    return !old || mose_disks_may_end(old, error);
}

MoseGuest *
mose_guest_create(const char *name, GError **error)
{
    g_autofree char *runtime_dir = NULL;
    g_autoptr(MoseGuest) guest = NULL;

    if (!mose_guest_name_valid(name, error) || !(runtime_dir = mose_runtime_dir(error)))
        return NULL;
    guest = guest_new(name, runtime_dir);
    if (mkdir(guest->dir, 0700) < 0 && errno != EEXIST) {
        mose_error_set_errno(error, errno, "cannot make %s", guest->dir);
        return NULL;
    }
    if (!mose_guest_dir_check(guest->dir, error))
        return NULL;
    guest->lock_fd = mose_guest_dir_lock(guest->dir, error);
    if (guest->lock_fd < 0)
        return NULL;
    if (!is_free(guest, error) || !mose_guest_dir_clear(guest->dir, error))
        return NULL;
    return g_steal_pointer(&guest);
}

gboolean
mose_guest_remove(MoseGuest *guest, GError **error)
{
    /* First: who finds the guest again finds its files. */
    return (!guest->files || mose_guest_dir_discard(guest->files, error)) &&
           mose_guest_dir_remove(guest->dir, error);
}

char *
mose_guest_monitor(const MoseGuest *guest, int monitor, guint generation)
{
    return g_strdup_printf("%s/qmp%d.%u", guest->dir, monitor, generation);
}

char *
mose_guest_plugin(const MoseGuest *guest, guint generation)
{
    return g_strdup_printf("%s/plugin.%u", guest->dir, generation);
}

char *
mose_guest_log(const MoseGuest *guest, guint generation)
{
    return g_strdup_printf("%s/log.%u", guest->dir, generation);
}

char *
mose_guest_pidfile(const MoseGuest *guest, guint generation)
{
    return g_strdup_printf("%s/pid.%u", guest->dir, generation);
}

gboolean
mose_guest_is_away(const MoseGuest *guest)
{
    return guest->far && guest->far->away;
}

gboolean
mose_guest_hangs_on_home(const MoseGuest *guest)
{
    return guest->far && mose_far_needs_home(guest->far) && !guest->far->host;
}

MoseProcess *
mose_guest_process(const MoseGuest *guest, GError **error)
{
    g_autofree char *boot_id = mose_boot_id();
    g_autofree char *log = NULL;
    g_autofree char *said = NULL;
    MoseProcess *process;

    if (mose_guest_is_away(guest)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_AWAY,
                    "guest %s is on %s; `mose virtualize %s` brings it home",
                    guest->name, mose_far_label(guest->far), guest->name);
        return NULL;
    }
    if (strcmp(boot_id, guest->boot_id) != 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_ENDED,
                    "guest %s ended with an earlier boot of this host", guest->name);
        return NULL;
    }
    process = mose_process_open(guest->pid, guest->start_time, NULL);
    if (process)
        return process;
    log = mose_guest_log(guest, guest->generation);
    said = mose_log_said(log);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_ENDED, "guest %s has ended%s%s",
                guest->name, *said ? "; its QEMU said last: " : "", said);
    return NULL;
}

MoseQmp *
mose_guest_connect(const MoseGuest *guest, int monitor, GError **error)
{
    g_autofree char *path = mose_guest_monitor(guest, monitor, guest->generation);

    return mose_qmp_connect(path, CONNECT_TIMEOUT_MS, error);
}

void
mose_guest_note(MoseGuest *guest, const char *event, JsonObject *details)
{
    JsonObject *object = details ? details : json_object_new();

    json_object_set_int_member(object, "time-us", g_get_real_time());
    json_object_set_string_member(object, "event", event);
    json_array_add_object_element(guest->timeline, object);
    if (json_array_get_length(guest->timeline) > MOSE_GUEST_MAX_TIMELINE)
        json_array_remove_element(guest->timeline, 1); /* the start stays */
}

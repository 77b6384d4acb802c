/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose a task is, where it belongs and how it is scheduled. See task-info.h. */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/task-info-priv.h"

/* Linux include/linux/sched/prio.h */
enum { MAX_RT_PRIO = 100, DEFAULT_PRIO = 120 };
/* Linux include/linux/pid.h:pid_type */
enum { PIDTYPE_PGID = 2, PIDTYPE_SID = 3, PIDTYPE_MAX = 4 };

/* struct pid ends with an array of upids, one a level (Linux include/linux/pid.h). */
gboolean
mose_pid_number(MoseLinux *kernel, guint64 pid, guint level, gint *ret, guint64 *ret_ns,
                GError **error)
{
    guint64 deepest, numbers, at, nr;
    gint64 size;

    if (!mose_object_peek(kernel, "pid", pid, "level", &deepest, error) ||
        !mose_object_offset(kernel, "pid", "numbers", &numbers, NULL, error))
        return FALSE;
    *ret = -1;
    if (level > deepest || level >= MOSE_TASK_MAX_PIDS)
        return TRUE;
    size = mose_types_size(kernel->types, mose_types_find(kernel->types, "upid"));
    at = pid + numbers + level * (guint64)MAX(size, 0);
    if (!mose_object_peek(kernel, "upid", at, "nr", &nr, error) ||
        (ret_ns && !mose_object_peek(kernel, "upid", at, "ns", ret_ns, error)))
        return FALSE;
    *ret = nr;
    return TRUE;
}

static gboolean
read_users(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    /* Linux fs/proc/array.c:task_state shows those of real_cred. */
    static const char *const uids[] = { "uid", "euid", "suid", "fsuid" };
    static const char *const gids[] = { "gid", "egid", "sgid", "fsgid" };
    g_auto(MoseObject) cred = { 0 };
    guint64 at, uid, gid;

    if (!mose_object_get(&reader->task, "real_cred", &at, error) ||
        !mose_object_read(reader->kernel, "cred", at, &cred, error))
        return FALSE;
    for (guint i = 0; i < MOSE_N_IDS; i++) {
        if (!mose_object_get(&cred, uids[i], &uid, error) ||
            !mose_object_get(&cred, gids[i], &gid, error))
            return FALSE;
        ret->uid[i] = uid;
        ret->gid[i] = gid;
    }
    return TRUE;
}

static gboolean
read_priority(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    guint64 prio, static_prio, policy, rt_priority;

    if (!mose_object_get(&reader->task, "prio", &prio, error) ||
        !mose_object_get(&reader->task, "static_prio", &static_prio, error) ||
        !mose_object_get(&reader->task, "policy", &policy, error) ||
        !mose_object_get(&reader->task, "rt_priority", &rt_priority, error))
        return FALSE;
    ret->priority = (gint)prio - MAX_RT_PRIO;
    ret->nice = (gint)static_prio - DEFAULT_PRIO;
    ret->policy = policy;
    ret->rt_priority = rt_priority;
    return TRUE;
}

/* --- group, session, terminal --- */

/* Number @type of signal_struct.pids; 0 where there is none any more. */
static gboolean
read_signal_pid(MoseTaskReader *reader, guint type, gint *ret, GError **error)
{
    gsize size;
    const guint8 *pids = mose_object_bytes(&reader->signal, "pids", &size, error);
    guint64 pid;

    *ret = 0;
    if (!pids)
        return FALSE;
    if (size < PIDTYPE_MAX * sizeof(pid)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "signal_struct.pids has %" G_GSIZE_FORMAT " bytes", size);
        return FALSE;
    }
    memcpy(&pid, pids + type * sizeof(pid), sizeof(pid));
    pid = GUINT64_FROM_LE(pid);
    return pid == 0 || mose_pid_number(reader->kernel, pid, 0, ret, NULL, error);
}

/* Linux include/linux/kdev_t.h:new_encode_dev */
static guint32
encode_device(guint32 major, guint32 minor)
{
    return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

/* The kernel calls it pts3, and everybody else by its path in /dev. */
static char *
terminal_name(const char *name)
{
    if (g_str_has_prefix(name, "pts") && g_ascii_isdigit(name[3])) {
        g_autofree char *path = g_strconcat("pts/", name + 3, NULL);

        return mose_vmi_printable(path);
    }
    return mose_vmi_printable(name);
}

static gboolean
read_terminal(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    MoseLinux *kernel = reader->kernel;
    g_auto(MoseObject) tty = { 0 };
    g_autofree char *name = NULL;
    guint64 at, index, driver, group, major, minor;

    ret->tty_group = -1;
    if (!mose_object_get(&reader->signal, "tty", &at, error))
        return FALSE;
    if (at == 0)
        return TRUE;
    if (!mose_object_read(kernel, "tty_struct", at, &tty, error) ||
        !mose_object_get(&tty, "index", &index, error) ||
        !mose_object_get(&tty, "driver", &driver, error) ||
        /* in a struct of their own since 5.16 */
        !mose_object_get(&tty,
                         mose_object_has(&tty, "ctrl.pgrp") ? "ctrl.pgrp" : "pgrp",
                         &group, error) ||
        !(name = mose_object_text(&tty, "name", error)) ||
        !mose_object_peek(kernel, "tty_driver", driver, "major", &major, error) ||
        !mose_object_peek(kernel, "tty_driver", driver, "minor_start", &minor, error) ||
        (group && !mose_pid_number(kernel, group, 0, &ret->tty_group, NULL, error)))
        return FALSE;
    ret->tty = encode_device(major, minor + index);
    ret->tty_name = terminal_name(name);
    return TRUE;
}

gboolean
mose_task_read_ids(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    guint64 signal, threads;

    g_clear_pointer(&ret->tty_name, g_free);
    if (!read_users(reader, ret, error) || !read_priority(reader, ret, error) ||
        !mose_object_get(&reader->task, "signal", &signal, error) ||
        !mose_object_read(reader->kernel, "signal_struct", signal, &reader->signal,
                          error) ||
        !mose_object_get(&reader->signal, "nr_threads", &threads, error) ||
        !read_signal_pid(reader, PIDTYPE_PGID, &ret->group, error) ||
        !read_signal_pid(reader, PIDTYPE_SID, &ret->session, error))
        return FALSE;
    ret->threads = threads;
    return read_terminal(reader, ret, error);
}

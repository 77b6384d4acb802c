/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The namespaces a task is in, and its pids in them. See task-info.h. */
#include <string.h>

#include "vmi/linux/task-info-priv.h"

const char *const mose_ns_names[MOSE_N_NS] = {
    "cgroup", "ipc",
    "mnt",    "net",
    "pid",    "pid_for_children",
    "time",   "time_for_children",
    "user",   "uts",
};

/* Where nsproxy has each, and the type that is there (Linux include/linux/nsproxy.h).
 */
static const struct {
    guint ns;
    const char *member, *type;
} proxied[] = {
    { MOSE_NS_CGROUP, "cgroup_ns", "cgroup_namespace" },
    { MOSE_NS_IPC, "ipc_ns", "ipc_namespace" },
    { MOSE_NS_MNT, "mnt_ns", "mnt_namespace" },
    { MOSE_NS_NET, "net_ns", "net" },
    { MOSE_NS_PID_FOR_CHILDREN, "pid_ns_for_children", "pid_namespace" },
    { MOSE_NS_TIME, "time_ns", "time_namespace" },
    { MOSE_NS_TIME_FOR_CHILDREN, "time_ns_for_children", "time_namespace" },
    { MOSE_NS_UTS, "uts_ns", "uts_namespace" },
};

static gboolean
read_number(MoseLinux *kernel, const char *type, guint64 at, guint32 *ret,
            GError **error)
{
    guint64 number;

    if (!mose_object_peek(kernel, type, at, "ns.inum", &number, error))
        return FALSE;
    *ret = number;
    return TRUE;
}

/* A task that ends gives its nsproxy up. */
static gboolean
read_proxied(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    g_auto(MoseObject) proxy = { 0 };
    guint64 at;

    if (!mose_object_get(&reader->task, "nsproxy", &at, error))
        return FALSE;
    if (at == 0)
        return TRUE;
    if (!mose_object_read(reader->kernel, "nsproxy", at, &proxy, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(proxied); i++)
        if (mose_object_has(&proxy, proxied[i].member) &&
            (!mose_object_get(&proxy, proxied[i].member, &at, error) ||
             (at && !read_number(reader->kernel, proxied[i].type, at,
                                 &ret->ns[proxied[i].ns], error))))
            return FALSE;
    return TRUE;
}

/* Its own PID namespace is that of its deepest number (Linux
 * kernel/pid.c:task_active_pid_ns); one that was reaped has none. */
static gboolean
read_pids(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    guint64 pid, ns = 0;
    gint number;

    ret->n_pids = 0;
    if (!mose_object_get(&reader->task, "thread_pid", &pid, error))
        return FALSE;
    while (pid && ret->n_pids < MOSE_TASK_MAX_PIDS) {
        if (!mose_pid_number(reader->kernel, pid, ret->n_pids, &number, &ns, error))
            return FALSE;
        if (number < 0)
            break;
        ret->pids[ret->n_pids++] = number;
    }
    return ns == 0 || read_number(reader->kernel, "pid_namespace", ns,
                                  &ret->ns[MOSE_NS_PID], error);
}

gboolean
mose_task_read_namespaces(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    guint64 cred, user;

    memset(ret->ns, 0, sizeof(ret->ns));
    return read_proxied(reader, ret, error) && read_pids(reader, ret, error) &&
           mose_object_get(&reader->task, "real_cred", &cred, error) &&
           mose_object_peek(reader->kernel, "cred", cred, "user_ns", &user, error) &&
           read_number(reader->kernel, "user_namespace", user, &ret->ns[MOSE_NS_USER],
                       error);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mounts of a namespace, in a list or a tree. See mounts.h. */
#include "vmi/linux/mounts.h"

#include "util/error.h"
#include "vmi/linux/rbtree.h"

/* Until 6.7 a reader's place in the list is an entry of it: include/linux/mount.h */
#define MNT_CURSOR 0x10000000

void
mose_mount_free(MoseMount *mount)
{
    if (!mount)
        return;
    g_free(mount->root);
    g_free(mount->point);
    g_free(mount->options);
    g_free(mount->type);
    g_free(mount->source);
    g_free(mount->super_options);
    g_free(mount);
}

typedef struct {
    const MoseTask *task;
    GPtrArray *mounts;
    MosePath root;
    MoseObject object; /* its bytes are used again */
} Read;

static gboolean
add_mount(MoseLinux *kernel, guint64 address, gpointer data, GError **error)
{
    Read *read = data;
    MoseMount *mount;
    guint64 flags;
    g_autoptr(GError) cause = NULL;

    if (!mose_object_read(kernel, "mount", address, &read->object, error) ||
        !mose_object_get(&read->object, "mnt.mnt_flags", &flags, error))
        return FALSE;
    if (flags & MNT_CURSOR)
        return TRUE;
    mount = g_new0(MoseMount, 1);
    if (mose_mount_read(&read->object, &read->root, mount, &cause)) {
        g_ptr_array_add(read->mounts, mount);
        return TRUE;
    }
    mose_mount_free(mount);
    if (!cause)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* Linux until 6.7 */
static gboolean
read_list(MoseLinux *kernel, Read *read, guint64 head, GError **error)
{
    guint64 link;

    return mose_object_offset(kernel, "mount", "mnt_list", &link, NULL, error) &&
           mose_list_walk(kernel, head, link, MOSE_MOUNTS_MAX, add_mount, read, error);
}

static gboolean
read_tree(MoseLinux *kernel, Read *read, guint64 root, GError **error)
{
    guint64 link;

    return mose_object_offset(kernel, "mount", "mnt_node", &link, NULL, error) &&
           mose_rbtree_walk(kernel, root, link, MOSE_MOUNTS_MAX, add_mount, read,
                            error);
}

static gboolean
find_namespace(MoseLinux *kernel, const MoseTask *task, guint64 *ret, GError **error)
{
    guint64 proxy;

    if (!mose_object_peek(kernel, "task_struct", task->address, "nsproxy", &proxy,
                          error))
        return FALSE;
    if (proxy != 0)
        return mose_object_peek(kernel, "nsproxy", proxy, "mnt_ns", ret, error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "task %d (%s) has ended: it has no mounts", task->pid, task->comm);
    return FALSE;
}

static gboolean
read_all(MoseLinux *kernel, gpointer data, GError **error)
{
    Read *read = data;
    guint64 namespace, offset;

    g_ptr_array_set_size(read->mounts, 0);
    if (!find_namespace(kernel, read->task, &namespace, error) ||
        !mose_path_of_task(kernel, read->task->address, &read->root, NULL, error))
        return FALSE;
    if (mose_object_offset(kernel, "mnt_namespace", "list", &offset, NULL, NULL))
        return read_list(kernel, read, namespace + offset, error);
    return mose_object_offset(kernel, "mnt_namespace", "mounts", &offset, NULL,
                              error) &&
           read_tree(kernel, read, namespace + offset, error);
}

GPtrArray *
mose_mounts_read(MoseLinux *kernel, const MoseTask *task, guint *ret_retries,
                 GError **error)
{
    g_autoptr(GPtrArray) mounts =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_mount_free);
    Read read = { .task = task, .mounts = mounts };
    gboolean good = mose_linux_retry(kernel, read_all, &read, ret_retries, error);

    mose_object_clear(&read.object);
    return good ? g_steal_pointer(&mounts) : NULL;
}

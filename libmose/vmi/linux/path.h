/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's struct path as text: what d_path() makes of it (Linux fs/d_path.c),
 * across mounts, with " (deleted)" behind what has no name any more, and the names of
 * what never had one ("pipe:[4711]", "/memfd:name (deleted)").
 */
#pragma once

#include "vmi/linux/linux.h"

typedef struct {
    guint64 mnt;    /* address of a struct vfsmount */
    guint64 dentry; /* of a struct dentry */
} MosePath;

/* The struct path at @address. */
gboolean mose_path_read(MoseLinux *kernel, guint64 address, MosePath *ret,
                        GError **error);

/*
 * The root and the working directory of the task whose task_struct is at @task, as
 * /proc/PID has them. NOT_FOUND for a task that has ended. @ret_cwd may be NULL.
 */
gboolean mose_path_of_task(MoseLinux *kernel, guint64 task, MosePath *ret_root,
                           MosePath *ret_cwd, GError **error);

/*
 * The root of the first process, from which paths of any task are told: what a reader
 * of /proc sees who is in no chroot. A path in a mount namespace whose tree is another
 * begins at that tree's own root, as it does in /proc.
 */
gboolean mose_path_first_root(MoseLinux *kernel, MosePath *ret, GError **error);

/*
 * @path from @root on. Free with g_free(); the bytes are the guest's own
 * (mose_vmi_printable()). *@ret_reachable (may be NULL): it lies below @root; if not,
 * the text begins at the root of its own tree. At most 64 KB and 8,192 steps, else
 * INVALID. AGAIN where the guest renames and mounts all the time.
 */
char *mose_path_text(MoseLinux *kernel, const MosePath *path, const MosePath *root,
                     gboolean *ret_reachable, GError **error);

/* Where @path is, whatever became of it: the same without " (deleted)" and made-up
 * names (fs/d_path.c:__d_path). */
char *mose_path_place(MoseLinux *kernel, const MosePath *path, const MosePath *root,
                      gboolean *ret_reachable, GError **error);

/* The dentry's own path in its file system, as dentry_path() tells it ("//deleted"
 * behind what has no name any more), or its name, if it is one of a pseudo file system.
 * The same limits. */
char *mose_path_in_filesystem(MoseLinux *kernel, guint64 dentry, GError **error);

/* path-pseudo.c: what the dentry's d_op->d_dname would say; "" where it has none. */
char *mose_path_pseudo(const MoseObject *dentry, GError **error);

/* The bytes of the name of the struct dentry, up to its NUL; at most 4,096, else
 * INVALID. */
char *mose_path_dentry_name(const MoseObject *dentry, GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mounts that a process sees, as /proc/PID/mountinfo has them (Linux
 * fs/proc_namespace.c:show_mountinfo). What only a file system's own code knows is not
 * told: its options, and names that it makes up for the root or the source.
 */
#pragma once

#include "vmi/linux/path.h"
#include "vmi/linux/tasks.h"

typedef struct {
    guint64 address; /* of its struct mount */
    gint64 id, parent;
    guint major, minor;                    /* of the file system's device */
    char *root;                            /* what of the file system is mounted */
    char *point;                           /* where, from the process's own root on */
    char *options;                         /* "rw,nosuid,relatime" */
    gint64 shared, master, propagate_from; /* peer groups; 0: none */
    gboolean unbindable;
    char *type;          /* "ext4", "fuse.sshfs" */
    char *source;        /* "/dev/vda1" */
    char *super_options; /* "rw,sync": without those of its own */
} MoseMount;

void mose_mount_free(MoseMount *mount);

/* sysctl fs.mount-max is 100,000 by default. */
#define MOSE_MOUNTS_MAX (1u << 20)

/*
 * Those of @task's mount namespace that lie below its root, of MoseMount, in the order
 * that /proc has them. All text is printable, with blanks as \x20. NOT_FOUND for a task
 * that has ended. *@ret_retries (may be NULL): see mose_linux_retry(). Free with
 * g_ptr_array_unref().
 */
GPtrArray *mose_mounts_read(MoseLinux *kernel, const MoseTask *task, guint *ret_retries,
                            GError **error);

/* mount-info.c: what the struct mount @object says. FALSE without an error for one that
 * is not below @root. */
gboolean mose_mount_read(const MoseObject *object, const MosePath *root, MoseMount *ret,
                         GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One open file of the kernel's (struct file), and what its inode says. */
#pragma once

#include "vmi/linux/path.h"

/* f_mode, Linux include/linux/fs.h: the same in all kernels. */
#define MOSE_FILE_READ (1u << 0)
#define MOSE_FILE_WRITE (1u << 1)
#define MOSE_FILE_PATH (1u << 14)

typedef struct {
    guint32 mode; /* S_IF* and permissions; 0 in S_IFMT: one without a type */
    guint64 number;
    guint major, minor;           /* of its file system's device */
    guint rdev_major, rdev_minor; /* of the device that it is */
    gint64 size;                  /* in bytes */
} MoseInode;

/* The struct inode at @address. */
gboolean mose_inode_read(MoseLinux *kernel, guint64 address, MoseInode *ret,
                         GError **error);

typedef struct {
    guint64 address; /* of the struct file */
    guint64 mode;    /* f_mode */
    guint64 flags;   /* f_flags: O_* of x86-64 */
    gint64 position; /* in bytes */
    guint64 f_op, private_data;
    MosePath path;
    MoseInode inode;
} MoseFile;

/*
 * The struct file at @address. @user: where a stacked file system opened it behind a
 * user's back, the user's file is told (include/linux/fs.h: file_user_path()), as
 * /proc/PID/maps does.
 */
gboolean mose_file_read(MoseLinux *kernel, guint64 address, gboolean user,
                        MoseFile *ret, GError **error);

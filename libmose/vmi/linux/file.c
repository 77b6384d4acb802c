/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files and inodes, read. See file.h. */
#include "vmi/linux/file.h"

/* dev_t within the kernel: include/linux/kdev_t.h */
#define MINOR_BITS 20

static void
split_device(guint64 device, guint *ret_major, guint *ret_minor)
{
    *ret_major = (guint32)device >> MINOR_BITS;
    *ret_minor = device & ((1u << MINOR_BITS) - 1);
}

gboolean
mose_inode_read(MoseLinux *kernel, guint64 address, MoseInode *ret, GError **error)
{
    g_auto(MoseObject) inode = { 0 };
    guint64 mode, rdev, size, super, device;

    if (!mose_object_read(kernel, "inode", address, &inode, error) ||
        !mose_object_get(&inode, "i_mode", &mode, error) ||
        !mose_object_get(&inode, "i_ino", &ret->number, error) ||
        !mose_object_get(&inode, "i_rdev", &rdev, error) ||
        !mose_object_get(&inode, "i_size", &size, error) ||
        !mose_object_get(&inode, "i_sb", &super, error) ||
        !mose_object_peek(kernel, "super_block", super, "s_dev", &device, error))
        return FALSE;
    ret->mode = mode;
    ret->size = (gint64)size;
    split_device(device, &ret->major, &ret->minor);
    split_device(rdev, &ret->rdev_major, &ret->rdev_minor);
    return TRUE;
}

/*
 * FMODE_BACKING is bit 25 or, since fsnotify took that one (6.14, and some 6.12), 24.
 * So that a file with either is one of these is seen by what it would say: a dentry of
 * the mount's own file system.
 */
#define MAY_BE_BACKING (3u << 24)

/* fs/file_table.c: struct backing_file */
static gboolean
read_user_path(MoseLinux *kernel, guint64 file, MosePath *ret, guint64 *ret_inode)
{
    guint64 own, user, mounted, super;

    return mose_object_offset(kernel, "backing_file", "file", &own, NULL, NULL) &&
           mose_object_offset(kernel, "backing_file", "user_path", &user, NULL, NULL) &&
           mose_path_read(kernel, file - own + user, ret, NULL) &&
           mose_object_peek(kernel, "vfsmount", ret->mnt, "mnt_sb", &mounted, NULL) &&
           mose_object_peek(kernel, "dentry", ret->dentry, "d_sb", &super, NULL) &&
           mose_object_peek(kernel, "dentry", ret->dentry, "d_inode", ret_inode,
                            NULL) &&
           super == mounted && super != 0 && *ret_inode != 0;
}

static void
use_user_path(MoseLinux *kernel, MoseFile *file, guint64 *inode)
{
    MosePath path;
    guint64 user;

    if (!(file->mode & MAY_BE_BACKING) ||
        !read_user_path(kernel, file->address, &path, &user))
        return;
    file->path = path;
    *inode = user;
}

gboolean
mose_file_read(MoseLinux *kernel, guint64 address, gboolean user, MoseFile *ret,
               GError **error)
{
    g_auto(MoseObject) file = { 0 };
    guint64 inode, position;

    ret->address = address;
    if (!mose_object_read(kernel, "file", address, &file, error) ||
        !mose_object_get(&file, "f_mode", &ret->mode, error) ||
        !mose_object_get(&file, "f_flags", &ret->flags, error) ||
        !mose_object_get(&file, "f_pos", &position, error) ||
        !mose_object_get(&file, "f_op", &ret->f_op, error) ||
        !mose_object_get(&file, "private_data", &ret->private_data, error) ||
        !mose_object_get(&file, "f_path.mnt", &ret->path.mnt, error) ||
        !mose_object_get(&file, "f_path.dentry", &ret->path.dentry, error) ||
        !mose_object_get(&file, "f_inode", &inode, error))
        return FALSE;
    ret->position = (gint64)position;
    if (user)
        use_user_path(kernel, ret, &inode);
    return mose_inode_read(kernel, inode, &ret->inode, error);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A path looked up in the kernel's cache of names (dentries), as far as that goes: what
 * is not in it may exist all the same.
 */
#pragma once

#include "vmi/linux/path.h"

/*
 * The absolute @path from @root on, across mounts and symbolic links (@follow: also the
 * last one), with "." and "..". NOT_FOUND says what part of it is not in the cache, or
 * that it is known not to exist; INVALID after 40 links, for what is no directory, or
 * a directory of more than 4 million names.
 */
gboolean mose_path_look_up(MoseLinux *kernel, const MosePath *root, const char *path,
                           gboolean follow, MosePath *ret, GError **error);

/* The address of the struct inode that @path is; NOT_FOUND where it has none. */
gboolean mose_path_inode(MoseLinux *kernel, const MosePath *path, guint64 *ret,
                         GError **error);

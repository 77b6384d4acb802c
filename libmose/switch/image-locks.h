/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether somebody else would keep an image from a guest's next process. QEMU gives
 * its images up at the end of a migration, and the next process locks them anew at its
 * `cont`; a lock that came meanwhile, or from a program that did not ask, is in its
 * way, and in the source's, too.
 *
 * QEMU locks bytes of the image file (QEMU block/file-posix.c:raw_apply_lock_bytes):
 * 100 + n for each thing n that it does, 200 + n for each that others must not. The
 * kernel tells which locks are whose: /proc/PID/fdinfo, and all of them in /proc/locks.
 */
#pragma once

#include "util/process.h"

/* Paths of the images that @source has locked for writing. Free with
 * g_ptr_array_unref(). */
GPtrArray *mose_image_locks_written(const MoseProcess *source);

/* That somebody, on whatever host, has locked the image @path as a QEMU that writes it
 * does. REFUSED: nobody has, so it is another file, or its storage has no locks;
 * NOT_FOUND. */
gboolean mose_image_locks_see(const char *path, GError **error);

/* REFUSED, naming the image, where another holds a lock that does not go with those of
 * @source; or, where the images are to be @overlaid, where another writes one of them,
 * too. What the kernel does not tell is no reason. */
gboolean mose_image_locks_check(const MoseProcess *source, gboolean overlaid,
                                GError **error);

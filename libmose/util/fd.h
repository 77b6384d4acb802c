/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File descriptors that close themselves, and the few calls on them that the
 * C library leaves half done. No buffering here.
 */
#pragma once

#include <glib.h>

/* An owned descriptor: `g_auto(MoseFd) fd = MOSE_FD_NONE;` */
typedef int MoseFd;
#define MOSE_FD_NONE (-1)

/* Close @fd unless it is negative; keeps errno. */
void mose_fd_close(MoseFd fd);
G_DEFINE_AUTO_CLEANUP_FREE_FUNC(MoseFd, mose_fd_close, MOSE_FD_NONE)

/* Take the descriptor out of *@fd, which no longer owns it. */
static inline int
mose_fd_steal(MoseFd *fd)
{
    int ret = *fd;

    *fd = MOSE_FD_NONE;
    return ret;
}

/* Close all descriptors but those of @keep, which is sorted, and may have negative
 * numbers. */
void mose_fd_keep_only(int *keep, gsize n);

/* Whether @fd is readable now: an eventfd by which somebody says that he wants no more.
 * FALSE for 0 and below, which stand for none. */
gboolean mose_fd_is_readable(int fd);

/* Read, or write, all @len bytes at @offset of a file, or fail with an error that names
 * @what; also where the file is shorter. */
gboolean mose_fd_pread_all(int fd, void *to, gsize len, guint64 offset,
                           const char *what, GError **error);
gboolean mose_fd_pwrite_all(int fd, const void *from, gsize len, guint64 offset,
                            const char *what, GError **error);

/* Write all @len bytes, or fail with an error that names @what. */
gboolean mose_fd_write_all(int fd, const void *data, gsize len, const char *what,
                           GError **error);

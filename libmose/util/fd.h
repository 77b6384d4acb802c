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

/* Write all @len bytes, or fail with an error that names @what. */
gboolean mose_fd_write_all(int fd, const void *data, gsize len, const char *what,
                           GError **error);

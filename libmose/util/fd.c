/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owned descriptors and complete writes. */
#include "util/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/error.h"

void
mose_fd_close(MoseFd fd)
{
    int saved_errno = errno;

    if (fd >= 0)
        close(fd);
    errno = saved_errno;
}

static int
compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

void
mose_fd_keep_only(int *keep, gsize n)
{
    int next = 0;

    qsort(keep, n, sizeof(*keep), compare);
    for (gsize i = 0; i < n; i++) {
        if (keep[i] > next)
            close_range((guint)next, (guint)keep[i] - 1, 0);
        next = MAX(next, keep[i] + 1);
    }
    close_range((guint)next, ~0U, 0);
}

gboolean
mose_fd_write_all(int fd, const void *data, gsize len, const char *what, GError **error)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            mose_error_set_errno(error, errno, "cannot write %s", what);
            return FALSE;
        }
        p += n;
        len -= n;
    }
    return TRUE;
}

gboolean
mose_fd_is_readable(int fd)
{
    struct pollfd poll_fd = { fd, POLLIN, 0 };

    return fd > 0 && poll(&poll_fd, 1, 0) == 1;
}

gboolean
mose_fd_pread_all(int fd, void *to, gsize len, guint64 offset, const char *what,
                  GError **error)
{
    for (gsize at = 0; at < len;) {
        ssize_t n = pread(fd, (guint8 *)to + at, len - at, (off_t)(offset + at));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            mose_error_set_errno(error, errno, "cannot read %s", what);
        if (n == 0)
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s is too short", what);
        if (n <= 0)
            return FALSE;
        at += (gsize)n;
    }
    return TRUE;
}

gboolean
mose_fd_pwrite_all(int fd, const void *from, gsize len, guint64 offset,
                   const char *what, GError **error)
{
    for (gsize at = 0; at < len;) {
        ssize_t n =
            pwrite(fd, (const guint8 *)from + at, len - at, (off_t)(offset + at));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            mose_error_set_errno(error, n < 0 ? errno : EIO, "cannot write %s", what);
            return FALSE;
        }
        at += (gsize)n;
    }
    return TRUE;
}

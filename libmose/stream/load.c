/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a file into a reader, a mebibyte at a time. */
#include "stream/load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"

#define CHUNK (1u << 20)

static gboolean
read_all(int fd, MoseReader *reader, GError **error)
{
    g_autofree guint8 *chunk = g_malloc(CHUNK);
    ssize_t n;
    gsize pass;

    do {
        n = TEMP_FAILURE_RETRY(read(fd, chunk, CHUNK));
        if (n < 0) {
            mose_error_set_errno(error, errno, "cannot read");
            return FALSE;
        }
        if (!mose_reader_push(reader, chunk, (gsize)n, &pass, error))
            return FALSE;
    } while (n > 0);
    return mose_reader_finish(reader, error);
}

MoseReader *
mose_stream_load(const char *path, GError **error)
{
    g_autoptr(MoseReader) reader = mose_reader_new();
    g_auto(MoseFd) file = MOSE_FD_NONE;
    int fd = STDIN_FILENO;

    if (strcmp(path, "-") != 0) {
        fd = file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
            mose_error_set_errno(error, errno, "%s: cannot open", path);
            return NULL;
        }
    }
    if (!read_all(fd, reader, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    return g_steal_pointer(&reader);
}

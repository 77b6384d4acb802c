/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A core file's bytes; see core-file.h. */
#include "vmi/core-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "util/error.h"
#include "util/fd.h"
#include "vmi/core-cache.h"
#include "vmi/core-flat.h"

struct MoseCoreFile {
    MoseFd fd;
    char *name;
    guint64 size;
    GArray *pieces; /* of a flattened file; or NULL */
    MoseCoreCache *cache;
};

static gboolean
fill(gpointer data, guint64 number, guint8 *to, gsize *ret_len)
{
    const MoseCoreFile *file = data;
    guint64 offset = number * MOSE_CORE_BLOCK;

    if (number > G_MAXINT64 / MOSE_CORE_BLOCK || offset >= file->size)
        return FALSE;
    *ret_len = MIN(MOSE_CORE_BLOCK, file->size - offset);
    return mose_core_file_get(file, offset, to, *ret_len);
}

/* Opened and measured. */
static gboolean
look(MoseCoreFile *file, GError **error)
{
    guint8 header[32];
    struct stat st;

    if (fstat(file->fd, &st) < 0) {
        mose_error_set_errno(error, errno, "%s", file->name);
        return FALSE;
    }
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s is not a file",
                    file->name);
        return FALSE;
    }
    file->size = st.st_size;
    if (file->size < sizeof(header)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s has %" G_GUINT64_FORMAT " bytes: that is no core file",
                    file->name, file->size);
        return FALSE;
    }
    if (!mose_fd_pread_all(file->fd, header, sizeof(header), 0, file->name, error))
        return FALSE;
    if (!mose_flat_is(header, sizeof(header)))
        return TRUE;
    file->pieces = mose_flat_index(file->fd, file->size, file->name, error);
    if (!file->pieces)
        return FALSE;
    file->size = mose_flat_end(file->pieces);
    return TRUE;
}

MoseCoreFile *
mose_core_file_new(int fd, const char *name, GError **error)
{
    g_autoptr(MoseCoreFile) file = g_new0(MoseCoreFile, 1);

    file->fd = fd;
    file->name = g_strdup(name);
    file->cache = mose_core_cache_new(fill, file);
    return look(file, error) ? g_steal_pointer(&file) : NULL;
}

MoseCoreFile *
mose_core_file_open(const char *path, GError **error)
{
    /* Not stopped by a pipe that nobody writes. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0)
        return mose_core_file_new(fd, path, error);
    if (errno == ENOENT)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "no file %s", path);
    else
        mose_error_set_errno(error, errno, "cannot open %s", path);
    return NULL;
}

void
mose_core_file_free(MoseCoreFile *file)
{
    if (!file)
        return;
    mose_fd_close(file->fd);
    g_clear_pointer(&file->pieces, g_array_unref);
    mose_core_cache_free(file->cache);
    g_free(file->name);
    g_free(file);
}

const char *
mose_core_file_name(const MoseCoreFile *file)
{
    return file->name;
}

guint64
mose_core_file_size(const MoseCoreFile *file)
{
    return file->size;
}

gboolean
mose_core_file_get(const MoseCoreFile *file, guint64 offset, void *to, gsize len)
{
    if (offset > file->size || len > file->size - offset)
        return FALSE;
    if (file->pieces)
        return mose_flat_read(file->fd, file->pieces, offset, to, len);
    return mose_fd_pread_all(file->fd, to, len, offset, file->name, NULL);
}

gboolean
mose_core_file_peek(MoseCoreFile *file, guint64 offset, void *to, gsize len)
{
    /* A block that has holes is not cached. */
    return mose_core_cache_read(file->cache, offset, to, len) ||
           mose_core_file_get(file, offset, to, len);
}

gboolean
mose_core_file_read(const MoseCoreFile *file, guint64 offset, void *to, gsize len,
                    const char *what, GError **error)
{
    if (!mose_core_file_holds(file, offset, len, what, error))
        return FALSE;
    if (mose_core_file_get(file, offset, to, len))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s: cannot read %s, %" G_GSIZE_FORMAT " bytes at 0x%" G_GINT64_MODIFIER
                "x",
                file->name, what, len, offset);
    return FALSE;
}

gboolean
mose_core_file_holds(const MoseCoreFile *file, guint64 offset, guint64 len,
                     const char *what, GError **error)
{
    if (offset <= file->size && len <= file->size - offset)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s: %s, 0x%" G_GINT64_MODIFIER "x bytes at 0x%" G_GINT64_MODIFIER
                "x, goes beyond the file's end at 0x%" G_GINT64_MODIFIER "x",
                file->name, what, len, offset, file->size);
    return FALSE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that is there whole or not at all; see dump-file.h. */
#include "vmi/dump-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"

#define BLOCK 4096u

struct MoseDumpFile {
    char *path;
    char *temporary; /* the name it has for now, or NULL: it has none */
    MoseFd fd;
    gboolean force;
    guint64 end;
};

static gboolean
is_free(const MoseDumpFile *file, GError **error)
{
    struct stat st;

    if (lstat(file->path, &st) < 0 && errno == ENOENT)
        return TRUE;
    if (file->force && S_ISREG(st.st_mode))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                file->force ? "%s is there, and is no plain file"
                            : "%s is there already; --force replaces it",
                file->path);
    return FALSE;
}

/* A name beside the file's own. */
static char *
temporary_name(const MoseDumpFile *file)
{
    g_autofree char *dir = g_path_get_dirname(file->path);
    g_autofree char *base = g_path_get_basename(file->path);
    g_autofree char *name = g_strdup_printf(".%.200s.XXXXXX", base);

    return g_build_filename(dir, name, NULL);
}

static gboolean
open_file(MoseDumpFile *file, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(file->path);

    file->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file->fd >= 0)
        return TRUE;
    /* What file systems and kernels say that do not know of it (open(2)). */
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) {
        file->temporary = temporary_name(file);
        file->fd = mkostemp(file->temporary, O_CLOEXEC);
        if (file->fd >= 0)
            return TRUE;
        g_clear_pointer(&file->temporary, g_free);
    }
    mose_error_set_errno(error, errno, "cannot make %s", file->path);
    return FALSE;
}

MoseDumpFile *
mose_dump_file_new(const char *path, gboolean force, GError **error)
{
    g_autoptr(MoseDumpFile) file = g_new0(MoseDumpFile, 1);

    file->path = g_strdup(path);
    file->fd = MOSE_FD_NONE;
    file->force = force;
    return is_free(file, error) && open_file(file, error) ? g_steal_pointer(&file)
                                                          : NULL;
}

void
mose_dump_file_free(MoseDumpFile *file)
{
    if (!file)
        return;
    if (file->temporary)
        unlink(file->temporary);
    mose_fd_close(file->fd);
    g_free(file->temporary);
    g_free(file->path);
    g_free(file);
}

static gboolean
is_zero(const guint8 *bytes, gsize len)
{
    return len > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

static gboolean
write_all(MoseDumpFile *file, guint64 offset, const guint8 *bytes, gsize len,
          GError **error)
{
    if (len > 0 && !mose_fd_pwrite_all(file->fd, bytes, len, offset, file->path, error))
        return FALSE;
    file->end = MAX(file->end, offset + len);
    return TRUE;
}

gboolean
mose_dump_file_write(MoseDumpFile *file, guint64 offset, gconstpointer data, gsize len,
                     GError **error)
{
    const guint8 *bytes = data;
    gsize begin = 0, at = 0; /* from `begin` to `at`: to be written */

    if (offset > G_MAXINT64 || len > G_MAXINT64 - offset) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                    "QEMU's dump goes to 0x%" G_GINT64_MODIFIER "x of the file",
                    offset);
        return FALSE;
    }
    while (at < len) {
        gsize n = MIN(len - at, BLOCK - (offset + at) % BLOCK);

        /* Where something was written before, zeros are written, too. */
        if (offset + at >= file->end && is_zero(bytes + at, n)) {
            if (!write_all(file, offset + begin, bytes + begin, at - begin, error))
                return FALSE;
            begin = at + n;
        }
        at += n;
    }
    return write_all(file, offset + begin, bytes + begin, at - begin, error) &&
           write_all(file, offset + len, NULL, 0, error);
}

gboolean
mose_dump_file_read(MoseDumpFile *file, guint64 offset, void *to, gsize len,
                    GError **error)
{
    return mose_fd_pread_all(file->fd, to, len, offset, file->path, error);
}

guint64
mose_dump_file_end(const MoseDumpFile *file)
{
    return file->end;
}

/* It gets @name; EEXIST where that is taken. */
static int
link_as(const MoseDumpFile *file, const char *name)
{
    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", file->fd);

    return linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

/* One without a name gets one for now, so that it can be put in another's place. */
static int
name_for_now(MoseDumpFile *file)
{
    for (int tries = 0; tries < 100; tries++) {
        g_autofree char *name = temporary_name(file);
        char *random = name + strlen(name) - 6;

        g_snprintf(random, 7, "%06x", g_random_int() & 0xffffff);
        if (link_as(file, name) == 0) {
            file->temporary = g_steal_pointer(&name);
            return 0;
        }
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

static int
replace(MoseDumpFile *file)
{
    if (!file->temporary && name_for_now(file) < 0)
        return -1;
    if (rename(file->temporary, file->path) < 0)
        return -1;
    g_clear_pointer(&file->temporary, g_free);
    return 0;
}

/* Where nothing was; where something is by now, that stays. */
static int
publish(MoseDumpFile *file)
{
    if (!file->temporary)
        return link_as(file, file->path);
    if (renameat2(AT_FDCWD, file->temporary, AT_FDCWD, file->path, RENAME_NOREPLACE) ==
        0) {
        g_clear_pointer(&file->temporary, g_free);
        return 0;
    }
    /* Its other name goes when it is freed. */
    return errno == EINVAL ? link(file->temporary, file->path) : -1;
}

gboolean
mose_dump_file_keep(MoseDumpFile *file, guint64 *ret_taken, GError **error)
{
    struct stat st;

    /* A disk that is full may say so only now. */
    if (ftruncate(file->fd, file->end) < 0 || fsync(file->fd) < 0 ||
        fstat(file->fd, &st) < 0) {
        mose_error_set_errno(error, errno, "cannot write %s", file->path);
        return FALSE;
    }
    if ((file->force ? replace(file) : publish(file)) < 0) {
        mose_error_set_errno(error, errno, "cannot name %s", file->path);
        return FALSE;
    }
    *ret_taken = (guint64)st.st_blocks * 512;
    return TRUE;
}

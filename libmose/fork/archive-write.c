/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An archive written; see archive.h. */
#include "fork/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "fork/archive-format.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

struct MoseArchiveWriter {
    char *path, *dir, *part; /* where it goes, and where it is made */
    MoseFd fd;
    guint64 at; /* where the next piece goes */
    int level;
    ZSTD_CCtx *zstd;
    guint8 *piece, *packed; /* what is being filled, and its place when packed */
    gsize filled, packed_size;
    GArray *pieces;    /* ArchivePiece */
    GHashTable *known; /* hash -> number of the piece plus one */
    GPtrArray *streams;
};

static guint
hash_of_hash(gconstpointer key)
{
    guint32 first;

    memcpy(&first, key, sizeof(first));
    return first;
}

static gboolean
same_hash(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, ARCHIVE_HASH) == 0;
}

static gboolean
write_all(MoseArchiveWriter *writer, const void *data, gsize len, GError **error)
{
    if (!mose_fd_write_all(writer->fd, data, len, writer->part, error))
        return FALSE;
    writer->at += len;
    return TRUE;
}

static gboolean
write_header(MoseArchiveWriter *writer, GError **error)
{
    guint8 header[ARCHIVE_HEADER];
    guint32 version = GUINT32_TO_LE(ARCHIVE_VERSION);

    memcpy(header, ARCHIVE_MAGIC, ARCHIVE_MAGIC_LEN);
    memcpy(header + ARCHIVE_MAGIC_LEN, &version, sizeof(version));
    return write_all(writer, header, sizeof(header), error);
}

static gboolean
make_dir(MoseArchiveWriter *writer, GError **error)
{
    g_autofree char *dir = g_strconcat(writer->path, ".XXXXXX", NULL);

    if (!g_mkdtemp(dir)) {
        mose_error_set_errno(error, errno, "cannot make a directory beside %s",
                             writer->path);
        return FALSE;
    }
    writer->dir = g_steal_pointer(&dir);
    writer->part = mose_archive_scratch(writer, "archive");
    return TRUE;
}

char *
mose_archive_scratch(const MoseArchiveWriter *writer, const char *name)
{
    return g_build_filename(writer->dir, name, NULL);
}

MoseArchiveWriter *
mose_archive_create(const char *path, int level, GError **error)
{
    g_autoptr(MoseArchiveWriter) writer = g_new0(MoseArchiveWriter, 1);

    writer->path = g_strdup(path);
    writer->fd = MOSE_FD_NONE;
    writer->level = level;
    writer->zstd = ZSTD_createCCtx();
    writer->packed_size = ZSTD_compressBound(MOSE_ARCHIVE_PIECE);
    writer->piece = g_malloc(MOSE_ARCHIVE_PIECE);
    writer->packed = g_malloc(writer->packed_size);
    writer->pieces = g_array_new(FALSE, FALSE, sizeof(ArchivePiece));
    writer->known = g_hash_table_new_full(hash_of_hash, same_hash, g_free, NULL);
    writer->streams = g_ptr_array_new_with_free_func(archive_stream_free);
    if (g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is there already; remove it, or name another file", path);
        return NULL;
    }
    if (!make_dir(writer, error))
        return NULL;
    writer->fd =
        open(writer->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (writer->fd < 0) {
        mose_error_set_errno(error, errno, "cannot make %s", writer->part);
        return NULL;
    }
    return write_header(writer, error) ? g_steal_pointer(&writer) : NULL;
}

void
mose_archive_writer_free(MoseArchiveWriter *writer)
{
    if (!writer)
        return;
    if (writer->part)
        unlink(writer->part);
    if (writer->dir)
        rmdir(writer->dir);
    mose_fd_close(writer->fd);
    ZSTD_freeCCtx(writer->zstd);
    g_free(writer->piece);
    g_free(writer->packed);
    g_array_unref(writer->pieces);
    g_hash_table_unref(writer->known);
    g_ptr_array_unref(writer->streams);
    g_free(writer->path);
    g_free(writer->dir);
    g_free(writer->part);
    g_free(writer);
}

/* --- pieces --- */

static ArchiveStream *
current(const MoseArchiveWriter *writer)
{
    return writer->streams->pdata[writer->streams->len - 1];
}

static gboolean
is_zero(const guint8 *data, gsize len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* Store what nobody has had yet; its number. */
static gboolean
store(MoseArchiveWriter *writer, guint32 *ret, GError **error)
{
    ArchivePiece piece = { .offset = writer->at, .raw = (guint32)writer->filled };
    gpointer known;
    gsize packed;

    archive_hash(writer->piece, writer->filled, piece.hash);
    known = g_hash_table_lookup(writer->known, piece.hash);
    if (known) {
        *ret = GPOINTER_TO_UINT(known) - 1;
        return TRUE;
    }
    packed = ZSTD_compressCCtx(writer->zstd, writer->packed, writer->packed_size,
                               writer->piece, writer->filled, writer->level);
    if (ZSTD_isError(packed) || packed >= writer->filled) {
        piece.stored = piece.raw;
        if (!write_all(writer, writer->piece, writer->filled, error))
            return FALSE;
    } else {
        piece.stored = (guint32)packed;
        if (!write_all(writer, writer->packed, packed, error))
            return FALSE;
    }
    *ret = writer->pieces->len;
    g_array_append_val(writer->pieces, piece);
    g_hash_table_insert(writer->known, g_memdup2(piece.hash, ARCHIVE_HASH),
                        GUINT_TO_POINTER(*ret + 1));
    return TRUE;
}

/* What has been filled is a piece. */
static gboolean
flush(MoseArchiveWriter *writer, GError **error)
{
    guint32 number = ARCHIVE_ZEROS;

    if (writer->filled == 0)
        return TRUE;
    if (!is_zero(writer->piece, writer->filled) && !store(writer, &number, error))
        return FALSE;
    g_array_append_val(current(writer)->map, number);
    writer->filled = 0;
    return TRUE;
}

gboolean
mose_archive_begin(MoseArchiveWriter *writer, const char *name, GError **error)
{
    /* The rest of the one before. */
    if (!flush(writer, error))
        return FALSE;
    g_ptr_array_add(writer->streams, archive_stream_new(g_strdup(name)));
    return TRUE;
}

gboolean
mose_archive_add(MoseArchiveWriter *writer, const void *data, gsize len, GError **error)
{
    const guint8 *at = data;

    current(writer)->size += len;
    while (len > 0) {
        gsize n = MIN(len, MOSE_ARCHIVE_PIECE - writer->filled);

        memcpy(writer->piece + writer->filled, at, n);
        writer->filled += n;
        at += n;
        len -= n;
        if (writer->filled == MOSE_ARCHIVE_PIECE && !flush(writer, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
mose_archive_add_zeros(MoseArchiveWriter *writer, guint64 len, GError **error)
{
    static const guint8 zeros[4096];
    guint32 number = ARCHIVE_ZEROS;

    while (len > 0) {
        gsize n = MIN(len, sizeof(zeros));

        if (writer->filled == 0 && len >= MOSE_ARCHIVE_PIECE) {
            g_array_append_val(current(writer)->map, number);
            current(writer)->size += MOSE_ARCHIVE_PIECE;
            len -= MOSE_ARCHIVE_PIECE;
            continue;
        }
        if (!mose_archive_add(writer, zeros, n, error))
            return FALSE;
        len -= n;
    }
    return TRUE;
}

/* --- files --- */

/* The next bytes that are there, from @at on; the file's end where there are none. */
static guint64
next_data(int fd, guint64 at, guint64 size)
{
    off_t found = lseek(fd, (off_t)at, SEEK_DATA);

    if (found < 0)
        return errno == ENXIO ? size : at;
    return MIN((guint64)found, size);
}

gboolean
mose_archive_add_file(MoseArchiveWriter *writer, const char *name, int fd,
                      GError **error)
{
    g_autofree guint8 *buffer = g_malloc(MOSE_ARCHIVE_PIECE);
    struct stat st;

    if (fstat(fd, &st) < 0) {
        mose_error_set_errno(error, errno, "cannot read %s", name);
        return FALSE;
    }
    if (!mose_archive_begin(writer, name, error))
        return FALSE;
    for (guint64 at = 0; at < (guint64)st.st_size;) {
        guint64 data = next_data(fd, at, (guint64)st.st_size);
        ssize_t n;

        if (data > at) {
            if (!mose_archive_add_zeros(writer, data - at, error))
                return FALSE;
            at = data;
            continue;
        }
        n = pread(fd, buffer, MIN((guint64)st.st_size - at, MOSE_ARCHIVE_PIECE),
                  (off_t)at);
        if (n <= 0) {
            mose_error_set_errno(error, n < 0 ? errno : EIO, "cannot read %s", name);
            return FALSE;
        }
        if (!mose_archive_add(writer, buffer, (gsize)n, error))
            return FALSE;
        at += (guint64)n;
    }
    return TRUE;
}

/* --- the end --- */

static void
put32(GByteArray *to, guint32 value)
{
    value = GUINT32_TO_LE(value);
    g_byte_array_append(to, (guint8 *)&value, sizeof(value));
}

static void
put64(GByteArray *to, guint64 value)
{
    value = GUINT64_TO_LE(value);
    g_byte_array_append(to, (guint8 *)&value, sizeof(value));
}

static void
put_text(GByteArray *to, const char *text)
{
    put32(to, (guint32)strlen(text));
    g_byte_array_append(to, (const guint8 *)text, (guint)strlen(text));
}

static GByteArray *
contents(const MoseArchiveWriter *writer, JsonObject *description)
{
    GByteArray *all = g_byte_array_new();
    g_autofree char *text = mose_json_text(description, FALSE);

    put32(all, writer->pieces->len);
    for (guint i = 0; i < writer->pieces->len; i++) {
        const ArchivePiece *piece = &g_array_index(writer->pieces, ArchivePiece, i);

        put64(all, piece->offset);
        put32(all, piece->stored);
        put32(all, piece->raw);
        g_byte_array_append(all, piece->hash, ARCHIVE_HASH);
    }
    put32(all, writer->streams->len);
    for (guint i = 0; i < writer->streams->len; i++) {
        const ArchiveStream *stream = writer->streams->pdata[i];

        put_text(all, stream->name);
        put64(all, stream->size);
        put32(all, stream->map->len);
        for (guint k = 0; k < stream->map->len; k++)
            put32(all, g_array_index(stream->map, guint32, k));
    }
    put_text(all, text);
    return all;
}

static gboolean
write_contents(MoseArchiveWriter *writer, const GByteArray *all, GError **error)
{
    gsize size = ZSTD_compressBound(all->len);
    g_autofree guint8 *packed = g_malloc(size);
    g_autoptr(GByteArray) footer = g_byte_array_new();
    guint8 hash[ARCHIVE_HASH];
    guint64 offset = writer->at;

    size = ZSTD_compressCCtx(writer->zstd, packed, size, all->data, all->len,
                             writer->level);
    if (ZSTD_isError(size)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "zstd: %s",
                    ZSTD_getErrorName(size));
        return FALSE;
    }
    archive_hash(all->data, all->len, hash);
    g_byte_array_append(footer, (const guint8 *)ARCHIVE_MAGIC, ARCHIVE_MAGIC_LEN);
    put32(footer, ARCHIVE_VERSION);
    put32(footer, 0);
    put64(footer, offset);
    put64(footer, size);
    put64(footer, all->len);
    g_byte_array_append(footer, hash, ARCHIVE_HASH);
    return write_all(writer, packed, size, error) &&
           write_all(writer, footer->data, footer->len, error);
}

/* In one step, and not over what somebody has put there. */
static gboolean
publish(const MoseArchiveWriter *writer, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(writer->path);
    g_auto(MoseFd) dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fsync(writer->fd) == 0 &&
        renameat2(AT_FDCWD, writer->part, AT_FDCWD, writer->path, RENAME_NOREPLACE) ==
            0 &&
        (dir_fd < 0 || fsync(dir_fd) == 0))
        return TRUE;
    mose_error_set_errno(error, errno, "cannot write %s", writer->path);
    return FALSE;
}

gboolean
mose_archive_finish(MoseArchiveWriter *writer, JsonObject *take, guint64 *ret_bytes,
                    GError **error)
{
    g_autoptr(JsonObject) description = take;
    g_autoptr(GByteArray) all = NULL;

    if (!flush(writer, error))
        return FALSE;
    all = contents(writer, description);
    if (!write_contents(writer, all, error))
        return FALSE;
    if (!publish(writer, error))
        return FALSE;
    *ret_bytes = writer->at;
    return TRUE;
}

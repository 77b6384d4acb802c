/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An archive read, by whoever made it; see archive.h. */
#include "fork/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "fork/archive-format.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* Pieces between two words of how far it is. */
#define TELL_EACH 256

struct MoseArchive {
    char *path;
    MoseFd fd;
    ZSTD_DCtx *zstd;
    GArray *pieces;     /* ArchivePiece */
    GPtrArray *streams; /* ArchiveStream */
    JsonObject *description;
    guint8 *piece, *stored;
};

static gboolean
damaged(const MoseArchive *archive, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s is damaged: %s",
                archive->path, what);
    return FALSE;
}

static gboolean
read_at(const MoseArchive *archive, void *to, gsize len, guint64 offset, GError **error)
{
    return mose_fd_pread_all(archive->fd, to, len, offset, archive->path, error);
}

/* --- the contents --- */

typedef struct {
    const guint8 *at, *end;
} Bytes;

static gboolean
take(Bytes *bytes, void *to, gsize len)
{
    if ((gsize)(bytes->end - bytes->at) < len)
        return FALSE;
    memcpy(to, bytes->at, len);
    bytes->at += len;
    return TRUE;
}

static gboolean
take32(Bytes *bytes, guint32 *ret)
{
    gboolean good = take(bytes, ret, sizeof(*ret));

    *ret = GUINT32_FROM_LE(*ret);
    return good;
}

static gboolean
take64(Bytes *bytes, guint64 *ret)
{
    gboolean good = take(bytes, ret, sizeof(*ret));

    *ret = GUINT64_FROM_LE(*ret);
    return good;
}

/* The caller's; NULL where there is none of up to @max bytes. */
static char *
take_text(Bytes *bytes, guint32 max)
{
    guint32 len = 0;
    char *text;

    if (!take32(bytes, &len) || len > max || (gsize)(bytes->end - bytes->at) < len)
        return NULL;
    text = g_strndup((const char *)bytes->at, len);
    bytes->at += len;
    return text;
}

/* How much room @n things of at least @each bytes would take is there. */
static gboolean
may_hold(const Bytes *bytes, guint64 n, gsize each)
{
    return n <= (gsize)(bytes->end - bytes->at) / each;
}

static gboolean
take_pieces(MoseArchive *archive, Bytes *bytes, guint64 end)
{
    guint32 n = 0;

    if (!take32(bytes, &n) || !may_hold(bytes, n, 16 + ARCHIVE_HASH))
        return FALSE;
    for (guint32 i = 0; i < n; i++) {
        ArchivePiece piece;

        if (!take64(bytes, &piece.offset) || !take32(bytes, &piece.stored) ||
            !take32(bytes, &piece.raw) || !take(bytes, piece.hash, ARCHIVE_HASH) ||
            piece.raw == 0 || piece.raw > MOSE_ARCHIVE_PIECE ||
            piece.stored > piece.raw || piece.offset > end ||
            piece.stored > end - piece.offset)
            return FALSE;
        g_array_append_val(archive->pieces, piece);
    }
    return TRUE;
}

/* As many pieces as its size needs, each of the right one. */
static gboolean
is_sound(const MoseArchive *archive, const ArchiveStream *stream)
{
    guint64 left = stream->size;

    for (guint i = 0; i < stream->map->len; i++) {
        guint32 number = g_array_index(stream->map, guint32, i);
        guint64 want = MIN(left, MOSE_ARCHIVE_PIECE);

        if (want == 0 ||
            (number != ARCHIVE_ZEROS &&
             (number >= archive->pieces->len ||
              g_array_index(archive->pieces, ArchivePiece, number).raw != want)))
            return FALSE;
        left -= want;
    }
    return left == 0;
}

static gboolean
take_stream(MoseArchive *archive, Bytes *bytes)
{
    ArchiveStream *stream = archive_stream_new(take_text(bytes, ARCHIVE_NAME_MAX));
    guint32 n = 0;

    g_ptr_array_add(archive->streams, stream);
    if (!stream->name || !take64(bytes, &stream->size) || !take32(bytes, &n) ||
        !may_hold(bytes, n, sizeof(guint32)))
        return FALSE;
    for (guint32 i = 0; i < n; i++) {
        guint32 number;

        take32(bytes, &number);
        g_array_append_val(stream->map, number);
    }
    return is_sound(archive, stream);
}

static gboolean
parse(MoseArchive *archive, const guint8 *data, gsize len, guint64 end, GError **error)
{
    Bytes bytes = { data, data + len };
    g_autofree char *text = NULL;
    guint32 n = 0;

    if (!take_pieces(archive, &bytes, end) || !take32(&bytes, &n) ||
        n > ARCHIVE_STREAMS_MAX)
        return damaged(archive, "its contents make no sense", error);
    for (guint32 i = 0; i < n; i++)
        if (!take_stream(archive, &bytes))
            return damaged(archive, "its contents make no sense", error);
    text = take_text(&bytes, ARCHIVE_TEXT_MAX);
    if (!text || bytes.at != bytes.end)
        return damaged(archive, "its contents make no sense", error);
    archive->description = mose_json_parse(text, -1, archive->path, error);
    return archive->description != NULL;
}

/* --- opening --- */

typedef struct {
    guint64 offset, stored, raw;
    guint8 hash[ARCHIVE_HASH];
} Footer;

static gboolean
read_footer(const MoseArchive *archive, guint64 size, Footer *ret, GError **error)
{
    guint8 data[ARCHIVE_FOOTER];
    Bytes bytes = { data, data + sizeof(data) };
    char magic[ARCHIVE_MAGIC_LEN];
    guint32 version, zero;

    if (size < ARCHIVE_HEADER + ARCHIVE_FOOTER) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is no exported fork: it is too short", archive->path);
        return FALSE;
    }
    if (!read_at(archive, data, sizeof(data), size - ARCHIVE_FOOTER, error))
        return FALSE;
    take(&bytes, magic, sizeof(magic));
    take32(&bytes, &version);
    take32(&bytes, &zero);
    take64(&bytes, &ret->offset);
    take64(&bytes, &ret->stored);
    take64(&bytes, &ret->raw);
    take(&bytes, ret->hash, ARCHIVE_HASH);
    if (memcmp(magic, ARCHIVE_MAGIC, sizeof(magic)) != 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is no exported fork, or not the whole of one", archive->path);
        return FALSE;
    }
    if (version != ARCHIVE_VERSION) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s: version %u; this MOSE reads %d", archive->path, version,
                    ARCHIVE_VERSION);
        return FALSE;
    }
    if (ret->raw > ARCHIVE_CONTENTS_MAX || ret->offset > size - ARCHIVE_FOOTER ||
        ret->stored != size - ARCHIVE_FOOTER - ret->offset)
        return damaged(archive, "its end makes no sense", error);
    return TRUE;
}

static gboolean
read_contents(MoseArchive *archive, const Footer *footer, GError **error)
{
    g_autofree guint8 *stored = g_try_malloc(footer->stored);
    g_autofree guint8 *raw = g_try_malloc(footer->raw);
    guint8 hash[ARCHIVE_HASH];

    if (!stored || !raw)
        return damaged(archive, "its contents are too large for this host", error);
    if (!read_at(archive, stored, footer->stored, footer->offset, error))
        return FALSE;
    if (ZSTD_decompressDCtx(archive->zstd, raw, footer->raw, stored, footer->stored) !=
        footer->raw)
        return damaged(archive, "its contents cannot be unpacked", error);
    archive_hash(raw, footer->raw, hash);
    if (memcmp(hash, footer->hash, ARCHIVE_HASH) != 0)
        return damaged(archive, "its contents have another checksum", error);
    return parse(archive, raw, footer->raw, footer->offset, error);
}

MoseArchive *
mose_archive_open(const char *path, GError **error)
{
    g_autoptr(MoseArchive) archive = g_new0(MoseArchive, 1);
    Footer footer;
    struct stat st;

    archive->path = g_strdup(path);
    archive->zstd = ZSTD_createDCtx();
    archive->pieces = g_array_new(FALSE, FALSE, sizeof(ArchivePiece));
    archive->streams = g_ptr_array_new_with_free_func(archive_stream_free);
    archive->piece = g_malloc(MOSE_ARCHIVE_PIECE);
    archive->stored = g_malloc(MOSE_ARCHIVE_PIECE);
    archive->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (archive->fd < 0 || fstat(archive->fd, &st) < 0) {
        mose_error_set_errno(error, errno, "cannot open %s", path);
        return NULL;
    }
    return read_footer(archive, (guint64)st.st_size, &footer, error) &&
                   read_contents(archive, &footer, error)
               ? g_steal_pointer(&archive)
               : NULL;
}

void
mose_archive_free(MoseArchive *archive)
{
    if (!archive)
        return;
    mose_fd_close(archive->fd);
    ZSTD_freeDCtx(archive->zstd);
    g_array_unref(archive->pieces);
    g_ptr_array_unref(archive->streams);
    g_clear_pointer(&archive->description, json_object_unref);
    g_free(archive->piece);
    g_free(archive->stored);
    g_free(archive->path);
    g_free(archive);
}

JsonObject *
mose_archive_description(const MoseArchive *archive)
{
    return archive->description;
}

/* --- streams --- */

static const ArchiveStream *
find(const MoseArchive *archive, const char *name, GError **error)
{
    for (guint i = 0; i < archive->streams->len; i++) {
        const ArchiveStream *stream = archive->streams->pdata[i];

        if (strcmp(stream->name, name) == 0)
            return stream;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "%s has no %s", archive->path,
                name);
    return NULL;
}

gboolean
mose_archive_size(const MoseArchive *archive, const char *name, guint64 *ret,
                  GError **error)
{
    const ArchiveStream *stream = find(archive, name, error);

    if (stream)
        *ret = stream->size;
    return stream != NULL;
}

gboolean
mose_archive_need(const MoseArchive *archive, const char *name, guint64 *ret,
                  GError **error)
{
    const ArchiveStream *stream = find(archive, name, error);

    *ret = 0;
    for (guint i = 0; stream && i < stream->map->len; i++)
        if (g_array_index(stream->map, guint32, i) != ARCHIVE_ZEROS)
            *ret += MOSE_ARCHIVE_PIECE;
    return stream != NULL;
}

static gboolean
load(MoseArchive *archive, const ArchivePiece *piece, GError **error)
{
    guint8 hash[ARCHIVE_HASH];

    if (piece->stored == piece->raw) {
        if (!read_at(archive, archive->piece, piece->raw, piece->offset, error))
            return FALSE;
    } else if (!read_at(archive, archive->stored, piece->stored, piece->offset,
                        error)) {
        return FALSE;
    } else if (ZSTD_decompressDCtx(archive->zstd, archive->piece, MOSE_ARCHIVE_PIECE,
                                   archive->stored, piece->stored) != piece->raw) {
        return damaged(archive, "a piece cannot be unpacked", error);
    }
    archive_hash(archive->piece, piece->raw, hash);
    return memcmp(hash, piece->hash, ARCHIVE_HASH) == 0 ||
           damaged(archive, "a piece has another checksum", error);
}

gboolean
mose_archive_extract(MoseArchive *archive, const char *name, int fd,
                     MoseArchiveProgress progress, gpointer data, GError **error)
{
    const ArchiveStream *stream = find(archive, name, error);
    guint64 at = 0;

    for (guint i = 0; stream && i < stream->map->len; i++, at += MOSE_ARCHIVE_PIECE) {
        guint32 number = g_array_index(stream->map, guint32, i);
        const ArchivePiece *piece;

        if (progress && i % TELL_EACH == 0 && !progress(at, stream->size, data, error))
            return FALSE;
        if (number == ARCHIVE_ZEROS)
            continue;
        piece = &g_array_index(archive->pieces, ArchivePiece, number);
        if (!load(archive, piece, error) ||
            !mose_fd_pwrite_all(fd, archive->piece, piece->raw, at, name, error))
            return FALSE;
    }
    return stream != NULL;
}

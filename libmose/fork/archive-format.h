/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What writing and reading an archive share; see archive.h. */
#pragma once

#include <glib.h>

#define ARCHIVE_MAGIC "MOSEfork"
#define ARCHIVE_MAGIC_LEN 8
#define ARCHIVE_VERSION 1
#define ARCHIVE_HEADER (ARCHIVE_MAGIC_LEN + 4)
#define ARCHIVE_FOOTER (ARCHIVE_MAGIC_LEN + 4 + 4 + 8 + 8 + 8 + ARCHIVE_HASH)
#define ARCHIVE_HASH 32
#define ARCHIVE_ZEROS G_MAXUINT32
#define ARCHIVE_NAME_MAX 255
/* Of the contents, unpacked: those of some 600 GB. A file that claims more is none. */
#define ARCHIVE_CONTENTS_MAX ((guint64)512 << 20)
#define ARCHIVE_STREAMS_MAX 1000
#define ARCHIVE_TEXT_MAX (16 << 20)

typedef struct {
    guint64 offset;
    guint32 stored, raw;
    guint8 hash[ARCHIVE_HASH];
} ArchivePiece;

typedef struct {
    char *name;
    guint64 size;
    GArray *map; /* guint32: number of the piece, or ARCHIVE_ZEROS */
} ArchiveStream;

/* Called @take, which is taken over; for a GPtrArray. */
ArchiveStream *archive_stream_new(char *take);
void archive_stream_free(gpointer data);

/* SHA-256 of @len bytes. */
void archive_hash(const void *data, gsize len, guint8 *ret);

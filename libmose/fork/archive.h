/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of named streams (a guest's memory, a disk) in pieces of 64 KB, each of which
 * is stored once, whoever has it, under its SHA-256, compressed by zstd; zeros are not
 * stored. Numbers are little-endian:
 *
 *   header    "MOSEfork", u32 version (1)
 *   pieces    zstd frames, or the bytes themselves where those are shorter
 *   contents  one zstd frame, of which the raw bytes are:
 *             u32 n; n times: u64 offset, u32 stored, u32 raw bytes, 32 bytes SHA-256
 *             u32 n; n times: u32 length and name, u64 size, u32 m, m times u32: which
 *             piece (0xffffffff: zeros)
 *             u32 length and a description (JSON)
 *   footer    "MOSEfork", u32 version, u32 0, u64 offset of the contents, u64 stored,
 *             u64 raw bytes, 32 bytes SHA-256 of the latter
 *
 * What is read is checked: sizes against the file, pieces against their SHA-256.
 */
#pragma once

#include <json-glib/json-glib.h>

#define MOSE_ARCHIVE_PIECE ((gsize)65536)

/* --- writing --- */

typedef struct MoseArchiveWriter MoseArchiveWriter;

/*
 * Begin @path: written in a new directory beside it, which nobody else can read
 * (@path.XXXXXX), and put in its place when all is there, so that a file of that name
 * is never half a one. INVALID if @path exists. @level is zstd's.
 */
MoseArchiveWriter *mose_archive_create(const char *path, int level, GError **error);

/* A file called @name in that directory, for what is to be added; it goes with it. Free
 * with g_free(). */
char *mose_archive_scratch(const MoseArchiveWriter *writer, const char *name);

/* Begin stream @name, of which the bytes follow in their order. */
gboolean mose_archive_begin(MoseArchiveWriter *writer, const char *name,
                            GError **error);
gboolean mose_archive_add(MoseArchiveWriter *writer, const void *data, gsize len,
                          GError **error);
gboolean mose_archive_add_zeros(MoseArchiveWriter *writer, guint64 len, GError **error);

/* All that @fd (a file) holds, as a stream; holes cost nothing. */
gboolean mose_archive_add_file(MoseArchiveWriter *writer, const char *name, int fd,
                               GError **error);

/* Write the rest and make it durable. @take is taken over. *@ret_bytes is the file's
 * size. INVALID if somebody else has made such a file meanwhile. */
gboolean mose_archive_finish(MoseArchiveWriter *writer, JsonObject *take,
                             guint64 *ret_bytes, GError **error);

/* What was not finished is removed. */
void mose_archive_writer_free(MoseArchiveWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseArchiveWriter, mose_archive_writer_free)

/* --- reading --- */

typedef struct MoseArchive MoseArchive;

/* INVALID where it is none, or not whole; UNSUPPORTED: of another version. */
MoseArchive *mose_archive_open(const char *path, GError **error);
void mose_archive_free(MoseArchive *archive);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseArchive, mose_archive_free)

JsonObject *mose_archive_description(const MoseArchive *archive); /* borrowed */

/* The size of stream @name; NOT_FOUND. */
gboolean mose_archive_size(const MoseArchive *archive, const char *name, guint64 *ret,
                           GError **error);

/* How much of it is not zeros, bytes, rounded up to pieces. */
gboolean mose_archive_need(const MoseArchive *archive, const char *name, guint64 *ret,
                           GError **error);

typedef gboolean (*MoseArchiveProgress)(guint64 done, guint64 total, gpointer data,
                                        GError **error);

/*
 * Write stream @name to @fd, which holds nothing but zeros and has its size. INVALID
 * where the archive is damaged. @progress (may be NULL) is told from time to time, and
 * ends it with FALSE and @error.
 */
gboolean mose_archive_extract(MoseArchive *archive, const char *name, int fd,
                              MoseArchiveProgress progress, gpointer data,
                              GError **error);

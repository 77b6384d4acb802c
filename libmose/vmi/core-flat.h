/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * makedumpfile's flattened form: a file cut into records, each with the offset that its
 * bytes are for, so that it can be written through a pipe (makedumpfile
 * makedumpfile.h: struct makedumpfile_header, makedumpfile_data_header; QEMU
 * dump/dump.c: write_buffer). Their numbers are big-endian.
 */
#pragma once

#include <glib.h>

#define MOSE_FLAT_SIGNATURE "makedumpfile"
#define MOSE_FLAT_HEADER 4096 /* bytes; the records follow */

/* Where @size bytes that are for @offset lie in the file. */
typedef struct {
    guint64 offset, size, at;
} MoseFlatPiece;

/* Whether these first bytes of a file, of which there are @len, begin a flattened one
 * (signature[16], type 1, version 1). */
gboolean mose_flat_is(const guint8 *header, gsize len);

/*
 * One pass over the records of @fd, whose size is @size: an array of MoseFlatPiece in
 * ascending order of offsets, without overlaps; where records overlap, the later one in
 * the file holds. INVALID names the file's offset.
 */
GArray *mose_flat_index(int fd, guint64 size, const char *name, GError **error);

/* The end of what the pieces stand for. */
guint64 mose_flat_end(const GArray *pieces);

/* Copy @len bytes that are for @offset. FALSE where they are not all there. */
gboolean mose_flat_read(int fd, const GArray *pieces, guint64 offset, void *to,
                        gsize len);

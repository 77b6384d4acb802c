/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file that a dump is written to: 0600, with holes where there are zeros, and
 * without a name (or, on file systems that cannot, with another one) until it is whole.
 */
#pragma once

#include <glib.h>

typedef struct MoseDumpFile MoseDumpFile;

/* For @path. INVALID where that is there already, unless @force, or is no file. */
MoseDumpFile *mose_dump_file_new(const char *path, gboolean force, GError **error);

/* Free it; what has not been kept is gone. */
void mose_dump_file_free(MoseDumpFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseDumpFile, mose_dump_file_free)

/* Write @len bytes at @offset, anywhere. */
gboolean mose_dump_file_write(MoseDumpFile *file, guint64 offset, gconstpointer bytes,
                              gsize len, GError **error);

/* What was written there. */
gboolean mose_dump_file_read(MoseDumpFile *file, guint64 offset, void *to, gsize len,
                             GError **error);

/* Where the last byte that was written ends. */
guint64 mose_dump_file_end(const MoseDumpFile *file);

/* It is whole: on the disk, and under its name. *@ret_taken is what it takes there. */
gboolean mose_dump_file_keep(MoseDumpFile *file, guint64 *ret_taken, GError **error);

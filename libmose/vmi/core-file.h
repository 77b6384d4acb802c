/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of a core file by offset, whether it lies there as it is or is in
 * makedumpfile's flattened form. Knows nothing of what they mean. It is read(2), not
 * mapped: a file that shrinks meanwhile is an error, not a SIGBUS.
 */
#pragma once

#include <glib.h>

typedef struct MoseCoreFile MoseCoreFile;

/* INVALID where it is no file, or a flattened one that is broken. */
MoseCoreFile *mose_core_file_open(const char *path, GError **error);
/* The same of @fd, which is taken over; @name is for errors. */
MoseCoreFile *mose_core_file_new(int fd, const char *name, GError **error);
void mose_core_file_free(MoseCoreFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseCoreFile, mose_core_file_free)

const char *mose_core_file_name(const MoseCoreFile *file);

/* In bytes; of a flattened file, of what it stands for. */
guint64 mose_core_file_size(const MoseCoreFile *file);

/* Copy @len bytes at @offset. FALSE where they are not all there. */
gboolean mose_core_file_get(const MoseCoreFile *file, guint64 offset, void *to,
                            gsize len);

/* The same, through a small cache: for what is read again, a few bytes at a time. */
gboolean mose_core_file_peek(MoseCoreFile *file, guint64 offset, void *to, gsize len);

/* The same, with an error, INVALID, that says of which part (@what) and where. */
gboolean mose_core_file_read(const MoseCoreFile *file, guint64 offset, void *to,
                             gsize len, const char *what, GError **error);

/* Whether @len bytes at @offset are within the file's size; else INVALID. */
gboolean mose_core_file_holds(const MoseCoreFile *file, guint64 offset, guint64 len,
                              const char *what, GError **error);

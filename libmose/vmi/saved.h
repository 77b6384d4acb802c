/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical memory asked of QEMU (QMP pmemsave), for a QEMU whose own memory we may not
 * read: pieces of it, written to a file by QEMU and kept for a while. Slower than the
 * other ways by far.
 */
#pragma once

#include "qemu/qmp.h"

typedef struct MoseSaved MoseSaved;

/* @qmp, and @dir, a directory for the file, must outlive it. */
MoseSaved *mose_saved_new(const char *dir, MoseQmp *qmp, GError **error);
void mose_saved_free(MoseSaved *saved);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseSaved, mose_saved_free)

/* Of MoseRamRange: only what is RAM is ever asked for, as reading a device may change
 * it. */
const GArray *mose_saved_ranges(const MoseSaved *saved);

/* FALSE where it is not all RAM, or QEMU cannot write the file. */
gboolean mose_saved_read(MoseSaved *saved, guint64 address, void *to, gsize len);

/* Let go of the pieces that are kept. */
void mose_saved_forget(MoseSaved *saved);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cores that are kdump-compressed: of makedumpfile, and QEMU's kdump formats. */
#pragma once

#include "vmi/core-file.h"
#include "vmi/core-notes.h"

typedef struct MoseKdump MoseKdump;

/* Whether these first @len bytes of a file are of one. */
gboolean mose_kdump_is(const guint8 *header, gsize len);

/*
 * Read headers, notes and bitmaps of @file, which must outlive it. INVALID with offset;
 * UNSUPPORTED, in words, for one part of a split file, for one of 32 bits, and for a
 * way of packing that is not known.
 */
MoseKdump *mose_kdump_new(MoseCoreFile *file, MoseCoreNotes *notes, GError **error);
void mose_kdump_free(MoseKdump *kdump);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseKdump, mose_kdump_free)

/* What is RAM, and in the file or left out for being zeros, of MoseMemoryRange. */
const GArray *mose_kdump_ranges(const MoseKdump *kdump);

/*
 * Copy @len bytes at guest-physical @address. FALSE where a page is not in the file or
 * does not unpack. One that was left out is zeros only where nothing but zeros was left
 * out: nothing else in the file tells why.
 */
gboolean mose_kdump_read(MoseKdump *kdump, guint64 address, void *to, gsize len);

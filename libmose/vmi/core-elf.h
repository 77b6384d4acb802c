/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cores that are ELF files: where which guest-physical memory is, and their notes. */
#pragma once

#include "vmi/core-file.h"
#include "vmi/core-notes.h"

/* Guest-physical memory that the file has at @offset. */
typedef struct {
    guint64 address, size, offset;
} MoseCoreSegment;

/* Whether these first @len bytes of a file are of an ELF file. */
gboolean mose_core_elf_is(const guint8 *header, gsize len);

/*
 * Read the headers and notes of @file: an array of MoseCoreSegment, in ascending order
 * of addresses and without overlaps. INVALID with offset; UNSUPPORTED for a core of
 * 32 bits or of another processor.
 */
GArray *mose_core_elf_read(const MoseCoreFile *file, MoseCoreNotes *notes,
                           gboolean *ret_x86_64, GError **error);

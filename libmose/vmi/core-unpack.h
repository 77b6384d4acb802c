/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One page of a kdump-compressed file, unpacked. The bytes are a stranger's: what does
 * not unpack to exactly one page is refused.
 */
#pragma once

#include <glib.h>

/* Flags of a page, and of the file (makedumpfile diskdump_mod.h: DUMP_DH_COMPRESSED_*).
 */
enum {
    MOSE_PACKED_ZLIB = 0x1,
    MOSE_PACKED_LZO = 0x2,
    MOSE_PACKED_SNAPPY = 0x4,
    MOSE_PACKED_ZSTD = 0x20,
    MOSE_PACKED_ANY = 0x27,
    MOSE_PACKED_NOTED = 0x18, /* of the file: cut short; without its vmemmap */
};

/* @len bytes at @from, packed as @flags says (one of them, or 0), become @size bytes at
 * @to. */
gboolean mose_unpack(guint32 flags, const guint8 *from, gsize len, guint8 *to,
                     gsize size);

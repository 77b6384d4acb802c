/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Core files made by hand, of a few pages in three pieces of memory with a hole between
 * each two: what is at an address follows from the address.
 */
#pragma once

#include <glib.h>

typedef struct {
    guint vcpus;             /* QEMU's notes of as many, NT_PRSTATUS before them */
    gboolean no_qemu_notes;  /* only NT_PRSTATUS */
    const char *vmcoreinfo;  /* NULL: none */
    gboolean many_headers;   /* ELF: the number of headers is in a section header */
    gboolean zeros_left_out; /* kdump: pages of zeros are in the first bitmap alone */
    gint32 version;          /* kdump; 0: 6 */
    const guint32 *packing;  /* kdump: how pages are packed, in turn (MOSE_PACKED_*) */
    guint n_packing;         /* 0: as they are */
} MakeCore;

typedef struct {
    guint64 address, size;
} MakeCoreRange;

#define MAKE_CORE_RANGES 3
extern const MakeCoreRange make_core_ranges[MAKE_CORE_RANGES];

/* What is at @address. Every fifth page has zeros alone. */
guint8 make_core_byte(guint64 address);

/* Registers of vCPU @i: different in each of them. */
guint64 make_core_register(guint vcpu, guint i);

GByteArray *make_core_elf(const MakeCore *how);
GByteArray *make_core_kdump(const MakeCore *how);

/* In makedumpfile's flattened form, in records of @piece bytes, the last one first; its
 * first record is followed by one that the last one of the file puts right. */
GByteArray *make_core_flattened(const GByteArray *core, gsize piece);

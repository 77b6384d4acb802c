/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kdump-compressed format of 64 bits, as it lies in the file (makedumpfile
 * diskdump_mod.h: struct disk_dump_header, kdump_sub_header, page_desc; QEMU
 * include/system/dump.h).
 *
 *   block 0                  MoseKdumpHeader
 *   block 1, sub_blocks of them   MoseKdumpSub, notes, VMCOREINFO
 *   bitmap_blocks            two bitmaps: page frames that are RAM; those in the file
 *   then                     a MoseKdumpPage for each bit that is set in the second one
 *   anywhere                 the pages
 */
#pragma once

#include <glib.h>

#define MOSE_KDUMP_SIGNATURE "KDUMP   "
#define MOSE_KDUMP_BLOCK 4096u /* the page size of x86 */

typedef struct {
    char signature[8];
    gint32 version;
    char utsname[6][65];
    guint8 timestamp[22]; /* 6 of alignment; seconds and microseconds */
    guint32 status;       /* MOSE_PACKED_* of its pages */
    guint32 block_size, sub_blocks, bitmap_blocks;
    guint32 max_mapnr; /* page frames, before version 6 */
    guint32 total_ram_blocks, device_blocks, written_blocks, current_cpu, n_cpus;
} MoseKdumpHeader;

typedef struct {
    guint64 phys_base;
    guint32 dump_level; /* which pages are left out; 1: those of zeros */
    guint32 split;      /* it is one of several files */
    guint64 start_pfn, end_pfn;
    guint64 offset_vmcoreinfo, size_vmcoreinfo;     /* version 3 */
    guint64 offset_note, size_note;                 /* version 4 */
    guint64 offset_eraseinfo, size_eraseinfo;       /* version 5 */
    guint64 start_pfn_64, end_pfn_64, max_mapnr_64; /* version 6 */
} MoseKdumpSub;

typedef struct {
    guint64 offset;
    guint32 size, flags; /* MOSE_PACKED_* */
    guint64 page_flags;
} MoseKdumpPage;

G_STATIC_ASSERT(sizeof(MoseKdumpHeader) == 464);
G_STATIC_ASSERT(sizeof(MoseKdumpSub) == 104);
G_STATIC_ASSERT(sizeof(MoseKdumpPage) == 24);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's migration stream, as QEMU 10.0 writes it for an x86-64 guest.
 *
 * This header is the specification that the reader, the document and their
 * tests share. It has no code. All integers are big-endian.
 *
 * What follows what:
 *
 *   +--------+---------------+---------+---------+----------------------------+
 *   | header | configuration | command | section |  RAM, live                 |
 *   |        |               |   ...   |  START  |  PART PART ... END         |
 *   |        |               |         |  "ram"  |  (commands in between)     |
 *   +--------+---------------+---------+---------+----------------------------+
 *                                                 passes through as it comes ^
 *   +---------+---------+-----+---------+-----+-------------------------------+
 *   | section | section | ... | section | EOF | description (vmdesc)          |
 *   |  FULL   |  FULL   |     |  FULL   |     | JSON: names every field above |
 *   +---------+---------+-----+---------+-----+-------------------------------+
 *   held until its last byte is there ^        this is the end of the stream
 *
 * Neither RAM records nor device sections have a length on the wire. RAM
 * records are understood one by one; device sections by the description, which
 * comes last. Source: qemu_savevm_state_header(), qemu_savevm_state_setup(),
 * qemu_savevm_state_complete_precopy_non_iterable() in migration/savevm.c.
 *
 *   header         u32 magic "QEVM", u32 version 3
 *
 *   configuration  u8 0x07, u32 length, machine type (not terminated),
 *                  then subsections (savevm.c:vmstate_configuration):
 *                    configuration/target-page-bits   u32 bits
 *                    configuration/capabilities       u32 count, count times
 *                                                     (u8 length, name)
 *                    configuration/uuid               16 bytes
 *
 *   subsection     u8 0x05, u8 length, name, u32 version, fields,
 *                  its own subsections   (vmstate.c:vmstate_subsection_save)
 *
 *   command        u8 0x08, u16 command, u16 length, length bytes
 *
 *   START, FULL    u8 kind, u32 section id, u8 length, name, u32 instance,
 *                  u32 version, data, footer
 *   PART, END      u8 kind, u32 section id, data, footer
 *   footer         u8 0x7e, u32 section id     (savevm.c:save_section_footer)
 *
 *   description    u8 0x06, u32 length, JSON
 *
 * The data of a FULL section is its fields without gap or padding, then its
 * subsections (vmstate.c:vmstate_save_state_v). The data of a "ram" section is
 * RAM records up to and including EOS (ram.c:ram_save_setup,
 * ram_save_iterate, ram_save_complete):
 *
 *   record         u64 offset in the block | flags in the low 12 bits
 *     MEM_SIZE     total bytes of all blocks in place of the offset; then for
 *                  each block, until their lengths add up to the total:
 *                    u8 length, name, u64 block length
 *                    [u64 page size]   if postcopy was advised and the block
 *                                      has not the host's page size
 *                    [u64 address]     with x-ignore-shared
 *                    [mapped-ram]      with mapped-ram, see below
 *     ZERO         [block] u8 0
 *     PAGE         [block] 4096 bytes
 *     XBZRLE       [block] u8 1, u16 length (up to 4096), length bytes
 *     MULTIFD_FLUSH, EOS        nothing
 *   [block]        u8 length, name; left out with the flag CONTINUE, which
 *                  means the block of the record before
 *
 *   mapped-ram     u32 version 1, u64 page size, u64 bitmap offset, u64 pages
 *                  offset; then the bitmap, up to 1 MiB of padding, and the
 *                  pages, at these *file* offsets: the next block's entry
 *                  follows at pages offset + block length
 *                  (ram.c:mapped_ram_setup_ramblock)
 */
#pragma once

#define MOSE_VM_MAGIC 0x5145564du /* "QEVM" */
#define MOSE_VM_VERSION 3u

/* Kinds of a top-level record: migration/savevm.h. */
enum {
    MOSE_VM_EOF = 0x00,
    MOSE_VM_SECTION_START = 0x01,
    MOSE_VM_SECTION_PART = 0x02,
    MOSE_VM_SECTION_END = 0x03,
    MOSE_VM_SECTION_FULL = 0x04,
    MOSE_VM_SUBSECTION = 0x05,
    MOSE_VM_DESCRIPTION = 0x06,
    MOSE_VM_CONFIGURATION = 0x07,
    MOSE_VM_COMMAND = 0x08,
    MOSE_VM_FOOTER = 0x7e,
};

/* Commands: enum qemu_vm_cmd in migration/savevm.c. */
enum {
    MOSE_CMD_OPEN_RETURN_PATH = 1,
    MOSE_CMD_PING = 2,            /* u32 that comes back on the return path */
    MOSE_CMD_POSTCOPY_ADVISE = 3, /* nothing, or u64 page sizes or'ed, u64 4096 */
    MOSE_CMD_POSTCOPY_LISTEN = 4,
    MOSE_CMD_POSTCOPY_RUN = 5,
    MOSE_CMD_POSTCOPY_RAM_DISCARD = 6,
    MOSE_CMD_PACKAGED = 7,
    MOSE_CMD_ENABLE_COLO = 8,
    MOSE_CMD_POSTCOPY_RESUME = 9,
    MOSE_CMD_RECV_BITMAP = 10,
    MOSE_CMD_SWITCHOVER_START = 11,
    MOSE_CMD_LAST = MOSE_CMD_SWITCHOVER_START,
};

/* Flags of a RAM record: migration/ram.h. */
enum {
    MOSE_RAM_ZERO = 0x002,
    MOSE_RAM_MEM_SIZE = 0x004,
    MOSE_RAM_PAGE = 0x008,
    MOSE_RAM_EOS = 0x010,
    MOSE_RAM_CONTINUE = 0x020,
    MOSE_RAM_XBZRLE = 0x040,
    MOSE_RAM_HOOK = 0x080,          /* RDMA: refused */
    MOSE_RAM_COMPRESS_PAGE = 0x100, /* gone since QEMU 9.1: refused */
    MOSE_RAM_MULTIFD_FLUSH = 0x200,
};

#define MOSE_RAM_SECTION "ram"
#define MOSE_RAM_VERSION 4u /* ram.c:ram_mig_init */
#define MOSE_PAGE_BITS 12
#define MOSE_PAGE_SIZE 4096u
#define MOSE_XBZRLE_ENCODING 1 /* ram.c:ENCODING_FLAG_XBZRLE */

#define MOSE_MAPPED_RAM_VERSION 1u
#define MOSE_MAPPED_RAM_HEADER 28u      /* bytes: ram.c:MappedRamHeader, packed */
#define MOSE_MAPPED_RAM_ALIGN 0x100000u /* ram.c:MAPPED_RAM_FILE_OFFSET_ALIGNMENT */

/* What MOSE accepts from a stranger. Real streams stay far below. */
#define MOSE_MAX_MACHINE_NAME 255u       /* bytes of a machine type */
#define MOSE_MAX_CAPABILITIES 64u        /* QEMU 10.0 sends at most 2 */
#define MOSE_MAX_RAM_BLOCKS 4096u        /* a pc has about 8 */
#define MOSE_MAX_RAM_TOTAL (1ull << 46)  /* bytes: 64 TiB */
#define MOSE_MAX_DEVICE_PART (64u << 20) /* bytes; a pc has about 250 KB */
#define MOSE_MAX_VMDESC (16u << 20)      /* bytes; a pc has about 130 KB */
#define MOSE_MAX_VMDESC_DEPTH 32         /* structs and subsections in each other */
#define MOSE_MAX_VMDESC_CANDIDATES 16    /* places that look like the description */
#define MOSE_MAX_FIELDS 1000000u         /* in one description */

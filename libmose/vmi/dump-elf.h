/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The headers of an ELF core of a guest. */
#pragma once

#include "vmi/dump-kernel.h"

/* Guest-physical memory that is in the file at @at bytes behind the headers. */
typedef struct {
    guint64 address, size, at;
} MoseDumpPiece;

/*
 * All that is before the memory, padded to whole pages: header, program headers, and
 * @notes with the kernel's VMCOREINFO behind them. As /proc/vmcore has it
 * (Linux fs/proc/vmcore.c, arch/x86/kernel/crash.c) a piece's virtual address is that
 * of the kernel's direct map, and one more piece is the kernel's image; where they are
 * not known, virtual addresses are physical ones, as QEMU has them. @pieces is of
 * MoseDumpPiece, at most MOSE_DUMP_MAX_PIECES.
 */
#define MOSE_DUMP_MAX_PIECES 4096
GByteArray *mose_dump_elf_headers(guint16 machine, const GArray *pieces,
                                  const GByteArray *notes,
                                  const MoseDumpKernel *kernel);

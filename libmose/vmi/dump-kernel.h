/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a core file should tell of the kernel in it, and QEMU does not know: VMCOREINFO,
 * by which crash finds a kernel that is not where its vmlinux says (KASLR), and where
 * the kernel has physical memory in its own address space, for gdb.
 */
#pragma once

#include "vmi/linux/linux.h"

typedef struct {
    char *release;
    char *vmcoreinfo; /* NUL-terminated, or NULL */
    char *lacks;      /* why there is none, or no kernel; or NULL */
    guint64 image, image_size, image_physical; /* of size 0: not known */
    guint64 direct_map; /* where physical address 0 is in the kernel; 0: not known */
    gint64 phys_base;   /* VMCOREINFO's; see has_phys_base */
    gboolean has_phys_base;
} MoseDumpKernel;

/* Look for it in @memory. That there is none is no error. */
void mose_dump_kernel_find(MoseDumpKernel *kernel, MoseMemory *memory);
void mose_dump_kernel_clear(MoseDumpKernel *kernel);

/* A new note of its VMCOREINFO, padded; empty where there is none. */
GByteArray *mose_dump_kernel_note(const MoseDumpKernel *kernel);

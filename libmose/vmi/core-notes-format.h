/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes with a vCPU's registers, as they lie in a core file. */
#pragma once

#include <glib.h>

#include "vmi/vcpu.h"

/* QEMU target/i386/arch_dump.c: QEMUCPUSegment, QEMUCPUState. More may be added at its
 * end: `size` tells. */
typedef struct {
    guint32 selector, limit, flags, pad;
    guint64 base;
} MoseNoteSegment;

typedef struct {
    guint32 version, size;
    guint64 rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
    guint64 r8_to_r15[8];
    guint64 rip, rflags;
    MoseNoteSegment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
    guint64 cr[5];
    guint64 kernel_gs_base; /* QEMU 3.0 and later */
} MoseNoteQemu;

#define MOSE_NOTE_QEMU_VERSION 1
#define MOSE_NOTE_QEMU_MIN G_STRUCT_OFFSET(MoseNoteQemu, kernel_gs_base)

/* Linux arch/x86/include/asm/user_64.h: user_regs_struct, within elf_prstatus
 * (include/linux/elfcore.h), whose other members are of no use here. */
typedef struct {
    guint8 before[112];
    guint64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
    guint64 rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss;
    guint64 fs_base, gs_base, ds, es, fs, gs;
    guint64 fpvalid;
} MoseNotePrstatus;

#define MOSE_NOTE_PRSTATUS_PID 32 /* its pr_pid, of 4 bytes, in `before` */

G_STATIC_ASSERT(sizeof(MoseNoteQemu) == 440);
G_STATIC_ASSERT(sizeof(MoseNotePrstatus) == 336);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registers of a vCPU, from wherever they were taken. */
#pragma once

#include <glib.h>

#include "x86/page-walk.h"

/* The order is that of gdb's numbers and of `struct user_regs`-free documents alike:
 * rax rbx rcx rdx rsi rdi rbp rsp r8 ... r15 (target/i386/gdbstub.c). */
enum {
    MOSE_RAX,
    MOSE_RBX,
    MOSE_RCX,
    MOSE_RDX,
    MOSE_RSI,
    MOSE_RDI,
    MOSE_RBP,
    MOSE_RSP,
    MOSE_R8, /* to R15 = 15 */
    MOSE_N_GENERAL = 16,
};

/* "rax", ... */
extern const char *const mose_general_names[MOSE_N_GENERAL];

typedef struct {
    guint index;
    guint64 general[MOSE_N_GENERAL];
    guint64 rip, rflags;
    guint64 cs, ss; /* selectors; the lowest two bits of cs are the privilege */
    guint64 fs_base, gs_base;
    guint64 kernel_gs_base; /* 0 where the source does not tell it */
    guint64 cr2, dr7;
    guint64 idt_base, gdt_base;
    guint32 idt_limit;
    MosePaging paging; /* cr0, cr3, cr4, efer */
    gboolean halted;
    guint
        code_bits; /* of its code segment: 16, 32 or 64; 0: the source does not tell */
} MoseVcpu;

/*
 * Read them from the text of QEMU's `info registers -a` (target/i386/cpu-dump.c:
 * x86_cpu_dump_state), as an array of MoseVcpu. QMP, with what is missing, for text
 * that is not of that kind.
 */
GArray *mose_vcpus_parse(const char *text, GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ORC: the tables by which a Linux kernel unwinds its own stacks (Linux
 * Documentation/arch/x86/orc-unwinder.rst, arch/x86/include/asm/orc_types.h), read
 * where they lie in the guest. Two tables for the kernel and two for each module:
 * addresses of code, in order, as distances from their own place; and for each how a
 * frame looks from there on.
 */
#pragma once

#include "vmi/linux/linux.h"

/* Where a frame, or what was in rbp, is counted from. (The numbers in the tables are
 * others: orc.c.) */
typedef enum {
    MOSE_ORC_NONE,
    MOSE_ORC_PREV_SP,
    MOSE_ORC_AX,
    MOSE_ORC_DX,
    MOSE_ORC_DI,
    MOSE_ORC_BP,
    MOSE_ORC_SP,
    MOSE_ORC_R10,
    MOSE_ORC_R13,
    MOSE_ORC_BP_INDIRECT,
    MOSE_ORC_SP_INDIRECT,
    MOSE_ORC_N_REGISTERS,
} MoseOrcRegister;

typedef enum {
    MOSE_ORC_UNDEFINED,    /* nothing is known of that code */
    MOSE_ORC_END_OF_STACK, /* nobody called it */
    MOSE_ORC_CALL,         /* a return address */
    MOSE_ORC_REGS,         /* a struct pt_regs */
    MOSE_ORC_REGS_PARTIAL, /* the last words of one, which the CPU pushed */
} MoseOrcType;

typedef struct {
    gint16 sp_offset, bp_offset;
    MoseOrcRegister sp_reg, bp_reg;
    MoseOrcType type;
    gboolean
        signal; /* a frame in that code was interrupted where it is, not in a call */
} MoseOrcEntry;

/* An entry has six bytes: two offsets, and a word of bits : the
 * numbers of two registers, which were given anew in 7.x, and an upper byte, which
 * changed twice before. */
enum { MOSE_ORC_ENTRY_SIZE = 6 };
typedef enum {
    MOSE_ORC_END_BIT,        /* type:2 (CALL 0), end:1: up to 6.2 */
    MOSE_ORC_SIGNAL_AND_END, /* type:2 (CALL 0), signal:1, end:1: 6.3 */
    MOSE_ORC_TYPES,          /* type:3 (CALL 2), signal:1: since 6.4 */
    MOSE_ORC_RENUMBERED,     /* the same, with other numbers: 7.x */
} MoseOrcForm;

/* FALSE for what no kernel writes. */
gboolean mose_orc_decode(MoseOrcForm form, const guint8 *bytes, MoseOrcEntry *ret);

typedef struct MoseOrc MoseOrc;

/*
 * The tables of @kernel, which must outlive it. Which form its entries have is told by
 * BTF (struct orc_entry), or, where that lacks it, and for numbers of registers, by the
 * entries of code whose frame is known. UNSUPPORTED in words for a kernel that has no
 * such tables (built with CONFIG_UNWINDER_FRAME_POINTER), or of which neither tells.
 */
MoseOrc *mose_orc_new(MoseLinux *kernel, GError **error);
void mose_orc_free(MoseOrc *orc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseOrc, mose_orc_free)

/*
 * What holds at @ip, as arch/x86/kernel/unwind_orc.c:orc_find() finds it: in the
 * kernel, in a module, in a trampoline of ftrace's, in a BPF program (which has a frame
 * pointer). NOT_FOUND says that it is code of nobody's.
 */
gboolean mose_orc_find(MoseOrc *orc, guint64 ip, MoseOrcEntry *ret, GError **error);

/* That entry within two tables of @n entries at @ips and @entries. */
gboolean mose_orc_search(MoseSpace *space, MoseOrcForm form, guint64 ips,
                         guint64 entries, guint64 n, guint64 ip, MoseOrcEntry *ret,
                         GError **error);

/* As it was given. */
MoseLinux *mose_orc_kernel(const MoseOrc *orc);

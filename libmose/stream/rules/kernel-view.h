/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of a 64-bit Linux as its kernel sees it, by its own page tables: whether
 * a page is there, of what kind it is, and what it holds.
 *
 * Everything in it is the guest's: tables and contents may be anything, and each walk
 * and read is bounded. Nothing is found by a kernel's version or symbols.
 */
#pragma once

#include "stream/rules/rule.h"
#include "x86/page-walk.h"

/* Where the kernel's own image lies, whatever KASLR did (Linux
 * Documentation/arch/x86/x86_64/mm.rst): text, read-only and other data. */
#define MOSE_KERNEL_IMAGE G_GUINT64_CONSTANT(0xffffffff80000000)
#define MOSE_KERNEL_IMAGE_END G_GUINT64_CONSTANT(0xffffffffc0000000)
/* Above user space, with four levels of tables or five. */
#define MOSE_KERNEL_HALF G_GUINT64_CONSTANT(0xff00000000000000)

typedef struct {
    const MoseRuleContext *context;
    MosePaging paging; /* with four or five levels of tables */
} MoseKernelView;

/*
 * By the tables that the vCPU with section @cpu uses. With page-table isolation those
 * of user mode lack most of the kernel: @kernel_half asks for their other half, which
 * lies 4 KB below (Linux arch/x86/entry/calling.h: PTI_USER_PGTABLE_BIT). FALSE when
 * the vCPU is not in long mode, or has no such half, or no memory can be read.
 */
gboolean mose_kernel_view_open(const MoseRuleContext *context, const MoseSection *cpu,
                               gboolean kernel_half, MoseKernelView *ret);

/* The page of @linear. FALSE where there is none; then @ret has the size of the hole.
 */
gboolean mose_kernel_view_page(const MoseKernelView *view, guint64 linear,
                               MosePageWalk *ret);

/* Copy @len bytes at @linear. FALSE where one of them is no RAM. */
gboolean mose_kernel_view_read(const MoseKernelView *view, guint64 linear, void *to,
                               gsize len);

/* Where @len bytes at @linear lie, in one piece. FALSE where they do not. */
gboolean mose_kernel_view_physical(const MoseKernelView *view, guint64 linear,
                                   gsize len, guint64 *ret);

/* Whether @linear is code of the kernel's image; whether @text, with its end, is at
 * @linear in the image (at most 31 characters). */
gboolean mose_kernel_view_is_code(const MoseKernelView *view, guint64 linear);
gboolean mose_kernel_view_has_text(const MoseKernelView *view, guint64 linear,
                                   const char *text);

/* The vCPU's privilege level; whether it may be anywhere in code that interrupts must
 * not disturb: in the kernel, with interrupts off, and not asleep. */
gboolean mose_kernel_cpl(const MoseSection *cpu, guint *ret, GError **error);
gboolean mose_kernel_is_atomic(const MoseDoc *doc, guint cpu, gboolean *ret,
                               GError **error);

/* Whether the kernel code that the vCPU executes may be at work on the @len bytes at
 * @linear: an address of theirs is in its registers or in the last 4 KB of its stack,
 * or it is in an NMI, which has a stack of its own, or its stack cannot be read. */
gboolean mose_kernel_mentions(const MoseKernelView *view, const MoseSection *cpu,
                              guint64 linear, gsize len, gboolean *ret, GError **error);

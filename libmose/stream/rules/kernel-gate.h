/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of the IDT by which a Linux kernel gets invalid opcodes, which all its vCPUs
 * share (arch/x86/kernel/idt.c: idt_table), and unused bytes near its handler.
 */
#pragma once

#include "stream/rules/kernel-view.h"

/* SDM 3A, figure 6-8. */
typedef struct {
    guint16 offset_low, selector;
    guint8 ist, type;
    guint16 offset_middle;
    guint32 offset_high, reserved;
} MoseGateBits;
G_STATIC_ASSERT(sizeof(MoseGateBits) == 16);

typedef struct {
    MoseGateBits bits;
    guint64 physical;    /* of it */
    guint64 handler;     /* linear */
    MoseKernelView view; /* of the vCPU that it was found by */
} MoseGate;

/*
 * Gate 6, if it is an interrupt gate into the kernel's image, the same for every vCPU
 * that has paging in long mode. NOT_FOUND in words.
 */
gboolean mose_gate_find(const MoseRuleContext *context, MoseDoc *doc, MoseGate *ret,
                        GError **error);

/* Plan to have it point to @handler. */
gboolean mose_gate_set(const MoseGate *gate, guint64 handler);

/*
 * @len unused bytes behind the handler, in its 2 MB: in the middle of a long run of the
 * same byte, int3 or nop, with which the linker fills what is left (Linux
 * arch/x86/kernel/vmlinux.lds.S: ALIGN_ENTRY_TEXT_END). They are code of the kernel in
 * each table in which the handler is, those of user mode under page-table isolation
 * included. *@ret_fill is that byte. NOT_FOUND in words.
 */
gboolean mose_gate_find_room(const MoseGate *gate, MoseDoc *doc, gsize len,
                             guint64 *ret_linear, guint64 *ret_physical,
                             guint8 *ret_fill, GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate of invalid opcodes and room near its handler; see kernel-gate.h. */
#include "stream/rules/kernel-gate.h"

#include "stream/rules/list.h"
#include "util/error.h"

#define VECTOR 6            /* #UD */
#define INTERRUPT_GATE 0x8e /* present, of level 0 */
#define CR4_FRED (G_GUINT64_CONSTANT(1) << 32)

#define INT3 0xcc
#define NOP 0x90

enum {
    PAGE = 4096,
    REGION = 2 << 20,
    /* On each side of what is taken. */
    MARGIN = 512,
    ALIGN = 64,
};

static gboolean
not_found(GError **error, const char *what)
{
    g_set_error_literal(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, what);
    return FALSE;
}

static guint64
offset_of(const MoseGateBits *bits)
{
    return (guint64)bits->offset_high << 32 | (guint64)bits->offset_middle << 16 |
           bits->offset_low;
}

/* That of one vCPU. */
static gboolean
find_of(const MoseSection *cpu, MoseGate *ret, GError **error)
{
    guint64 base, limit, cr4;

    if (!mose_section_get(cpu, "env.idt.base", &base, error) ||
        !mose_section_get(cpu, "env.idt.limit", &limit, error) ||
        !mose_section_get(cpu, "env.cr[4]", &cr4, error))
        return FALSE;
    base += VECTOR * sizeof(ret->bits);
    if ((cr4 & CR4_FRED) || limit < (VECTOR + 1) * sizeof(ret->bits) - 1 ||
        !mose_kernel_view_physical(&ret->view, base, sizeof(ret->bits),
                                   &ret->physical) ||
        !mose_kernel_view_read(&ret->view, base, &ret->bits, sizeof(ret->bits)))
        return not_found(error, "a vCPU has no IDT that could be read");
    ret->handler = offset_of(&ret->bits);
    if (ret->bits.type == INTERRUPT_GATE && ret->bits.ist == 0 &&
        mose_kernel_view_is_code(&ret->view, ret->handler))
        return TRUE;
    return not_found(error, "invalid opcodes do not go to the image of a Linux kernel");
}

gboolean
mose_gate_find(const MoseRuleContext *context, MoseDoc *doc, MoseGate *ret,
               GError **error)
{
    gboolean found = FALSE;
    MoseSection *cpu;

    for (guint i = 0; (cpu = mose_rule_cpu_section(doc, "cpu", i)); i++) {
        MoseGate gate;

        if (!mose_kernel_view_open(context, cpu, FALSE, &gate.view))
            continue;
        if (!find_of(cpu, &gate, error))
            return FALSE;
        if (found && gate.physical != ret->physical)
            return not_found(error, "the vCPUs do not share their IDT");
        found = TRUE;
        *ret = gate;
    }
    return found || not_found(error, "no vCPU runs a 64-bit kernel");
}

gboolean
mose_gate_set(const MoseGate *gate, guint64 handler)
{
    const MoseRuleContext *context = gate->view.context;
    MoseGateBits bits = gate->bits;

    bits.offset_low = handler & 0xffff;
    bits.offset_middle = handler >> 16 & 0xffff;
    bits.offset_high = handler >> 32;
    return context->write_memory &&
           context->write_memory(context->data, gate->physical, &bits, sizeof(bits));
}

/* Whether the tables of @view that have the handler have @linear at @physical. */
static gboolean
agrees(const MoseGate *gate, const MoseKernelView *view, guint64 linear, gsize len,
       guint64 physical)
{
    MosePageWalk own, page;
    guint64 at;

    if (!mose_kernel_view_page(&gate->view, gate->handler, &own) ||
        !mose_kernel_view_page(view, gate->handler, &page) ||
        page.physical != own.physical)
        return TRUE;
    return mose_kernel_view_is_code(view, linear) &&
           mose_kernel_view_is_code(view, linear + len - 1) &&
           mose_kernel_view_physical(view, linear, len, &at) && at == physical;
}

/* In the tables of each vCPU, and in the other half of them if they have one. */
static gboolean
all_agree(const MoseGate *gate, MoseDoc *doc, guint64 linear, gsize len,
          guint64 physical)
{
    MoseSection *cpu;

    for (guint i = 0; (cpu = mose_rule_cpu_section(doc, "cpu", i)); i++) {
        MoseKernelView view, other;

        if (!mose_kernel_view_open(gate->view.context, cpu, FALSE, &view))
            continue;
        other = view;
        other.paging.cr3 ^= PAGE;
        if (!agrees(gate, &view, linear, len, physical) ||
            !agrees(gate, &other, linear, len, physical))
            return FALSE;
    }
    return TRUE;
}

/* The first of @wanted equal bytes that fill what the linker left, in code from @from
 * to @end; 0 if there are none. */
static guint64
find_run(const MoseKernelView *view, guint64 from, guint64 end, gsize wanted,
         guint8 *ret_fill)
{
    guint64 start = from;
    int last = -1;

    for (guint64 at = from - from % PAGE; at < end; at += PAGE) {
        guint8 bytes[PAGE];

        if (!mose_kernel_view_is_code(view, at) ||
            !mose_kernel_view_read(view, at, bytes, PAGE))
            return 0;
        for (gsize i = at < from ? from - at : 0; i < PAGE; i++) {
            if (bytes[i] != last)
                start = at + i;
            last = bytes[i];
            *ret_fill = last;
            if ((last == INT3 || last == NOP) && at + i + 1 - start >= wanted)
                return start;
        }
    }
    return 0;
}

gboolean
mose_gate_find_room(const MoseGate *gate, MoseDoc *doc, gsize len, guint64 *ret_linear,
                    guint64 *ret_physical, guint8 *ret_fill, GError **error)
{
    guint64 end = (gate->handler & ~(guint64)(REGION - 1)) + REGION;
    guint64 start =
        find_run(&gate->view, gate->handler, end, len + 2 * MARGIN + ALIGN, ret_fill);

    if (!start)
        return not_found(error, "no unused bytes are behind its handler of invalid "
                                "opcodes");
    *ret_linear = (start + MARGIN + ALIGN - 1) & ~(guint64)(ALIGN - 1);
    if (mose_kernel_view_physical(&gate->view, *ret_linear, len, ret_physical) &&
        all_agree(gate, doc, *ret_linear, len, *ret_physical))
        return TRUE;
    return not_found(error,
                     "the unused bytes behind its handler of invalid opcodes are "
                     "not mapped wherever that is");
}

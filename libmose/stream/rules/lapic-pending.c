/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts that wait in the local APIC.
 *
 * KVM delivers from IRR by itself, and its interrupt_request says nothing of it.
 * TCG looks at IRR only when interrupt_request has CPU_INTERRUPT_HARD, which
 * loading the APIC does not set (hw/intc/apic.c:apic_post_load): an IPI or a
 * device's interrupt that was pending is lost, and with it the guest.
 *
 * Set it as apic_update_irq would: when the highest pending vector's class is
 * above the processor priority (SDM 3A, 11.8.3.1).
 */
#include "stream/rules/list.h"

#define CPU_INTERRUPT_HARD 2u
#define APIC_SW_ENABLED (1u << 8)

/* The highest bit set in the 256 bits of @name, or -1. */
static gboolean
highest_vector(MoseSection *apic, const char *name, int *ret, GError **error)
{
    *ret = -1;
    for (int i = 7; i >= 0 && *ret < 0; i--) {
        g_autofree char *path = g_strdup_printf("%s[%d]", name, i);
        guint64 bits;

        if (!mose_section_get(apic, path, &bits, error))
            return FALSE;
        if ((guint32)bits)
            *ret = i * 32 + 31 - __builtin_clz((guint32)bits);
    }
    return TRUE;
}

static gboolean
deliverable(MoseSection *apic, gboolean *ret, GError **error)
{
    guint64 spurious, tpr;
    int irr, isr, priority;

    if (!mose_section_get(apic, "spurious_vec", &spurious, error) ||
        !mose_section_get(apic, "tpr", &tpr, error) ||
        !highest_vector(apic, "irr", &irr, error) ||
        !highest_vector(apic, "isr", &isr, error))
        return FALSE;
    priority = MAX((int)tpr >> 4, isr < 0 ? 0 : isr >> 4);
    *ret = (spurious & APIC_SW_ENABLED) && irr >= 0 && (irr >> 4) > priority;
    return TRUE;
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *apic, guint cpu, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    gboolean *changed = data;
    gboolean pending;
    guint64 request;

    if (!common)
        return TRUE;
    if (!deliverable(apic, &pending, error) ||
        !mose_section_get(common, "interrupt_request", &request, error))
        return FALSE;
    if (!pending || (request & CPU_INTERRUPT_HARD))
        return TRUE;
    *changed = TRUE;
    return mose_section_set(common, "interrupt_request", request | CPU_INTERRUPT_HARD,
                            error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "apic", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_lapic_pending = {
    .name = "lapic-pending",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "an interrupt pending in the local APIC's IRR",
    .effect = "it is never delivered in the emulator: a lost IPI or device interrupt",
    .fix = "bit 1 of cpu_common/interrupt_request set when IRR outranks the priority",
    .source = "QEMU hw/intc/apic.c:apic_post_load, apic_update_irq",
    .evidence = 'b',
    .test = "vm/rules: lapic-pending",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

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
#include "stream/rules/irq.h"
#include "stream/rules/list.h"

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *apic, guint cpu, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    gboolean pending;

    if (!common)
        return TRUE;
    if (!mose_irq_apic_pending(apic, &pending, error))
        return FALSE;
    return !pending || mose_rule_change_bits(common, "interrupt_request", 0,
                                             MOSE_CPU_INTERRUPT_HARD, data, error);
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

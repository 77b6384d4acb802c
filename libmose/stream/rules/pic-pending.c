/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An interrupt that waits in the PIC.
 *
 * KVM asks its PIC at each entry of the vCPU that takes interrupts from there. TCG
 * looks when interrupt_request has CPU_INTERRUPT_HARD, which the PIC's output sets when
 * it is raised; the PIC of TCG does nothing when it is loaded (hw/intc/i8259.c has no
 * post_load). The interrupt waits for the next change of a line, which may wait for the
 * guest.
 */
#include "stream/rules/irq.h"
#include "stream/rules/list.h"

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *common, guint cpu, gpointer data, GError **error)
{
    gboolean pending;

    if (!mose_irq_pic_pending(doc, cpu, &pending, error))
        return FALSE;
    return !pending || mose_rule_change_bits(common, "interrupt_request", 0,
                                             MOSE_CPU_INTERRUPT_HARD, data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu_common", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_pic_pending = {
    .name = "pic-pending",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "an interrupt that waits in the PIC",
    .effect =
        "it is not delivered in the emulator before another line changes: a guest "
        "that waits for it waits for ever",
    .fix = "bit 1 of cpu_common/interrupt_request set where the PIC's output is raised "
           "and LINT0 lets it through",
    .source = "QEMU hw/intc/i8259.c, hw/i386/x86-cpu.c:pic_irq_request, "
              "hw/intc/apic.c:apic_accept_pic_intr",
    .evidence = 'b',
    .test = "vm/rules-irq: pic-pending",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

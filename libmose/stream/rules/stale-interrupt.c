/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request for an interrupt that has been delivered elsewhere.
 *
 * TCG's stream may have CPU_INTERRUPT_HARD set: an interrupt waited when the guest was
 * stopped. KVM delivers it from the controllers and never looks at interrupt_request
 * (target/i386/kvm/kvm.c:kvm_arch_pre_run: only without the kernel's PIC), nor clears
 * it. On the way back TCG takes it at its word, asks the controllers for the vector,
 * gets -1 (hw/i386/x86-cpu.c:cpu_get_pic_interrupt), and has no gate for it: #GP in
 * whatever the guest was doing (target/i386/tcg/seg_helper.c:do_interrupt64).
 *
 * Rules lapic-pending and pic-pending have set it where it belongs.
 */
#include "stream/rules/irq.h"
#include "stream/rules/list.h"

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *common, guint cpu, gpointer data, GError **error)
{
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", cpu);
    gboolean by_apic = FALSE, by_pic;

    if ((apic && !mose_irq_apic_pending(apic, &by_apic, error)) ||
        !mose_irq_pic_pending(doc, cpu, &by_pic, error))
        return FALSE;
    return by_apic || by_pic ||
           mose_rule_change_bits(common, "interrupt_request", MOSE_CPU_INTERRUPT_HARD,
                                 0, data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu_common", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_stale_interrupt = {
    .name = "stale-interrupt",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "a request for an interrupt that KVM has delivered long ago",
    .effect = "the emulator delivers vector -1: a general protection fault in whatever "
              "the guest was doing",
    .fix =
        "bit 1 of cpu_common/interrupt_request cleared where neither APIC nor PIC has "
        "an interrupt for the vCPU",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_arch_pre_run, "
              "hw/i386/x86-cpu.c:cpu_get_pic_interrupt, "
              "target/i386/tcg/seg_helper.c:do_interrupt64",
    .evidence = 'b',
    .test = "vm/rules-irq: stale-interrupt",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

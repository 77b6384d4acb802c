/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSR_KVM_POLL_CONTROL: whether KVM polls before it puts a halted vCPU to sleep.
 *
 * It is 1 unless the guest has asked for 0, and only another value than 1 is sent
 * (target/i386/machine.c:poll_control_msr_needed). QEMU sets that default under KVM
 * alone (target/i386/kvm/kvm.c:kvm_arch_reset_vcpu): a guest that is away in the
 * emulator comes back with 0, which it has not asked for.
 *
 * So the 1 is sent as well, and the emulator keeps it, as it does a 0 of the guest's
 * own.
 */
#include "stream/rules/list.h"

#define SUBSECTION "cpu/poll_control_msr"

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    gboolean *changed = data;

    if (mose_section_subsection(section, SUBSECTION))
        return TRUE;
    *changed = TRUE;
    mose_section_append(mose_section_add_subsection(section, SUBSECTION, 1),
                        "env.poll_control_msr", "uint64", 8, 1);
    return TRUE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_poll_control = {
    .name = "poll-control",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_KVM_TO_TCG,
    .title = "the default of MSR_KVM_POLL_CONTROL is 1 (KVM) or 0 (TCG)",
    .effect = "back under KVM the guest's vCPUs are put to sleep at each halt at once, "
              "which it has not asked for and is slower",
    .fix = "subsection cpu/poll_control_msr added with the value 1 that is not sent",
    .source = "QEMU target/i386/machine.c:poll_control_msr_needed, "
              "target/i386/kvm/kvm.c:kvm_arch_reset_vcpu, kvm_put_msrs",
    .evidence = 'a',
    .test = "vm/rules-kvm: poll-control",
    .rewrite = rewrite,
};

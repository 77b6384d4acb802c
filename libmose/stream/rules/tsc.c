/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the guest's time stamp counter is kept.
 *
 * KVM: in each vCPU, sent as cpu/env.tsc (target/i386/kvm/kvm.c:kvm_get_msrs).
 * TCG: in the machine, sent as timer/cpu_ticks_offset, which while the guest is
 * stopped is the counter's value (system/cpu-timers.c: cpu_disable_ticks), and
 * env.tsc keeps what KVM last left there. Each ignores the other's, so the
 * guest's clock would jump by hours or back to its start.
 */
#include "stream/rules/list.h"

static gboolean
give_to_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    return mose_section_set(section, "env.tsc", *(guint64 *)data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *timer = mose_doc_find(doc, "timer", 0);
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);
    guint64 tsc;

    if (!timer || !cpu)
        return TRUE;
    *ret_changed = TRUE;
    if (context->direction == MOSE_KVM_TO_TCG)
        return mose_section_get(cpu, "env.tsc", &tsc, error) &&
               mose_section_set(timer, "cpu_ticks_offset", tsc, error);
    return mose_section_get(timer, "cpu_ticks_offset", &tsc, error) &&
           mose_rule_each_cpu(doc, "cpu", give_to_cpu, &tsc, error);
}

const MoseRule mose_rule_tsc = {
    .name = "tsc",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "the time stamp counter is kept in the vCPU (KVM) or in the machine (TCG)",
    .effect = "the TSC jumps: clocks of the guest go wild or back, and it hangs",
    .fix = "timer/cpu_ticks_offset := cpu/env.tsc, and back",
    .source = "QEMU system/cpu-timers.c, target/i386/kvm/kvm.c:kvm_get_msrs",
    .evidence = 'a',
    .test = "vm/kvm-boot: without tsc",
    .rewrite = rewrite,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether KVM says that a vCPU is not running.
 *
 * KVM sets `preempted` in the guest's struct kvm_steal_time when it takes a vCPU off
 * its processor, as it does when a switch stops it, and clears it when the vCPU runs
 * again (Linux arch/x86/kvm/x86.c:kvm_steal_time_set_preempted, record_steal_time). In
 * the emulator nobody clears it: vcpu_is_preempted() is true for ever, so that locks
 * never spin; and a guest with kvm-pv-tlb-flush leaves its flush of that vCPU's TLB to
 * KVM (arch/x86/kernel/kvm.c:kvm_flush_tlb_multi), where nobody does it: stale
 * translations.
 *
 * Cleared as KVM does. A flush that was asked for is done: the emulator begins with an
 * empty TLB. Back under KVM it writes the structure again.
 */
#include "stream/rules/list.h"
#include "stream/rules/paravirt.h"

#define ENABLED 1u
#define ADDRESS (~(guint64)0x3f) /* KVM_STEAL_VALID_BITS */
#define PREEMPTED_OFFSET 16      /* of struct kvm_steal_time, uapi/asm/kvm_para.h */

typedef struct {
    const MoseRuleContext *context;
    gboolean *changed;
} Work;

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *cpu, guint number, gpointer data, GError **error)
{
    static const guint8 running = 0;
    const Work *work = data;
    const MoseRuleContext *context = work->context;
    guint64 msr = mose_paravirt_msr(cpu, "cpu/steal_time_msr", "env.steal_time_msr");
    guint64 address = (msr & ADDRESS) + PREEMPTED_OFFSET;
    guint8 preempted;

    if (!(msr & ENABLED) ||
        !context->read_memory(context->data, address, &preempted, 1) || !preempted)
        return TRUE;
    if (context->write_memory(context->data, address, &running, 1))
        *work->changed = TRUE;
    return TRUE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    Work work = { context, ret_changed };

    if (!context->read_memory)
        return TRUE;
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, &work, error);
}

const MoseRule mose_rule_steal_time = {
    .name = "steal-time",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "KVM has told the guest that its vCPUs are not running",
    .effect = "for ever in the emulator: locks don't spin, and TLB flushes of other "
              "vCPUs are left to a hypervisor that is gone",
    .fix = "preempted := 0 in each vCPU's struct kvm_steal_time",
    .source = "Linux arch/x86/kvm/x86.c:kvm_steal_time_set_preempted, "
              "arch/x86/kernel/kvm.c:kvm_flush_tlb_multi",
    .evidence = 'b',
    .test = "vm/paravirt: steal-time",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

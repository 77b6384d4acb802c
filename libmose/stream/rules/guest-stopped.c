/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling the guest's watchdogs that it stood still.
 *
 * Under KVM QEMU does so whenever it lets a guest run (hw/i386/kvm/clock.c:
 * kvmclock_vm_state_change, KVM_KVMCLOCK_CTRL): KVM sets PVCLOCK_GUEST_STOPPED in each
 * vCPU's clock page, and the guest, which finds it there, forgives itself the time that
 * it seems to have lost (Linux arch/x86/kernel/kvmclock.c:
 * kvm_check_and_clear_guest_paused). In the emulator nobody does. Its clocks have gone
 * on by the time that it stood still (rule stopped-time): a switch of 20 s by copy, or
 * to a slow host, looks like a lockup, which may even panic it.
 */
#include "stream/rules/list.h"
#include "stream/rules/paravirt.h"

typedef struct {
    const MoseRuleContext *context;
    gboolean *changed;
} Work;

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *cpu, guint number, gpointer data, GError **error)
{
    const Work *work = data;
    MosePvClock clock;

    if (!mose_pvclock_read(work->context, cpu, &clock) ||
        (clock.flags & MOSE_PVCLOCK_GUEST_STOPPED))
        return TRUE;
    clock.flags |= MOSE_PVCLOCK_GUEST_STOPPED;
    if (mose_pvclock_write(work->context, cpu, &clock))
        *work->changed = TRUE;
    return TRUE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    Work work = { context, ret_changed };

    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, &work, error);
}

const MoseRule mose_rule_guest_stopped = {
    .name = "guest-stopped",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "only KVM tells the guest's watchdogs that it was stopped",
    .effect =
        "the guest takes the time that a switch took for a lockup of its own, and "
        "warns or panics",
    .fix = "PVCLOCK_GUEST_STOPPED set in each vCPU's clock page",
    .source = "QEMU hw/i386/kvm/clock.c:kvmclock_vm_state_change; Linux "
              "arch/x86/kernel/kvmclock.c:kvm_check_and_clear_guest_paused",
    .evidence = 'b',
    .test = "vm/kvm-boot: guest-stopped",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPUs whose time stamp counters differ.
 *
 * KVM has a TSC a vCPU, which the guest can write (and a host whose processors' TSCs
 * differ hands on). TCG has one, which rule tsc takes from the first vCPU: that of the
 * others jumps, and with it the clock that they make of it (pvclock). Each page is
 * brought onto the common TSC: the same time there as before on the vCPU's own.
 *
 * What is read of all vCPUs one after the other differs by microseconds to some
 * milliseconds on a busy host, though their TSCs are one. KVM takes two TSCs for the
 * same up to a second (Linux arch/x86/kvm/x86.c:kvm_synchronize_tsc); a guest's clocks
 * should not part by as much.
 *
 * A guest that counts on different TSCs without this clock gets one all the same: the
 * emulator has no other.
 */
#include "stream/rules/list.h"
#include "stream/rules/paravirt.h"

#define SAME_MS 100

typedef struct {
    const MoseRuleContext *context;
    guint64 tsc; /* the common one */
    gboolean *changed;
} Work;

static gboolean
differ(guint64 a, guint64 b, guint64 khz)
{
    return (a > b ? a - b : b - a) > SAME_MS * khz;
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *cpu, guint number, gpointer data, GError **error)
{
    const Work *work = data;
    MosePvClock clock;
    guint64 tsc;

    if (!mose_section_get(cpu, "env.tsc", &tsc, error))
        return FALSE;
    if (!differ(tsc, work->tsc, work->context->tsc_khz))
        return TRUE;
    *work->changed = TRUE;
    if (mose_pvclock_read(work->context, cpu, &clock) &&
        mose_pvclock_rebase(&clock, tsc, work->tsc))
        mose_pvclock_write(work->context, cpu, &clock);
    return mose_section_set(cpu, "env.tsc", work->tsc, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *first = mose_rule_cpu_section(doc, "cpu", 0);
    Work work = { context, 0, ret_changed };

    if (!first || !context->tsc_khz)
        return TRUE;
    return mose_section_get(first, "env.tsc", &work.tsc, error) &&
           mose_rule_each_cpu(doc, "cpu", rewrite_cpu, &work, error);
}

const MoseRule mose_rule_pvclock_vcpus = {
    .name = "pvclock-vcpus",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_KVM_TO_TCG,
    .title = "the emulator has one TSC for all vCPUs",
    .effect = "where they differed, the clocks of all vCPUs but the first jump",
    .fix = "each vCPU's kvm-clock page rebased from its own TSC onto the common one",
    .source = "QEMU system/cpu-timers.c:cpu_get_ticks; Linux "
              "arch/x86/kvm/x86.c:kvm_synchronize_tsc",
    .evidence = 'b',
    .test = "vm/paravirt: pvclock-vcpus",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

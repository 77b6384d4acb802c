/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The paravirtual clock of a vCPU that starts only in the emulator.
 *
 * Each vCPU of a guest tells KVM by MSR_KVM_SYSTEM_TIME_NEW where it wants its clock's
 * parameters (Linux Documentation/virt/kvm/x86/msr.rst). TCG ignores the write, so the
 * clock of a vCPU that starts there stays all zero: it reads no time at all, and a
 * Linux that chose kvm-clock while it had one vCPU stalls as soon as it has the next
 * (RCU, timers that never expire).
 *
 * Linux has the parameters of its first 64 vCPUs in one page, 64 bytes each, in the
 * order of its processors' numbers (4.20 and later,
 * arch/x86/kernel/kvmclock.c:hv_clock_boot, kvmclock_setup_percpu). In the emulator all
 * vCPUs have one TSC, and so the first one's parameters are right for all: they are
 * copied to those that are zero still. Back under KVM these vCPUs are registered there,
 * as the guest has asked meanwhile.
 */
#include <string.h>

#include "stream/rules/list.h"

#define ENABLED 1
#define STRIDE 64
#define PAGE 4096
/* struct pvclock_vcpu_time_info, Linux arch/x86/include/asm/pvclock-abi.h */
#define CLOCK_SIZE 32
#define CLOCK_MUL 24

typedef struct {
    const MoseRuleContext *context;
    guint64 page;
    guint8 first[CLOCK_SIZE]; /* of the first vCPU */
    gboolean *changed;
} Clocks;

static gboolean
is_zero(const guint8 *bytes, gsize len)
{
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* The first vCPU's clock, if it stands where Linux has it. A version that is odd is in
 * the middle of an update; without a multiplier no time is told. */
static gboolean
find_clocks(const MoseRuleContext *context, MoseDoc *doc, Clocks *ret)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);
    guint64 msr;

    if (!cpu || !context->write_memory ||
        !mose_section_get(cpu, "env.system_time_msr", &msr, NULL) || !(msr & ENABLED) ||
        (msr & ~(guint64)ENABLED) % PAGE != 0)
        return FALSE;
    ret->context = context;
    ret->page = msr & ~(guint64)ENABLED;
    return context->read_memory(context->data, ret->page, ret->first, CLOCK_SIZE) &&
           !(ret->first[0] & 1) && !is_zero(ret->first + CLOCK_MUL, 4);
}

static guint64
entry_of(const Clocks *clocks, guint cpu)
{
    return clocks->page + (guint64)cpu * STRIDE;
}

/* Whether vCPU @cpu has told KVM of no clock; what lies where it would be. */
static gboolean
is_unregistered(const Clocks *clocks, MoseSection *section, guint cpu, guint8 *entry)
{
    guint64 msr;

    return cpu > 0 && cpu < PAGE / STRIDE &&
           mose_section_get(section, "env.system_time_msr", &msr, NULL) && msr == 0 &&
           clocks->context->read_memory(clocks->context->data, entry_of(clocks, cpu),
                                        entry, STRIDE);
}

static gboolean
to_tcg(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data, GError **error)
{
    const Clocks *clocks = data;
    guint8 entry[STRIDE];

    if (is_unregistered(clocks, section, cpu, entry) && is_zero(entry, STRIDE))
        *clocks->changed |= clocks->context->write_memory(
            clocks->context->data, entry_of(clocks, cpu), clocks->first, CLOCK_SIZE);
    return TRUE;
}

/* One that was never started has not asked. */
static gboolean
to_kvm(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data, GError **error)
{
    const Clocks *clocks = data;
    guint8 entry[STRIDE];

    if (!is_unregistered(clocks, section, cpu, entry) ||
        memcmp(entry, clocks->first, CLOCK_SIZE) != 0 ||
        mose_rule_waits_for_start(doc, cpu))
        return TRUE;
    *clocks->changed = TRUE;
    return mose_section_set(section, "env.system_time_msr",
                            entry_of(clocks, cpu) | ENABLED, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    Clocks clocks = { .changed = ret_changed };

    return !find_clocks(context, doc, &clocks) ||
           mose_rule_each_cpu(doc, "cpu",
                              context->direction == MOSE_TCG_TO_KVM ? to_kvm : to_tcg,
                              &clocks, error);
}

const MoseRule mose_rule_kvmclock_aps = {
    .name = "kvmclock-aps",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "the paravirtual clock of a vCPU that is started in the emulator",
    .effect = "its clock stands still at zero: RCU stalls, timers that never expire",
    .fix = "the first vCPU's parameters are written where the others will look; back "
           "under KVM these are registered",
    .source = "Linux arch/x86/kernel/kvmclock.c:kvmclock_setup_percpu; QEMU "
              "target/i386/tcg/system/misc_helper.c:helper_wrmsr",
    .evidence = 'a',
    .test = "vm/kvm-boot-smp: smp",
    .rewrite = rewrite,
};

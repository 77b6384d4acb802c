/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section "kvmclock", which KVM alone has.
 *
 * PC machines create the device under KVM whatever -cpu says
 * (hw/i386/kvm/clock.c:kvmclock_create). TCG does not know the section and
 * exits. On the way back KVM wants it again, with the time that the guest's own
 * clock shows: without it QEMU reads the guest's page itself, and asserts that
 * the TSC there is not in the future (kvmclock_current_nsec).
 *
 * The guest computes that clock from a page it shares with KVM (Linux
 * Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW): system_time + (tsc
 * - tsc_timestamp) * mul >> 32, shifted. Nobody writes the page in the emulator,
 * where it stays valid as long as the TSC ticks on.
 */
#include <string.h>

#include "stream/rules/list.h"

/* struct pvclock_vcpu_time_info, Linux arch/x86/include/asm/pvclock-abi.h */
typedef struct {
    guint32 version;
    guint32 pad0;
    guint64 tsc_timestamp;
    guint64 system_time;
    guint32 tsc_to_system_mul;
    gint8 tsc_shift;
    guint8 flags;
    guint8 pad[2];
} __attribute__((packed)) PvClock;

#define ENABLED 1

/* The guest's clock at TSC value @tsc, in nanoseconds. */
static gboolean
clock_at(const PvClock *page, guint64 tsc, guint64 *ret)
{
    guint64 delta = tsc - page->tsc_timestamp;
    int shift = page->tsc_shift;

    /* The page is the guest's: it may hold anything. */
    if (tsc < page->tsc_timestamp || shift < -31 || shift > 31)
        return FALSE;
    delta = shift < 0 ? delta >> -shift : delta << shift;
    *ret = page->system_time +
           (guint64)(((unsigned __int128)delta * page->tsc_to_system_mul) >> 32);
    return TRUE;
}

/* What the first vCPU's clock shows; FALSE if the guest doesn't use it. */
static gboolean
guest_clock(const MoseRuleContext *context, MoseDoc *doc, guint64 *ret)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);
    guint64 msr, tsc;
    PvClock page;

    if (!cpu || !context->read_memory ||
        !mose_section_get(cpu, "env.system_time_msr", &msr, NULL) || !(msr & ENABLED) ||
        !mose_section_get(cpu, "env.tsc", &tsc, NULL))
        return FALSE;
    return context->read_memory(context->data, msr & ~(guint64)ENABLED, &page,
                                sizeof(page)) &&
           clock_at(&page, tsc, ret);
}

static gboolean
create(const MoseRuleContext *context, MoseDoc *doc, GError **error)
{
    MoseSection *timer = mose_doc_find(doc, "timer", 0);
    MoseSection *section, *reliable;
    guint64 clock = 0;

    /* A guest without the clock sees no difference: count since it started. */
    if (!guest_clock(context, doc, &clock) && timer &&
        !mose_section_get(timer, "cpu_clock_offset", &clock, error))
        return FALSE;
    section = mose_doc_add(doc, "kvmclock", 0, 1);
    mose_section_append(section, "clock", "uint64", 8, clock);
    reliable = mose_section_add_subsection(section, "kvmclock/clock_is_reliable", 1);
    mose_section_append(reliable, "clock_is_reliable", "bool", 1, 1);
    return TRUE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *section = mose_doc_find(doc, "kvmclock", 0);

    if (context->direction == MOSE_TCG_TO_KVM) {
        *ret_changed = !section;
        return section || create(context, doc, error);
    }
    *ret_changed = section != NULL;
    if (section)
        mose_doc_drop(doc, section);
    return TRUE;
}

const MoseRule mose_rule_kvmclock = {
    .name = "kvmclock",
    .rule_class = MOSE_HW_EQUIVALENCE,
    .directions = MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "the device kvmclock exists under KVM alone",
    .effect = "TCG exits (Unknown savevm section or instance 'kvmclock' 0); back under "
              "KVM the clock is wrong, or QEMU asserts",
    .fix =
        "the section is dropped; on the way back it is made again, with the time that "
        "the guest's own clock shows",
    .source = "QEMU hw/i386/kvm/clock.c; Linux arch/x86/include/asm/pvclock-abi.h",
    .evidence = 'a',
    .test = "vm/kvm-boot: without kvmclock",
    .rewrite = rewrite,
};

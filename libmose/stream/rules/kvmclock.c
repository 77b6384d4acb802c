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
 * The guest computes that clock from a page it shares with KVM (paravirt.h). Nobody
 * writes the page in the emulator, where it stays valid as long as the TSC ticks on.
 */
#include "stream/rules/list.h"
#include "stream/rules/paravirt.h"

/* What the first vCPU's clock shows; FALSE if the guest doesn't use it. */
static gboolean
guest_clock(const MoseRuleContext *context, MoseDoc *doc, guint64 *ret)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);
    MosePvClock clock;
    guint64 tsc;

    return cpu && mose_section_get(cpu, "env.tsc", &tsc, NULL) &&
           mose_pvclock_read(context, cpu, &clock) && mose_pvclock_at(&clock, tsc, ret);
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

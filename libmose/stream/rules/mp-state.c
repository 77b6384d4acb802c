/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a vCPU runs, sleeps, or waits to be started.
 *
 * KVM keeps it as mp_state (KVM_GET_MP_STATE), TCG as cpu_common/halted, and for
 * a vCPU that was never started as the APIC's wait_for_sipi. TCG leaves mp_state
 * as the last KVM wrote it: on the way back a vCPU that runs would be put to
 * sleep in the middle of its work, and with interrupts off for ever. The other
 * way KVM calls a vCPU that was never started "not halted", and TCG would run it; and
 * where wait_for_sipi is not set, it takes a SIPI for a reason to wake up, and goes on
 * from the reset vector (target/i386/tcg/system/seg_helper.c,
 * hw/intc/apic.c:apic_sipi).
 *
 * Back, a vCPU that waits is one that has got its INIT: KVM takes a SIPI in no other
 * state (Linux arch/x86/kvm/lapic.c:kvm_apic_accept_events).
 */
#include "stream/rules/list.h"

/* Linux include/uapi/linux/kvm.h: KVM_MP_STATE_* */
#define RUNNABLE 0u
#define UNINITIALIZED 1u
#define INIT_RECEIVED 2u
#define HALTED 3u

/* TCG: started by nobody yet (QEMU hw/intc/apic.c:apic_sipi). */
static gboolean
waits_for_start(MoseDoc *doc, guint cpu)
{
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", cpu);
    MoseSection *sipi = apic ? mose_section_subsection(apic, "apic_sipi") : NULL;
    guint64 waits;

    return sipi && mose_section_get(sipi, "wait_for_sipi", &waits, NULL) && waits;
}

static gboolean
to_kvm(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    gboolean *changed = data;
    guint64 halted, state, wanted = RUNNABLE;

    if (!common)
        return TRUE;
    if (!mose_section_get(common, "halted", &halted, error) ||
        !mose_section_get(section, "env.mp_state", &state, error))
        return FALSE;
    if (halted)
        wanted = waits_for_start(doc, cpu) ? INIT_RECEIVED : HALTED;
    if (wanted == state)
        return TRUE;
    *changed = TRUE;
    return mose_section_set(section, "env.mp_state", wanted, error);
}

/* The subsection is not there where KVM left it: 0 (hw/i386/kvm/apic.c:kvm_apic_reset).
 */
static void
wait_for_start(MoseDoc *doc, guint cpu)
{
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", cpu), *sipi;

    if (!apic || mose_section_subsection(apic, "apic_sipi"))
        return;
    sipi = mose_section_add_subsection(apic, "apic_sipi", 1);
    mose_section_append(sipi, "sipi_vector", "int32", 4, 0);
    mose_section_append(sipi, "wait_for_sipi", "int32", 4, 1);
}

static gboolean
to_tcg(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    gboolean *changed = data;
    guint64 state, halted;

    if (!common)
        return TRUE;
    if (!mose_section_get(section, "env.mp_state", &state, error) ||
        !mose_section_get(common, "halted", &halted, error))
        return FALSE;
    if ((state != UNINITIALIZED && state != INIT_RECEIVED) ||
        (halted && waits_for_start(doc, cpu)))
        return TRUE;
    *changed = TRUE;
    wait_for_start(doc, cpu);
    return mose_section_set(common, "halted", 1, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu",
                              context->direction == MOSE_TCG_TO_KVM ? to_kvm : to_tcg,
                              ret_changed, error);
}

const MoseRule mose_rule_mp_state = {
    .name = "mp-state",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "whether a vCPU sleeps is kept as mp_state (KVM) or as halted (TCG)",
    .effect =
        "back under KVM a vCPU sleeps in the middle of its work, for ever if "
        "interrupts are off; in the emulator one that was never started runs from "
        "the reset vector: the guest reboots",
    .fix = "cpu/env.mp_state made from cpu_common/halted and apic_sipi/wait_for_sipi, "
           "and these from a vCPU that was never started",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_get_mp_state, kvm_put_mp_state, "
              "hw/intc/apic.c:apic_sipi; Linux arch/x86/kvm/lapic.c:"
              "kvm_apic_accept_events",
    .evidence = 'a',
    .test = "vm/kvm-full: round-trip",
    .rewrite = rewrite,
};

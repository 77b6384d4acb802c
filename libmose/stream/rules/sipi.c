/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU between INIT and the startup IPI (SIPI) that lets it run.
 *
 * KVM has it as mp_state. TCG has it as wait_for_sipi of the APIC, in a subsection that
 * KVM's side never sends (hw/i386/kvm/apic.c:kvm_apic_reset), and takes no SIPI without
 * it (hw/intc/apic.c:apic_sipi): the vCPU never starts.
 *
 * The other way there are two mp_states for it. Rule mp-state makes "uninitialized" of
 * a vCPU that waits, in which KVM drops a SIPI (Linux arch/x86/kvm/lapic.c:
 * kvm_apic_accept_events). TCG calls a vCPU waiting only when the guest may start it,
 * so it becomes "INIT received"; with a SIPI on its way, "SIPI received".
 *
 * KVM's side keeps what it has loaded of wait_for_sipi, and sends it back when the vCPU
 * has long been started: on the next way to KVM it would be taken for one that waits. So
 * nothing is left of it there, as after kvm_apic_reset.
 */
#include "stream/rules/list.h"

/* Linux include/uapi/linux/kvm.h: KVM_MP_STATE_* */
#define RUNNABLE 0u
#define UNINITIALIZED 1u
#define INIT_RECEIVED 2u
#define SIPI_RECEIVED 4u

/* target/i386/cpu.h: CPU_INTERRUPT_SIPI, CPU_INTERRUPT_TGT_INT_1 */
#define CPU_INTERRUPT_SIPI 0x800u

#define SUBSECTION "apic_sipi"

static gboolean
add_wait(MoseSection *apic, guint64 vector, gboolean *changed, GError **error)
{
    MoseSection *sipi = mose_section_subsection(apic, SUBSECTION);

    if (sipi)
        return mose_rule_change(sipi, "wait_for_sipi", 1, changed, error);
    *changed = TRUE;
    sipi = mose_section_add_subsection(apic, SUBSECTION, 1);
    mose_section_append(sipi, "sipi_vector", "int32", 4, vector);
    mose_section_append(sipi, "wait_for_sipi", "int32", 4, 1);
    return TRUE;
}

static gboolean
to_tcg(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", cpu);
    guint64 state;

    if (!common || !apic)
        return TRUE;
    if (!mose_section_get(section, "env.mp_state", &state, error))
        return FALSE;
    if (state != UNINITIALIZED && state != INIT_RECEIVED)
        return TRUE;
    /* TCG does not go on keeping mp_state: what it has come to say here is said. */
    return mose_rule_change(common, "halted", 1, data, error) &&
           add_wait(apic, 0, data, error) &&
           mose_rule_change(section, "env.mp_state", RUNNABLE, data, error);
}

static gboolean
to_kvm(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", cpu);
    MoseSection *sipi = apic ? mose_section_subsection(apic, SUBSECTION) : NULL;
    guint64 waits, vector, request;

    if (!common || !sipi)
        return TRUE;
    if (!mose_section_get(sipi, "wait_for_sipi", &waits, error) ||
        !mose_section_get(sipi, "sipi_vector", &vector, error) ||
        !mose_section_get(common, "interrupt_request", &request, error))
        return FALSE;
    if (!waits)
        return TRUE;
    if (!mose_rule_change(sipi, "wait_for_sipi", 0, data, error))
        return FALSE;
    if (!(request & CPU_INTERRUPT_SIPI))
        return mose_rule_change(section, "env.mp_state", INIT_RECEIVED, data, error);
    return mose_rule_change(section, "env.mp_state", SIPI_RECEIVED, data, error) &&
           mose_rule_change(section, "env.sipi_vector", vector, data, error) &&
           mose_rule_change_bits(common, "interrupt_request", CPU_INTERRUPT_SIPI, 0,
                                 data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu",
                              context->direction == MOSE_TCG_TO_KVM ? to_kvm : to_tcg,
                              ret_changed, error);
}

const MoseRule mose_rule_sipi = {
    .name = "sipi",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "a vCPU that waits for its startup IPI: mp_state (KVM) or apic_sipi (TCG)",
    .effect = "it takes no startup IPI, and never starts",
    .fix =
        "subsection apic_sipi made from env.mp_state; on the way back INIT_RECEIVED, "
        "or SIPI_RECEIVED with the vector that is on its way",
    .source = "QEMU hw/intc/apic.c:apic_sipi, hw/intc/apic_common.c:apic_pre_load, "
              "target/i386/kvm/kvm.c:kvm_put_vcpu_events; Linux "
              "arch/x86/kvm/lapic.c:kvm_apic_accept_events",
    .evidence = 'a',
    .test = "vm/rules-kvm: sipi to tcg",
    .rewrite = rewrite,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of what is under way in a vCPU when it stops, on the litmus guest: events
 * in flight, the interrupt shadow. The fields are set as a VT-x or SVM KVM writes them
 * (cited in each rule's file).
 */
#include "lib/rule-trial.h"
#include "stream/rules/list.h"

enum { HARD = 2, VECTOR_TIMER = 0x40, VECTOR_SELF = 0x60, SHADOW = 8 };

static MoseSection *
cpu_of(MoseDoc *doc)
{
    return mose_rule_cpu_section(doc, "cpu", 0);
}

static MoseSection *
common_of(MoseDoc *doc)
{
    return mose_rule_cpu_section(doc, "cpu_common", 0);
}

static MoseSection *
apic_of(MoseDoc *doc)
{
    return mose_rule_cpu_section(doc, "apic", 0);
}

/* --- events in flight --- */

/* The IPI to itself, which waits in IRR, is in ISR and injected. */
static gboolean
inject_ipi(MoseDoc *doc, gpointer data, GError **error)
{
    guint64 bit = 1u << VECTOR_SELF % 32, irr = trial_get(apic_of(doc), "irr[3]");

    g_assert_cmphex(irr & bit, ==, bit);
    trial_set(apic_of(doc), "irr[3]", irr & ~bit);
    trial_set_bits(apic_of(doc), "isr[3]", bit);
    trial_set(cpu_of(doc), "env.interrupt_injected", VECTOR_SELF);
    trial_set(common_of(doc), "interrupt_request", 0);
    return TRUE;
}

static void
test_interrupt(void)
{
    rule_trial(&(RuleTrial){ .rule = "interrupt-injected",
                             .accel = "tcg",
                             .only = "ipi-pending",
                             .tamper = inject_ipi });
}

/* Of a fault whose instruction has not been executed: the guest knows nothing of it. */
static gboolean
inject_fault(MoseDoc *doc, gpointer data, GError **error)
{
    enum { UD = 6 };

    trial_set(cpu_of(doc), "env.exception_nr", UD);
    return TRUE;
}

/* From the KVM here to the emulator and back. */
static void
test_exception(void)
{
    rule_trial(&(RuleTrial){ .rule = "exception-injected",
                             .accel = "kvm",
                             .background = "memory",
                             .property = "memory",
                             .again = TRUE,
                             .tamper = inject_fault });
}

static gboolean
inject_nmi(MoseDoc *doc, gpointer data, GError **error)
{
    trial_set(cpu_of(doc), "env.nmi_injected", 1);
    trial_set_bits(cpu_of(doc), "env.hflags2", 1u << 2);
    return TRUE;
}

static void
test_nmi(void)
{
    rule_trial(&(RuleTrial){
        .rule = "nmi-injected", .accel = "tcg", .only = "nmi", .tamper = inject_nmi });
}

/* --- the interrupt shadow --- */

/* Asleep in `sti; hlt`: put back to before the hlt, with its timer fired and in IRR. */
static void
wake_too_early(MoseDoc *doc)
{
    g_assert_cmpuint(trial_get(common_of(doc), "halted"), ==, 1);
    trial_set(common_of(doc), "halted", 0);
    trial_set(common_of(doc), "interrupt_request", HARD);
    trial_set(cpu_of(doc), "env.eip", trial_get(cpu_of(doc), "env.eip") - 1);
    trial_set_bits(apic_of(doc), "irr[2]", 1u << VECTOR_TIMER % 32);
    trial_set(apic_of(doc), "timer_expiry", G_MAXUINT64);
    trial_set(apic_of(doc), "initial_count", 0);
}

static gboolean
forget_shadow(MoseDoc *doc, gpointer data, GError **error)
{
    wake_too_early(doc);
    return TRUE;
}

static void
test_shadow_to_tcg(void)
{
    rule_trial(&(RuleTrial){ .rule = "interrupt-shadow",
                             .accel = "tcg",
                             .only = "halted",
                             .tamper = forget_shadow });
}

static gboolean
stop_in_shadow(MoseDoc *doc, gpointer data, GError **error)
{
    wake_too_early(doc);
    trial_set_bits(cpu_of(doc), "env.hflags", SHADOW);
    return TRUE;
}

static void
test_shadow_to_kvm(void)
{
    rule_trial(&(RuleTrial){ .rule = "interrupt-shadow",
                             .accel = "kvm",
                             .only = "halted",
                             .back = TRUE,
                             .tamper = stop_in_shadow });
}

static gboolean
leave_shadow(MoseDoc *doc, gpointer data, GError **error)
{
    g_assert_cmpuint(trial_get(common_of(doc), "halted"), ==, 1);
    trial_set_bits(cpu_of(doc), "env.hflags", SHADOW);
    return TRUE;
}

static void
test_stale_shadow(void)
{
    rule_trial(&(RuleTrial){ .rule = "stale-shadow",
                             .accel = "tcg",
                             .only = "halted",
                             .tamper = leave_shadow });
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/rules-events/interrupt-injected", test_interrupt);
    g_test_add_func("/rules-events/exception-injected", test_exception);
    g_test_add_func("/rules-events/nmi-injected", test_nmi);
    g_test_add_func("/rules-events/interrupt-shadow/to-tcg", test_shadow_to_tcg);
    g_test_add_func("/rules-events/interrupt-shadow/to-kvm", test_shadow_to_kvm);
    g_test_add_func("/rules-events/stale-shadow", test_stale_shadow);
    return vm_run_tests();
}

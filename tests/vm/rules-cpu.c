/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of what a vCPU is, on the litmus guest: the fields are set, in the stream
 * of a guest under TCG, as a VT-x or SVM KVM writes them (cited in each rule's file).
 */
#include "lib/rule-trial.h"
#include "stream/rules/list.h"

/* The portable CPU of this host may lack what is looked at. */
#define CPU_MAX "-cpu max"

static gboolean
clear_protection(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);

    trial_set(cpu, "env.hflags", trial_get(cpu, "env.hflags") & ~(1u << 23 | 1u << 27));
    return TRUE;
}

static void
test_smap(void)
{
    rule_trial(&(RuleTrial){ .rule = "hflags-protection",
                             .accel = "tcg",
                             .background = "smap",
                             .property = "smap",
                             .qemu = CPU_MAX,
                             .tamper = clear_protection });
}

static void
test_umip(void)
{
    rule_trial(&(RuleTrial){ .rule = "hflags-protection",
                             .accel = "tcg",
                             .background = "umip",
                             .property = "umip",
                             .qemu = CPU_MAX,
                             .tamper = clear_protection });
}

static gboolean
clear_avx(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);

    trial_set(cpu, "env.hflags", trial_get(cpu, "env.hflags") & ~(1u << 28));
    return TRUE;
}

static void
test_hflags(void)
{
    rule_trial(&(RuleTrial){ .rule = "hflags",
                             .accel = "tcg",
                             .background = "avx",
                             .property = "avx",
                             .qemu = CPU_MAX,
                             .tamper = clear_avx });
}

/* A processor's TR is always busy. */
static gboolean
make_busy(MoseDoc *doc, gpointer data, GError **error)
{
    trial_set_bits(mose_rule_cpu_section(doc, "cpu", 0), "env.tr.flags", 1u << 9);
    return TRUE;
}

static void
test_tr_busy(void)
{
    rule_trial(&(RuleTrial){
        .rule = "tr-busy", .accel = "tcg", .only = "io-map", .tamper = make_busy });
}

/* As KVM has a vCPU that waits for its startup IPI. */
static gboolean
forget_wait(MoseDoc *doc, gpointer data, GError **error)
{
    enum { INIT_RECEIVED = 2 };
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", 1);

    g_assert_nonnull(mose_section_subsection(apic, "apic_sipi"));
    mose_section_drop_subsection(apic, "apic_sipi");
    trial_set(mose_rule_cpu_section(doc, "cpu", 1), "env.mp_state", INIT_RECEIVED);
    trial_set(mose_rule_cpu_section(doc, "cpu_common", 1), "halted", 0);
    return TRUE;
}

static void
test_sipi(void)
{
    rule_trial(&(RuleTrial){ .rule = "sipi",
                             .accel = "tcg",
                             .vcpus = 2,
                             .only = "ap-init",
                             .seconds = 30,
                             .tamper = forget_wait });
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/rules-cpu/hflags", test_hflags);
    g_test_add_func("/rules-cpu/hflags-protection/smap", test_smap);
    g_test_add_func("/rules-cpu/hflags-protection/umip", test_umip);
    g_test_add_func("/rules-cpu/tr-busy", test_tr_busy);
    g_test_add_func("/rules-cpu/sipi", test_sipi);
    return vm_run_tests();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules on the litmus guest with a real KVM as the virtualizer: what it really writes
 * into the stream, and what it makes of what TCG writes.
 */
#include "lib/rule-trial.h"
#include "stream/rules/list.h"

/* --- from KVM --- */

static void
test_a20(void)
{
    rule_trial(&(RuleTrial){ .rule = "a20", .accel = "kvm", .only = "a20" });
}

static void
test_lapic_pending(void)
{
    rule_trial(
        &(RuleTrial){ .rule = "lapic-pending", .accel = "kvm", .only = "ipi-pending" });
}

static void
test_pic_pending(void)
{
    rule_trial(&(RuleTrial){ .rule = "pic-pending",
                             .accel = "kvm",
                             .only = "pic-quiet",
                             .wait_ms = 6000,
                             .rest_ms = 11000 });
}

static void
test_hflags_protection(void)
{
    rule_trial(&(RuleTrial){ .rule = "hflags-protection",
                             .accel = "kvm",
                             .background = "smap",
                             .property = "smap" });
}

/* Stopped in the middle of what it sleeps for: by far more than a host is slow. */
static void
test_lapic_oneshot(void)
{
    rule_trial(&(RuleTrial){ .rule = "lapic-oneshot",
                             .accel = "kvm",
                             .only = "sleep-until",
                             .wait_ms = 10000,
                             .arm_ms = 8000,
                             .seconds = 40 });
}

static void
test_sipi_to_tcg(void)
{
    rule_trial(&(RuleTrial){
        .rule = "sipi", .accel = "kvm", .vcpus = 2, .only = "ap-init", .seconds = 15 });
}

/* --- to KVM --- */

static void
test_sipi_to_kvm(void)
{
    rule_trial(&(RuleTrial){ .rule = "sipi",
                             .accel = "kvm",
                             .vcpus = 2,
                             .only = "ap-init",
                             .back = TRUE,
                             .seconds = 15 });
}

/* What it has loaded in the emulator, to which it came before it used them in KVM. */
static gboolean
use_none(MoseDoc *doc, gpointer data, GError **error)
{
    trial_set(mose_rule_cpu_section(doc, "cpu", 0), "env.xstate_bv", 0);
    return TRUE;
}

static void
test_xstate_bv(void)
{
    rule_trial(&(RuleTrial){ .rule = "xstate-bv",
                             .accel = "kvm",
                             .background = "fpu",
                             .property = "fpu",
                             .tamper = use_none,
                             .back = TRUE });
}

/* TCG's PIT has its output high, which the PIC has seen. */
static gboolean
hold_line(MoseDoc *doc, gpointer data, GError **error)
{
    trial_set_bits(mose_doc_find(doc, "i8259", 0), "last_irr", 1);
    return TRUE;
}

static void
test_pit_edge(void)
{
    rule_trial(&(RuleTrial){ .rule = "pit-edge",
                             .accel = "kvm",
                             .only = "pit-pic",
                             .back = TRUE,
                             .tamper = hold_line });
}

/* What a guest that was in 32-bit mode with PAE under KVM, and is not now, has left. */
static gboolean
leave_pdptrs(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *pdptrs = mose_section_add_subsection(
        mose_rule_cpu_section(doc, "cpu", 0), "cpu/pdptrs", 1);

    for (int i = 0; i < 4; i++) {
        g_autofree char *name = g_strdup_printf("env.pdptrs[%d]", i);

        mose_section_append(pdptrs, name, "uint64", 8, 0x1001);
    }
    return TRUE;
}

static void
test_pdptrs(void)
{
    rule_trial(&(RuleTrial){ .rule = "pdptrs",
                             .accel = "kvm",
                             .property = "memory",
                             .back = TRUE,
                             .tamper = leave_pdptrs });
}

/* There and back with nothing of it asked. */
static void
test_poll_control(void)
{
    rule_trial(&(RuleTrial){ .rule = "poll-control",
                             .accel = "kvm",
                             .only = "poll-control",
                             .again = TRUE,
                             .qemu = "-cpu qemu64,-cx16,-svm,-kvm-asyncpf,"
                                     "+kvm-poll-control" });
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/rules-kvm/a20", test_a20);
    g_test_add_func("/rules-kvm/lapic-pending", test_lapic_pending);
    g_test_add_func("/rules-kvm/pic-pending", test_pic_pending);
    g_test_add_func("/rules-kvm/hflags-protection", test_hflags_protection);
    g_test_add_func("/rules-kvm/lapic-oneshot", test_lapic_oneshot);
    g_test_add_func("/rules-kvm/sipi-to-tcg", test_sipi_to_tcg);
    g_test_add_func("/rules-kvm/sipi-to-kvm", test_sipi_to_kvm);
    g_test_add_func("/rules-kvm/xstate-bv", test_xstate_bv);
    g_test_add_func("/rules-kvm/pit-edge", test_pit_edge);
    g_test_add_func("/rules-kvm/pdptrs", test_pdptrs);
    g_test_add_func("/rules-kvm/poll-control", test_poll_control);
    return vm_run_tests();
}

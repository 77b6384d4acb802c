/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of interrupt controllers and their timers, on the litmus guest under TCG,
 * with the fields as KVM's side writes them (cited in each rule's file).
 */
#include "lib/rule-trial.h"
#include "stream/rules/list.h"

enum { HARD = 2 };

static gboolean
forget_request(MoseDoc *doc, gpointer data, GError **error)
{
    trial_set(mose_rule_cpu_section(doc, "cpu_common", 0), "interrupt_request", 0);
    return TRUE;
}

static void
test_lapic_pending(void)
{
    rule_trial(&(RuleTrial){ .rule = "lapic-pending",
                             .accel = "tcg",
                             .only = "ipi-pending",
                             .tamper = forget_request });
}

static void
test_pic_pending(void)
{
    rule_trial(&(RuleTrial){ .rule = "pic-pending",
                             .accel = "tcg",
                             .only = "pic-quiet",
                             .tamper = forget_request,
                             .wait_ms = 6000,
                             .rest_ms = 11000 });
}

/* Of an interrupt that KVM has delivered: nothing waits any more. */
static gboolean
leave_request(MoseDoc *doc, gpointer data, GError **error)
{
    trial_set_bits(mose_rule_cpu_section(doc, "cpu_common", 0), "interrupt_request",
                   HARD);
    return TRUE;
}

static void
test_stale_interrupt(void)
{
    rule_trial(&(RuleTrial){ .rule = "stale-interrupt",
                             .accel = "tcg",
                             .property = "memory",
                             .tamper = leave_request });
}

/* A PIT that was loaded ten days before the guest was stopped. */
static gboolean
age_pit(MoseDoc *doc, gpointer data, GError **error)
{
    const gint64 days = G_GINT64_CONSTANT(10) * 24 * 3600 * 1000000000;
    MoseSection *pit = mose_doc_find(doc, "i8254", 0);
    gint64 loaded = (gint64)trial_get(pit, "channels[0].count_load_time") - days;

    trial_set(pit, "channels[0].count_load_time", loaded);
    trial_set(pit, "channels[0].next_transition_time", loaded + 1);
    return TRUE;
}

static void
test_pit(void)
{
    rule_trial(&(RuleTrial){ .rule = "pit",
                             .accel = "tcg",
                             .only = "pit-pic",
                             .seconds = 5,
                             .hangs = TRUE,
                             .tamper = age_pit });
}

/* A tick that the main loop was late for: by one of the counter's. */
static gboolean
be_late(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *hpet = mose_doc_find(doc, "hpet", 0);

    trial_set(hpet, "timer[0].cmp", (guint32)(trial_get(hpet, "hpet_counter") - 1));
    return TRUE;
}

static void
test_hpet(void)
{
    rule_trial(&(RuleTrial){
        .rule = "hpet", .accel = "tcg", .only = "hpet", .tamper = be_late });
}

/* The virtualizer's IOAPIC is as KVM's; an emulator's own has another version. */
static void
test_ioapic_version(void)
{
    rule_trial(&(RuleTrial){
        .rule = "ioapic-version", .accel = "tcg", .only = "ioapic-version" });
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/rules-irq/lapic-pending", test_lapic_pending);
    g_test_add_func("/rules-irq/pic-pending", test_pic_pending);
    g_test_add_func("/rules-irq/stale-interrupt", test_stale_interrupt);
    g_test_add_func("/rules-irq/pit", test_pit);
    g_test_add_func("/rules-irq/hpet", test_hpet);
    g_test_add_func("/rules-irq/ioapic-version", test_ioapic_version);
    return vm_run_tests();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of what a vCPU is about to do, on documents made for them: events in
 * flight, and whether it sleeps. */
#include <string.h>

#include "lib/rule-world.h"
#include "stream/reader.h"
#include "util/error.h"

#define NONE G_MAXUINT32

/* --- in-flight --- */

typedef struct {
    guint64 interrupt, soft, exception, nmi_injected, nmi_pending;
} Events;

/* A vCPU with @events, vector 0x31 in service. */
static MoseDoc *
with_events(const Events *events)
{
    MoseDoc *doc = mose_doc_new();
    const RuleValue cpu[] = { { "env.interrupt_injected", events->interrupt },
                              { "env.soft_interrupt", events->soft },
                              { "env.exception_nr", events->exception },
                              { "env.has_error_code", events->exception != NONE },
                              { "env.nmi_injected", events->nmi_injected },
                              { "env.nmi_pending", events->nmi_pending },
                              { "env.hflags2", 5 },
                              { 0 } };
    static const RuleValue common[] = { { "halted", 0 },
                                        { "interrupt_request", 0 },
                                        { 0 } };
    static const RuleValue apic[] = {
        { "isr[1]", 1u << 17 | 1 },
        { "irr[1]", 2 },
        { "isr[2]", 0 },
        { "irr[2]", 0 },
        { 0 },
    };

    rule_add_section(doc, "cpu", 0, cpu);
    rule_add_section(doc, "cpu_common", 0, common);
    rule_add_section(doc, "apic", 0, apic);
    return doc;
}

static guint64
of(const MoseDoc *doc, const char *section, const char *path)
{
    return rule_get(mose_doc_find(doc, section, 0), path);
}

static void
test_interrupt(void)
{
    static const Events events = { 0x31, 0, NONE, 0, 0 };
    g_autoptr(MoseDoc) doc = with_events(&events);

    g_assert_true(rule_run_well("in-flight", MOSE_KVM_TO_TCG, NULL, doc));
    g_assert_cmphex(of(doc, "apic", "isr[1]"), ==, 1);
    g_assert_cmphex(of(doc, "apic", "irr[1]"), ==, 1u << 17 | 2);
    g_assert_cmphex(of(doc, "cpu", "env.interrupt_injected"), ==, NONE);
    g_assert_false(rule_run_well("in-flight", MOSE_KVM_TO_TCG, NULL, doc));
}

static void
test_fault_and_nmi(void)
{
    static const Events fault = { NONE, 0, 14, 0, 0 };
    static const Events nmi = { NONE, 0, NONE, 1, 0 };
    static const Events held_back = { NONE, 0, NONE, 0, 1 };
    g_autoptr(MoseDoc) first = with_events(&fault);
    g_autoptr(MoseDoc) second = with_events(&nmi);
    g_autoptr(MoseDoc) third = with_events(&held_back);

    g_assert_true(rule_run_well("in-flight", MOSE_KVM_TO_TCG, NULL, first));
    g_assert_cmphex(of(first, "cpu", "env.exception_nr"), ==, NONE);
    g_assert_cmphex(of(first, "cpu", "env.has_error_code"), ==, 0);
    g_assert_true(rule_run_well("in-flight", MOSE_KVM_TO_TCG, NULL, second));
    g_assert_cmphex(of(second, "cpu", "env.nmi_injected"), ==, 0);
    g_assert_cmphex(of(second, "cpu", "env.hflags2"), ==, 1);
    g_assert_cmphex(of(second, "cpu_common", "interrupt_request"), ==, 0x200);
    g_assert_true(rule_run_well("in-flight", MOSE_KVM_TO_TCG, NULL, third));
    g_assert_cmphex(of(third, "cpu", "env.hflags2"), ==, 5); /* still in one */
    g_assert_cmphex(of(third, "cpu_common", "interrupt_request"), ==, 0x200);
}

/* What cannot be given back fails the switch, and is named. */
static void
test_refused(void)
{
    static const struct {
        Events events;
        const char *word;
    } cases[] = {
        { { 0x41, 0, NONE, 0, 0 }, "of the PIC" }, /* not in service */
        { { 0x31, 1, NONE, 0, 0 }, "a software interrupt" },
        { { 0x131, 0, NONE, 0, 0 }, "an interrupt" },
        { { NONE, 0, 1, 0, 0 }, "an exception" },
        { { NONE, 0, 3, 0, 0 }, "an exception" },
        { { NONE, 0, 8, 0, 0 }, "an exception" },
        { { NONE, 0, 18, 0, 0 }, "an exception" },
        { { NONE, 0, 32, 0, 0 }, "an exception" },
        { { NONE, 0, G_MAXUINT32 - 1, 0, 0 }, "an exception" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MoseDoc) doc = with_events(&cases[i].events);
        g_autoptr(GError) error = NULL;

        g_assert_false(rule_run("in-flight", MOSE_KVM_TO_TCG, NULL, doc, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
        g_assert_nonnull(strstr(error->message, cases[i].word));
    }
}

/* --- mp-state --- */

/* The field @wanted in @of after a switch in @direction. */
static guint64
after(guint direction, guint64 state, guint64 halted, gboolean waits, const char *of,
      const char *wanted)
{
    const RuleValue cpu[] = { { "env.mp_state", state }, { 0 } };
    const RuleValue common[] = { { "halted", halted }, { 0 } };
    static const RuleValue none[] = { { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *apic;

    rule_add_section(doc, "cpu", 0, cpu);
    rule_add_section(doc, "cpu_common", 0, common);
    apic = rule_add_section(doc, "apic", 0, none);
    if (waits)
        mose_section_append(mose_section_add_subsection(apic, "apic_sipi", 1),
                            "wait_for_sipi", "int32", 4, 1);
    rule_run_well("mp-state", direction, NULL, doc);
    return rule_get(mose_doc_find(doc, of, 0), wanted);
}

static void
test_mp_state(void)
{
    enum { RUNNABLE, UNINITIALIZED, INIT_RECEIVED, HALTED };

    for (int old = RUNNABLE; old <= HALTED; old++) {
        g_assert_cmpuint(after(MOSE_TCG_TO_KVM, old, 0, FALSE, "cpu", "env.mp_state"),
                         ==, RUNNABLE);
        g_assert_cmpuint(after(MOSE_TCG_TO_KVM, old, 1, FALSE, "cpu", "env.mp_state"),
                         ==, HALTED);
        g_assert_cmpuint(after(MOSE_TCG_TO_KVM, old, 1, TRUE, "cpu", "env.mp_state"),
                         ==, INIT_RECEIVED);
        g_assert_cmpuint(after(MOSE_TCG_TO_KVM, old, 0, TRUE, "cpu", "env.mp_state"),
                         ==, RUNNABLE);
        g_assert_cmpuint(after(MOSE_KVM_TO_TCG, old, 1, FALSE, "cpu_common", "halted"),
                         ==, 1);
        g_assert_cmpuint(after(MOSE_KVM_TO_TCG, old, 0, FALSE, "cpu_common", "halted"),
                         ==, old == UNINITIALIZED || old == INIT_RECEIVED);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/in-flight/interrupt", test_interrupt);
    g_test_add_func("/rules/in-flight/fault-and-nmi", test_fault_and_nmi);
    g_test_add_func("/rules/in-flight/refused", test_refused);
    g_test_add_func("/rules/mp-state", test_mp_state);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of events in flight and of the interrupt shadow, on documents made for
 * them. */
#include <string.h>

#include "lib/rule-world.h"
#include "util/error.h"

#define NONE G_MAXUINT32

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

    g_assert_true(rule_run_well("interrupt-injected", MOSE_KVM_TO_TCG, NULL, doc));
    g_assert_cmphex(of(doc, "apic", "isr[1]"), ==, 1);
    g_assert_cmphex(of(doc, "apic", "irr[1]"), ==, 1u << 17 | 2);
    g_assert_cmphex(of(doc, "cpu", "env.interrupt_injected"), ==, NONE);
    g_assert_false(rule_run_well("interrupt-injected", MOSE_KVM_TO_TCG, NULL, doc));
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

    g_assert_true(rule_run_well("exception-injected", MOSE_KVM_TO_TCG, NULL, first));
    g_assert_cmphex(of(first, "cpu", "env.exception_nr"), ==, NONE);
    g_assert_cmphex(of(first, "cpu", "env.has_error_code"), ==, 0);
    g_assert_true(rule_run_well("nmi-injected", MOSE_KVM_TO_TCG, NULL, second));
    g_assert_cmphex(of(second, "cpu", "env.nmi_injected"), ==, 0);
    g_assert_cmphex(of(second, "cpu", "env.hflags2"), ==, 1);
    g_assert_cmphex(of(second, "cpu_common", "interrupt_request"), ==, 0x200);
    g_assert_true(rule_run_well("nmi-injected", MOSE_KVM_TO_TCG, NULL, third));
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
        { { 0x41, 0, NONE, 0, 0 }, "no controller" }, /* not in service */
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

        g_assert_false(rule_run(cases[i].events.exception == NONE
                                    ? "interrupt-injected"
                                    : "exception-injected",
                                MOSE_KVM_TO_TCG, NULL, doc, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
        g_assert_nonnull(strstr(error->message, cases[i].word));
    }
}

/* --- interrupts of the PIC, and `int n` --- */

static void
test_pic_interrupt(void)
{
    static const Events events = { 0x71, 0, NONE, 0, 0 };
    static const RuleValue first[] = {
        { "irq_base", 8 }, { "isr", 6 }, { "irr", 1 }, { 0 }
    };
    static const RuleValue second[] = {
        { "irq_base", 0x70 }, { "isr", 2 }, { "irr", 0 }, { 0 }
    };
    g_autoptr(MoseDoc) doc = with_events(&events);
    MoseSection *apic = mose_doc_find(doc, "apic", 0);
    MoseSection *one = rule_add_section(doc, "i8259", 0, first);
    MoseSection *two = rule_add_section(doc, "i8259", 1, second);

    mose_section_append(apic, "isr[3]", "uint32", 4, 0);
    mose_section_append(apic, "irr[3]", "uint32", 4, 0);
    g_assert_true(rule_run_well("interrupt-injected", MOSE_KVM_TO_TCG, NULL, doc));
    g_assert_cmphex(rule_get(two, "isr"), ==, 0);
    g_assert_cmphex(rule_get(two, "irr"), ==, 2);
    g_assert_cmphex(rule_get(one, "isr"), ==, 2);
    g_assert_cmphex(rule_get(one, "irr"), ==, 5);
    g_assert_cmphex(of(doc, "apic", "irr[3]"), ==, 0);
}

/* A vCPU without paging at address 2 of @ram, in 32-bit code. */
static void
add_code_fields(MoseDoc *doc, guint64 hflags, guint64 eflags)
{
    MoseSection *cpu = mose_doc_find(doc, "cpu", 0);
    const RuleValue values[] = { { "env.cr[0]", 1 },        { "env.cr[3]", 0 },
                                 { "env.cr[4]", 0 },        { "env.efer", 0 },
                                 { "env.segs[1].base", 1 }, { "env.segs[1].flags", 0 },
                                 { "env.eip", 1 },          { "env.hflags", hflags },
                                 { "env.eflags", eflags } };

    for (gsize i = 0; i < G_N_ELEMENTS(values); i++)
        mose_section_append(cpu, values[i].path, "uint64", 8, values[i].value);
}

static void
test_int_again(void)
{
    static const struct {
        guint8 code[4];
        Events events;
        gboolean again;
    } cases[] = {
        { { 0, 0, 0xcd, 0x80 }, { 0x80, 1, NONE, 0, 0 }, TRUE },
        { { 0, 0, 0xcd, 0x81 }, { 0x80, 1, NONE, 0, 0 }, FALSE },
        { { 0xcd, 0x80, 0x90, 0x90 }, { 0x80, 1, NONE, 0, 0 }, FALSE },
        { { 0, 0, 0xcc, 0 }, { NONE, 0, 3, 0, 0 }, TRUE },
        { { 0, 0, 0xce, 0 }, { NONE, 0, 4, 0, 0 }, TRUE },
        { { 0, 0, 0xcc, 0 }, { NONE, 0, 4, 0, 0 }, FALSE },
        { { 0, 0, 0xcc, 0 }, { NONE, 0, 1, 0, 0 }, FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        gboolean exception = cases[i].events.exception != NONE;
        RuleWorld world = { .ram = cases[i].code, .ram_size = 4 };
        g_autoptr(MoseDoc) doc = with_events(&cases[i].events);
        g_autoptr(GError) error = NULL;

        add_code_fields(doc, 0, 0);
        g_assert_cmpint(
            rule_run(exception ? "exception-injected" : "interrupt-injected",
                     MOSE_KVM_TO_TCG, &world, doc, &error),
            ==, cases[i].again);
        g_assert_cmpint(error != NULL, ==, !cases[i].again);
    }
}

static void
test_triple_fault(void)
{
    static const Events events = { NONE, 0, NONE, 0, 0 };
    g_autoptr(MoseDoc) doc = with_events(&events);
    g_autoptr(GError) error = NULL;

    mose_section_append(mose_section_add_subsection(mose_doc_find(doc, "cpu", 0),
                                                    "cpu/triple_fault", 1),
                        "env.triple_fault_pending", "uint8", 1, 1);
    g_assert_false(rule_run("exception-injected", MOSE_KVM_TO_TCG, NULL, doc, &error));
    g_assert_nonnull(strstr(error->message, "a triple fault"));
}

/* --- the interrupt shadow --- */

enum { SHADOW = 8, IF = 0x200, TF = 0x100 };

static void
test_shadow_to_tcg(void)
{
    static const Events none = { NONE, 0, NONE, 0, 0 };
    static const struct {
        guint8 code[3];
        guint64 eflags, halted, hflags;
    } cases[] = {
        { { 0x90, 0xfb, 0xf4 }, IF, 0, SHADOW },
        { { 0x90, 0xfb, 0xf4 }, 0, 0, 0 },
        { { 0x90, 0xfb, 0xf4 }, IF, 1, 0 },
        { { 0x90, 0x17, 0x90 }, IF, 0, SHADOW },
        { { 0x8e, 0xd3, 0x90 }, IF, 0, SHADOW }, /* mov %ebx, %ss */
        { { 0x8e, 0xdb, 0x90 }, IF, 0, 0 },      /* mov %ebx, %ds */
        { { 0xfb, 0x90, 0xf4 }, IF, 0, 0 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        RuleWorld world = { .ram = cases[i].code, .ram_size = 3 };
        g_autoptr(MoseDoc) doc = with_events(&none);

        add_code_fields(doc, 0, cases[i].eflags);
        mose_section_set(mose_doc_find(doc, "cpu_common", 0), "halted", cases[i].halted,
                         NULL);
        rule_run_well("interrupt-shadow", MOSE_KVM_TO_TCG, &world, doc);
        g_assert_cmphex(of(doc, "cpu", "env.hflags"), ==, cases[i].hflags);
        g_assert_false(rule_run_well("interrupt-shadow", MOSE_TCG_TO_TCG, &world, doc));
    }
}

static void
test_shadow_to_kvm(void)
{
    static const Events none = { NONE, 0, NONE, 0, 0 };
    static const struct {
        guint8 next;
        guint64 hflags, eflags;
        gboolean sleeps;
    } cases[] = {
        { 0xf4, SHADOW, IF, TRUE },      { 0xf4, 0, IF, FALSE },
        { 0x90, SHADOW, IF, FALSE },     { 0xf4, SHADOW, 0, FALSE },
        { 0xf4, SHADOW | 3, IF, FALSE }, { 0xf4, SHADOW, IF | TF, FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint8 code[3] = { 0x90, 0xfb, cases[i].next };
        RuleWorld world = { .ram = code, .ram_size = 3 };
        g_autoptr(MoseDoc) doc = with_events(&none);

        add_code_fields(doc, cases[i].hflags, cases[i].eflags);
        rule_run_well("interrupt-shadow", MOSE_TCG_TO_KVM, &world, doc);
        g_assert_cmphex(of(doc, "cpu", "env.hflags"), ==, cases[i].hflags & 3);
        g_assert_cmpuint(of(doc, "cpu", "env.eip"), ==, cases[i].sleeps ? 2 : 1);
        g_assert_cmpuint(of(doc, "cpu_common", "halted"), ==, cases[i].sleeps);
    }
}

static void
test_stale_shadow(void)
{
    static const Events none = { NONE, 0, NONE, 0, 0 };

    for (guint halted = 0; halted < 2; halted++) {
        g_autoptr(MoseDoc) doc = with_events(&none);

        add_code_fields(doc, SHADOW | 0x40, IF);
        mose_section_set(mose_doc_find(doc, "cpu_common", 0), "halted", halted, NULL);
        rule_run_well("stale-shadow", MOSE_KVM_TO_TCG, NULL, doc);
        g_assert_cmphex(of(doc, "cpu", "env.hflags"), ==,
                        halted ? 0x40 : SHADOW | 0x40);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/interrupt-injected", test_interrupt);
    g_test_add_func("/rules/interrupt-injected/pic", test_pic_interrupt);
    g_test_add_func("/rules/interrupt-injected/again", test_int_again);
    g_test_add_func("/rules/fault-and-nmi", test_fault_and_nmi);
    g_test_add_func("/rules/triple-fault", test_triple_fault);
    g_test_add_func("/rules/not-now", test_refused);
    g_test_add_func("/rules/interrupt-shadow/to-tcg", test_shadow_to_tcg);
    g_test_add_func("/rules/interrupt-shadow/to-kvm", test_shadow_to_kvm);
    g_test_add_func("/rules/stale-shadow", test_stale_shadow);
    return g_test_run();
}

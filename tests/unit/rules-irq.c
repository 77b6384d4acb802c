/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of interrupt controllers and timers, on documents made for them. */
#include "lib/rule-world.h"

enum { HARD = 2, IRQ0 = 1, MASKED = 1 << 16, EXTINT = 7 << 8, ENABLED = 1 << 11 };

/* --- the PIC and interrupt_request --- */

typedef struct {
    guint64 irr, imr, isr, first, special_mask, lvt, base, vector_bits;
} World;

static MoseDoc *
with_pic(const World *w, guint64 request)
{
    const RuleValue pic[] = { { "irr", w->irr },
                              { "imr", w->imr },
                              { "isr", w->isr },
                              { "priority_add", w->first },
                              { "special_mask", w->special_mask },
                              { "special_fully_nested_mode", 0 },
                              { 0 } };
    const RuleValue common[] = { { "interrupt_request", request }, { 0 } };
    const RuleValue apic[] = { { "apicbase", w->base },
                               { "lvt[3]", w->lvt },
                               { "spurious_vec", 0x1ff },
                               { "tpr", 0 },
                               { 0 } };
    MoseDoc *doc = mose_doc_new();

    for (guint cpu = 0; cpu < 2; cpu++) {
        MoseSection *section;

        rule_add_section(doc, "cpu_common", cpu, common);
        section = rule_add_section(doc, "apic", cpu, apic);
        for (int i = 0; i < 8; i++) {
            g_autofree char *irr = g_strdup_printf("irr[%d]", i);
            g_autofree char *isr = g_strdup_printf("isr[%d]", i);

            mose_section_append(section, irr, "uint32", 4, i == 2 ? w->vector_bits : 0);
            mose_section_append(section, isr, "uint32", 4, 0);
        }
        if (cpu == 1)
            mose_section_set(section, "lvt[3]", MASKED, NULL);
    }
    rule_add_section(doc, "i8259", 0, pic);
    return doc;
}

static guint64
request_of(const MoseDoc *doc, guint cpu)
{
    return rule_get(mose_doc_find(doc, "cpu_common", cpu), "interrupt_request");
}

static const struct {
    World world;
    gboolean pending;
} worlds[] = {
    { { 0, 0, 0, 0, 0, EXTINT, ENABLED, 0 }, FALSE },
    { { 1, 0, 0, 0, 0, EXTINT, ENABLED, 0 }, TRUE },
    { { 1, 1, 0, 0, 0, EXTINT, ENABLED, 0 }, FALSE },          /* masked */
    { { 1, 0, 0, 0, 0, EXTINT | MASKED, ENABLED, 0 }, FALSE }, /* not let through */
    { { 1, 0, 0, 0, 0, 4 << 8, ENABLED, 0 }, FALSE },          /* as an NMI */
    { { 1, 0, 0, 0, 0, EXTINT | MASKED, 0, 0 }, TRUE },        /* without an APIC */
    { { 2, 0, 1, 0, 0, EXTINT, ENABLED, 0 }, FALSE },          /* a higher one served */
    { { 1, 0, 2, 0, 0, EXTINT, ENABLED, 0 }, TRUE },
    { { 1, 0, 2, 1, 0, EXTINT, ENABLED, 0 }, FALSE }, /* priorities are rotated */
    { { 2, 1, 1, 0, 1, EXTINT, ENABLED, 0 }, TRUE },  /* served and masked: special */
};

static void
test_pic_pending(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(worlds); i++) {
        g_autoptr(MoseDoc) doc = with_pic(&worlds[i].world, 4);

        g_assert_cmpint(rule_run_well("pic-pending", MOSE_KVM_TO_TCG, NULL, doc), ==,
                        worlds[i].pending);
        g_assert_cmphex(request_of(doc, 0), ==, worlds[i].pending ? 4 | HARD : 4);
        g_assert_cmphex(request_of(doc, 1), ==, 4);
        g_assert_false(rule_run_well("pic-pending", MOSE_TCG_TO_TCG, NULL, doc));
    }
}

static void
test_stale_interrupt(void)
{
    World by_apic = { 0, 0, 0, 0, 0, MASKED, ENABLED, 1 };
    g_autoptr(MoseDoc) waits = with_pic(&by_apic, HARD);

    g_assert_false(rule_run_well("stale-interrupt", MOSE_KVM_TO_TCG, NULL, waits));
    for (gsize i = 0; i < G_N_ELEMENTS(worlds); i++) {
        g_autoptr(MoseDoc) doc = with_pic(&worlds[i].world, HARD | 4);

        g_assert_true(rule_run_well("stale-interrupt", MOSE_KVM_TO_TCG, NULL, doc));
        g_assert_cmphex(request_of(doc, 0), ==, worlds[i].pending ? 4 | HARD : 4);
        g_assert_cmphex(request_of(doc, 1), ==, 4);
        g_assert_false(rule_run_well("stale-interrupt", MOSE_TCG_TO_TCG, NULL, doc));
    }
}

/* --- timers --- */

static void
test_pit_edge(void)
{
    for (guint level = 0; level < 2; level++) {
        const RuleValue pic[] = { { "elcr", level }, { "last_irr", 0x83 }, { 0 } };
        g_autoptr(MoseDoc) doc = mose_doc_new();
        MoseSection *section = rule_add_section(doc, "i8259", 0, pic);

        rule_run_well("pit-edge", MOSE_TCG_TO_KVM, NULL, doc);
        g_assert_cmphex(rule_get(section, "last_irr"), ==, level ? 0x83 : 0x82);
    }
}

#define S G_GINT64_CONSTANT(1000000000)

/* Of a counter of 1,193,182 ticks, which is a second, loaded at 5 s. */
static void
test_pit(void)
{
    static const struct {
        guint direction;
        guint64 mode, now, next;
        gint64 after;
        guint64 off;
    } cases[] = {
        { MOSE_KVM_TO_TCG, 3, 10 * S + 1000, 5 * S + S / 2, 10 * S + S / 2, 0 },
        { MOSE_KVM_TO_TCG, 3, 10 * S + S * 3 / 4, 5 * S + S / 2, 11 * S, 0 },
        { MOSE_KVM_TO_TCG, 2, 10 * S + S / 4, 6 * S, 11 * S + 838, 0 },
        { MOSE_KVM_TO_TCG, 0, 5 * S + S / 4, 6 * S, 6 * S, 0 },
        { MOSE_KVM_TO_TCG, 0, 7 * S, 6 * S, -1, 0 },
        { MOSE_KVM_TO_TCG, 4, 7 * S, 6 * S, -1, 0 },
        { MOSE_KVM_TO_TCG, 3, 10 * S, 5 * S + S / 2, 5 * S + S / 2, 1 },
        { MOSE_KVM_TO_TCG, 3, 10 * S, (guint64)-1, -1, 0 },
        { MOSE_TCG_TO_TCG, 3, 10 * S, 10 * S - S / 2, 10 * S - S / 2, 0 },
        { MOSE_TCG_TO_TCG, 3, 10 * S + 1000, 5 * S + S / 2, 10 * S + S / 2, 0 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const RuleValue timer[] = { { "cpu_clock_offset", cases[i].now }, { 0 } };
        const RuleValue pit[] = { { "channels[0].irq_disabled", cases[i].off },
                                  { "channels[0].count", 1193182 },
                                  { "channels[0].count_load_time", 5 * S },
                                  { "channels[0].mode", cases[i].mode },
                                  { "channels[0].next_transition_time", cases[i].next },
                                  { 0 } };
        g_autoptr(MoseDoc) doc = mose_doc_new();
        MoseSection *section = rule_add_section(doc, "i8254", 0, pit);

        rule_add_section(doc, "timer", 0, timer);
        rule_run_well("pit", cases[i].direction, NULL, doc);
        g_assert_cmpint((gint64)rule_get(section, "channels[0].next_transition_time"),
                        ==, cases[i].after);
        g_assert_false(rule_run_well("pit", cases[i].direction, NULL, doc));
    }
}

/* Broken counters and times end nothing. */
static void
test_pit_broken(void)
{
    static const guint64 odd[] = { 0, 1, G_MAXINT32, G_MAXUINT32, 1u << 31 };
    static const guint64 times[] = { 0, G_MAXINT64, G_MAXUINT64, (guint64)1 << 63 };

    for (gsize i = 0; i < G_N_ELEMENTS(odd); i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(times) * 6; j++) {
            const RuleValue timer[] = { { "cpu_clock_offset", 3 * S }, { 0 } };
            const RuleValue pit[] = {
                { "channels[0].irq_disabled", 0 },
                { "channels[0].count", odd[i] },
                { "channels[0].count_load_time", times[j / 6] },
                { "channels[0].mode", j % 6 },
                { "channels[0].next_transition_time", 1 },
                { 0 },
            };
            g_autoptr(MoseDoc) doc = mose_doc_new();

            rule_add_section(doc, "i8254", 0, pit);
            rule_add_section(doc, "timer", 0, timer);
            rule_run_well("pit", MOSE_KVM_TO_TCG, NULL, doc);
        }
    }
}

static void
test_lapic_oneshot(void)
{
    enum { NOW = 5000, PERIODIC = 1 << 17 };
    static const struct {
        guint direction;
        guint64 lvt, loaded, expiry;
        gboolean at_once;
    } cases[] = {
        { MOSE_KVM_TO_TCG, 0x40, NOW, 9000, TRUE },
        { MOSE_KVM_TO_TCG, 0x40 | MASKED, NOW, 9000, FALSE },
        { MOSE_KVM_TO_TCG, 0x40 | PERIODIC, NOW, 9000, FALSE },
        { MOSE_KVM_TO_TCG, 0x40, NOW, (guint64)-1, FALSE },
        { MOSE_TCG_TO_TCG, 0x40, NOW, 9000, TRUE },
        { MOSE_TCG_TO_TCG, 0x40, NOW - 1, 9000, FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const RuleValue timer[] = { { "cpu_clock_offset", NOW }, { 0 } };
        const RuleValue apic[] = { { "lvt[0]", cases[i].lvt },
                                   { "initial_count", 499 },
                                   { "count_shift", 3 },
                                   { "initial_count_load_time", cases[i].loaded },
                                   { "next_time", 9000 },
                                   { "timer_expiry", cases[i].expiry },
                                   { 0 } };
        g_autoptr(MoseDoc) doc = mose_doc_new();
        MoseSection *section = rule_add_section(doc, "apic", 0, apic);

        rule_add_section(doc, "timer", 0, timer);
        g_assert_cmpint(rule_run_well("lapic-oneshot", cases[i].direction, NULL, doc),
                        ==, cases[i].at_once);
        g_assert_cmpuint(rule_get(section, "timer_expiry"), ==,
                         cases[i].at_once ? NOW : cases[i].expiry);
        g_assert_cmpuint(rule_get(section, "next_time"), ==,
                         cases[i].at_once ? NOW : 9000);
        /* 500 ticks of 8 ns ago: run out. */
        g_assert_cmpuint(rule_get(section, "initial_count_load_time"), ==,
                         cases[i].at_once ? 1000 : cases[i].loaded);
        g_assert_false(rule_run_well("lapic-oneshot", cases[i].direction, NULL, doc));
    }
}

/* --- the HPET --- */

enum { PERIODIC = 1 << 3, ONLY_32BIT = 1 << 8, PERIOD = 1000 };

static const struct {
    guint64 enabled, config, counter, cmp, wanted;
} hpets[] = {
    { 1, PERIODIC | ONLY_32BIT, 5000, 5400, 5400 },
    { 1, PERIODIC | ONLY_32BIT, 5000, 5000, 5000 },
    { 1, PERIODIC | ONLY_32BIT, 5000, 4999, 5999 },
    { 1, PERIODIC | ONLY_32BIT, 5000, 2000, 5000 },
    { 1, PERIODIC | ONLY_32BIT, G_GUINT64_CONSTANT(0x300000100), 0xffffffff, 999 },
    { 0, PERIODIC | ONLY_32BIT, 5000, 4999, 4999 },
    { 1, PERIODIC, 5000, 4999, 4999 },
    { 1, ONLY_32BIT, 5000, 4999, 4999 },
};

static void
test_hpet(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(hpets); i++) {
        const RuleValue values[] = { { "config", hpets[i].enabled },
                                     { "hpet_counter", hpets[i].counter },
                                     { "num_timers_save", 1 },
                                     { "timer[0].config", hpets[i].config },
                                     { "timer[0].cmp", hpets[i].cmp },
                                     { "timer[0].period", PERIOD },
                                     { 0 } };
        g_autoptr(MoseDoc) doc = mose_doc_new();

        rule_add_section(doc, "hpet", 0, values);
        g_assert_cmpint(rule_run_well("hpet", MOSE_TCG_TO_TCG, NULL, doc), ==,
                        hpets[i].cmp != hpets[i].wanted);
        g_assert_cmpuint(rule_get(mose_doc_find(doc, "hpet", 0), "timer[0].cmp"), ==,
                         hpets[i].wanted);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/pic-pending", test_pic_pending);
    g_test_add_func("/rules/stale-interrupt", test_stale_interrupt);
    g_test_add_func("/rules/hpet", test_hpet);
    g_test_add_func("/rules/pit-edge", test_pit_edge);
    g_test_add_func("/rules/pit", test_pit);
    g_test_add_func("/rules/pit/broken", test_pit_broken);
    g_test_add_func("/rules/lapic-oneshot", test_lapic_oneshot);
    return g_test_run();
}

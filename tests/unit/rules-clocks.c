/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of clocks, on documents made for them: TSC, stopped time, kvmclock. */
#include <string.h>

#include "lib/rule-world.h"
#include "stream/reader.h"
#include "util/error.h"

/* --- tsc --- */

static void
test_tsc(void)
{
    static const RuleValue timer[] = { { "cpu_ticks_offset", 1000 }, { 0 } };
    static const RuleValue cpu0[] = { { "env.tsc", 2000 }, { 0 } };
    static const RuleValue cpu1[] = { { "env.tsc", 2010 }, { 0 } };
    g_autoptr(MoseDoc) there = mose_doc_new();
    g_autoptr(MoseDoc) back = mose_doc_new();
    MoseSection *section, *first, *second;

    section = rule_add_section(there, "timer", 0, timer);
    first = rule_add_section(there, "cpu", 0, cpu0);
    second = rule_add_section(there, "cpu", 1, cpu1);
    g_assert_true(rule_run_well("tsc", MOSE_KVM_TO_TCG, NULL, there));
    g_assert_cmpuint(rule_get(section, "cpu_ticks_offset"), ==, 2000);
    g_assert_cmpuint(rule_get(first, "env.tsc"), ==, 2000);
    g_assert_cmpuint(rule_get(second, "env.tsc"), ==, 2010);

    section = rule_add_section(back, "timer", 0, timer);
    first = rule_add_section(back, "cpu", 0, cpu0);
    second = rule_add_section(back, "cpu", 1, cpu1);
    g_assert_true(rule_run_well("tsc", MOSE_TCG_TO_KVM, NULL, back));
    g_assert_cmpuint(rule_get(section, "cpu_ticks_offset"), ==, 1000);
    g_assert_cmpuint(rule_get(first, "env.tsc"), ==, 1000);
    g_assert_cmpuint(rule_get(second, "env.tsc"), ==, 1000);
}

static void
test_tsc_missing(void)
{
    static const RuleValue none[] = { { 0 } };
    static const RuleValue timer[] = { { "cpu_ticks_offset", 1000 },
                                       { "cpu_clock_offset", 0 },
                                       { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    g_autoptr(MoseDoc) alone = mose_doc_new();

    rule_add_section(alone, "cpu", 0, none);
    g_assert_false(rule_run_well("tsc", MOSE_KVM_TO_TCG, NULL, alone));
    rule_add_section(doc, "timer", 0, timer);
    rule_add_section(doc, "cpu", 0, none);
    rule_expect_missing(doc, MOSE_KVM_TO_TCG, "tsc", "cpu", "env.tsc");
    rule_expect_missing(doc, MOSE_TCG_TO_KVM, "tsc", "cpu", "env.tsc");
}

/* --- stopped-time --- */

static void
make_clocks(MoseDoc *doc, guint64 clock)
{
    const RuleValue timer[] = { { "cpu_ticks_offset", 10 },
                                { "cpu_clock_offset", 20 },
                                { 0 } };
    const RuleValue kvmclock[] = { { "clock", clock }, { 0 } };
    const RuleValue cpu[] = { { "env.tsc", 30 }, { 0 } };

    rule_add_section(doc, "timer", 0, timer);
    rule_add_section(doc, "cpu", 0, cpu);
    rule_add_section(doc, "cpu", 1, cpu);
    rule_add_section(doc, "kvmclock", 0, kvmclock);
}

static void
test_stopped_time(void)
{
    g_autoptr(MoseDoc) doc = mose_doc_new();
    RuleWorld world = { .stopped_ns = 2000000 };

    make_clocks(doc, 40);
    g_assert_true(rule_run_well("stopped-time", MOSE_KVM_TO_TCG, &world, doc));
    /* 2 ms at 3 GHz */
    g_assert_cmpuint(rule_get(mose_doc_find(doc, "timer", 0), "cpu_ticks_offset"), ==,
                     6000010);
    g_assert_cmpuint(rule_get(mose_doc_find(doc, "timer", 0), "cpu_clock_offset"), ==,
                     2000020);
    g_assert_cmpuint(rule_get(mose_doc_find(doc, "cpu", 0), "env.tsc"), ==, 6000030);
    g_assert_cmpuint(rule_get(mose_doc_find(doc, "cpu", 1), "env.tsc"), ==, 6000030);
    g_assert_cmpuint(rule_get(mose_doc_find(doc, "kvmclock", 0), "clock"), ==, 2000040);
}

/* A guest that stood still before, or a clock that was set back meanwhile. */
static void
test_not_stopped(void)
{
    static const gint64 cases[] = { 0, -1, G_MININT64 };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MoseDoc) doc = mose_doc_new();
        RuleWorld world = { .stopped_ns = cases[i] };

        make_clocks(doc, 40);
        g_assert_false(rule_run_well("stopped-time", MOSE_TCG_TO_TCG, &world, doc));
        g_assert_cmpuint(rule_get(mose_doc_find(doc, "cpu", 0), "env.tsc"), ==, 30);
    }
}

static void
test_stopped_for_ever(void)
{
    g_autoptr(MoseDoc) doc = mose_doc_new();
    RuleWorld world = { .stopped_ns = G_MAXINT64 };

    make_clocks(doc, G_MAXUINT64);
    g_assert_true(rule_run_well("stopped-time", MOSE_TCG_TO_TCG, &world, doc));
    g_assert_cmpuint(rule_get(mose_doc_find(doc, "kvmclock", 0), "clock"), ==,
                     G_MAXUINT64 + (guint64)G_MAXINT64);
}

/* --- kvmclock --- */

#define PAGE 0x7000

/* A page as struct pvclock_vcpu_time_info lays it out, little endian. */
static RuleWorld
clock_page(guint64 timestamp, guint64 system_time, guint32 mul, gint8 shift)
{
    RuleWorld world = { .page_address = PAGE };

    memcpy(world.page + 8, &timestamp, 8);
    memcpy(world.page + 16, &system_time, 8);
    memcpy(world.page + 24, &mul, 4);
    world.page[28] = (guint8)shift;
    return world;
}

/* The clock that is made for a guest with @msr and @tsc. */
static guint64
made_clock(RuleWorld *world, guint64 msr, guint64 tsc)
{
    const RuleValue timer[] = { { "cpu_clock_offset", 555 }, { 0 } };
    const RuleValue cpu[] = { { "env.system_time_msr", msr },
                              { "env.tsc", tsc },
                              { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *section, *reliable;

    rule_add_section(doc, "timer", 0, timer);
    rule_add_section(doc, "cpu", 0, cpu);
    g_assert_true(rule_run_well("kvmclock", MOSE_TCG_TO_KVM, world, doc));
    section = mose_doc_find(doc, "kvmclock", 0);
    g_assert_nonnull(section);
    reliable = mose_section_subsection(section, "kvmclock/clock_is_reliable");
    g_assert_cmpuint(rule_get(reliable, "clock_is_reliable"), ==, 1);
    return rule_get(section, "clock");
}

static void
test_kvmclock_made(void)
{
    RuleWorld exact = clock_page(1000, 5000, 0x80000000, 1);
    RuleWorld slower = clock_page(1000, 5000, 0x80000000, -2);

    /* delta << 1, times one half */
    g_assert_cmpuint(made_clock(&exact, PAGE | 1, 4000), ==, 5000 + 3000);
    /* delta >> 2, times one half */
    g_assert_cmpuint(made_clock(&slower, PAGE | 1, 9000), ==, 5000 + 1000);
}

/* Where the guest's page cannot be used, the time since its start has to do. */
static void
test_kvmclock_hostile(void)
{
    RuleWorld good = clock_page(1000, 5000, 0x80000000, 1);
    RuleWorld ones = { .page_address = PAGE };
    RuleWorld absent = { 0 };
    RuleWorld left = clock_page(0, 0, 1, 32);
    RuleWorld right = clock_page(0, 0, 1, -32);
    RuleWorld most = clock_page(0, 0, 1, -128);
    RuleWorld wide = clock_page(0, G_MAXUINT64, G_MAXUINT32, 31);

    memset(ones.page, 0xff, sizeof(ones.page));
    g_assert_cmpuint(made_clock(&good, PAGE, 4000), ==, 555);     /* not enabled */
    g_assert_cmpuint(made_clock(&good, PAGE | 1, 999), ==, 555);  /* in the future */
    g_assert_cmpuint(made_clock(&good, 0x9001, 4000), ==, 555);   /* elsewhere */
    g_assert_cmpuint(made_clock(&ones, PAGE | 1, 4000), ==, 555); /* no time at all */
    g_assert_cmpuint(made_clock(&absent, G_MAXUINT64, 4000), ==, 555);
    g_assert_cmpuint(made_clock(&left, PAGE | 1, 4000), ==, 555);
    g_assert_cmpuint(made_clock(&right, PAGE | 1, 4000), ==, 555);
    g_assert_cmpuint(made_clock(&most, PAGE | 1, 4000), ==, 555);
    made_clock(&wide, PAGE | 1, G_MAXUINT64); /* any value, but no overflow */
}

static void
test_kvmclock_kept_and_dropped(void)
{
    static const RuleValue clock[] = { { "clock", 77 }, { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    RuleWorld world = { 0 };

    rule_add_section(doc, "kvmclock", 0, clock);
    g_assert_false(rule_run_well("kvmclock", MOSE_TCG_TO_KVM, &world, doc));
    g_assert_cmpuint(rule_get(mose_doc_find(doc, "kvmclock", 0), "clock"), ==, 77);
    g_assert_true(rule_run_well("kvmclock", MOSE_KVM_TO_TCG, &world, doc));
    g_assert_null(mose_doc_find(doc, "kvmclock", 0));
    g_assert_false(rule_run_well("kvmclock", MOSE_KVM_TO_TCG, &world, doc));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/tsc", test_tsc);
    g_test_add_func("/rules/tsc/missing", test_tsc_missing);
    g_test_add_func("/rules/stopped-time", test_stopped_time);
    g_test_add_func("/rules/stopped-time/not", test_not_stopped);
    g_test_add_func("/rules/stopped-time/for-ever", test_stopped_for_ever);
    g_test_add_func("/rules/kvmclock/made", test_kvmclock_made);
    g_test_add_func("/rules/kvmclock/hostile", test_kvmclock_hostile);
    g_test_add_func("/rules/kvmclock/kept-and-dropped", test_kvmclock_kept_and_dropped);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of the clock page that KVM shares with its guest, on documents and a page
 * made for them. */
#include <string.h>

#include "lib/rule-world.h"
#include "stream/rules/paravirt.h"
#include "util/error.h"

#define PAGE 0x8000u
#define KHZ 3000000u /* of the context */

static MoseSection *
add_msr(MoseSection *cpu, const char *subsection, const char *field, guint64 value)
{
    MoseSection *section = mose_section_add_subsection(cpu, subsection, 1);

    mose_section_append(section, field, "uint64", 8, value);
    return section;
}

static void
put(RuleWorld *world, guint offset, const void *from, gsize len)
{
    world->page_address = PAGE;
    memcpy(world->page + offset, from, len);
}

/* Run on @doc twice: the second time there is nothing to do. */
static gboolean
run_twice(const char *rule, guint direction, RuleWorld *world, MoseDoc *doc)
{
    gboolean changed = rule_run_well(rule, direction, world, doc);

    g_assert_false(rule_run_well(rule, direction, world, doc));
    return changed;
}

/* --- guest-stopped --- */

static MosePvClock
clock_of(const RuleWorld *world, guint cpu)
{
    MosePvClock clock;

    memcpy(&clock, world->page + cpu * 64, sizeof(clock));
    return clock;
}

/* vCPUs whose TSC and clock page are @tsc and @clock; without a page where NULL. */
static MoseDoc *
with_clocks(RuleWorld *world, guint n, const guint64 *tsc, const MosePvClock *clocks)
{
    const RuleValue timer[] = { { "cpu_ticks_offset", tsc[0] }, { 0 } };
    MoseDoc *doc = mose_doc_new();

    rule_add_section(doc, "timer", 0, timer);
    for (guint i = 0; i < n; i++) {
        const RuleValue cpu[] = { { "env.tsc", tsc[i] },
                                  { "env.system_time_msr",
                                    clocks ? (PAGE + i * 64) | 1 : 0 },
                                  { 0 } };

        rule_add_section(doc, "cpu", i, cpu);
        if (clocks)
            put(world, i * 64, &clocks[i], sizeof(clocks[i]));
    }
    return doc;
}

static void
test_guest_stopped(void)
{
    static const guint64 tsc[] = { 1000, 1000 };
    static const MosePvClock clocks[] = { { .version = 6, .flags = 1 },
                                          { .version = 9, .flags = 0 } };
    RuleWorld world = { 0 }, none = { 0 };
    g_autoptr(MoseDoc) doc = with_clocks(&world, 2, tsc, clocks);
    g_autoptr(MoseDoc) without = with_clocks(&none, 2, tsc, NULL);

    g_assert_true(run_twice("guest-stopped", MOSE_KVM_TO_TCG, &world, doc));
    g_assert_cmpuint(clock_of(&world, 0).flags, ==, 3);
    g_assert_cmpuint(clock_of(&world, 0).version, ==, 8);
    g_assert_cmpuint(clock_of(&world, 1).flags, ==, 2);
    g_assert_cmpuint(clock_of(&world, 1).version, ==, 10);
    g_assert_false(run_twice("guest-stopped", MOSE_KVM_TO_TCG, &none, without));
    g_assert_false(rule_run_well("guest-stopped", MOSE_KVM_TO_TCG, &none, doc));
}

/* --- pvclock-vcpus --- */

/* The scale of the context's frequency, as Linux's KVM has it. */
#define SCALE .tsc_to_system_mul = 0xaaaaaaaa, .tsc_shift = -1

static void
test_vcpus(void)
{
    const guint64 base = 50000ull * KHZ, ahead = base + 20000ull * KHZ;
    const guint64 tsc[] = { base, ahead, base + 20 * KHZ, 0 };
    const MosePvClock clocks[] = {
        { .tsc_timestamp = base - 3000, .system_time = 777, SCALE },
        { .tsc_timestamp = ahead - 6000, .system_time = 777, SCALE },
        { .tsc_timestamp = base, .system_time = 777, SCALE },
        { .tsc_timestamp = 1, .system_time = 777, SCALE }, /* in the future */
    };
    RuleWorld world = { 0 };
    g_autoptr(MoseDoc) doc = with_clocks(&world, 4, tsc, clocks);
    MosePvClock moved;
    guint64 ns = 0;

    g_assert_true(run_twice("pvclock-vcpus", MOSE_KVM_TO_TCG, &world, doc));
    for (guint i = 0; i < 4; i++)
        if (i != 1) {
            const MosePvClock kept = clock_of(&world, i);

            g_assert_cmpmem(&kept, sizeof(kept), &clocks[i], sizeof(clocks[i]));
        }
    g_assert_cmpuint(clock_of(&world, 1).tsc_timestamp, ==, base);
    moved = clock_of(&world, 1);
    g_assert_true(mose_pvclock_at(&moved, base, &ns));
    g_assert_cmpuint(ns, >=, 777 + 1999);
    g_assert_cmpuint(ns, <=, 777 + 2000);
    g_assert_cmpuint(rule_get(mose_doc_find(doc, "cpu", 1), "env.tsc"), ==, base);
    g_assert_cmpuint(rule_get(mose_doc_find(doc, "cpu", 2), "env.tsc"), ==, tsc[2]);
}

/* --- pvclock-frequency --- */

/* One vCPU's clock after the rule, @at ticks later. */
static guint64
shown(MosePvClock clock, guint64 tsc, guint64 at, gboolean *ret_changed)
{
    RuleWorld world = { 0 };
    g_autoptr(MoseDoc) doc = with_clocks(&world, 1, &tsc, &clock);
    MosePvClock after;
    guint64 ns = 0;

    *ret_changed = run_twice("pvclock-frequency", MOSE_KVM_TO_TCG, &world, doc);
    after = clock_of(&world, 0);
    mose_pvclock_at(&after, tsc + at, &ns);
    return ns;
}

static void
test_frequency(void)
{
    /* 1.5 GHz, 12 GHz, and the host's 3 GHz */
    const MosePvClock half = { .tsc_to_system_mul = 0xaaaaaaaa, .system_time = 500 };
    const MosePvClock fast = { .tsc_to_system_mul = 0xaaaaaaaa, .tsc_shift = -3 };
    const MosePvClock same = { SCALE };
    gboolean changed;
    guint64 ns;

    ns = shown(half, 1500000000, 3000000000u, &changed);
    g_assert_true(changed);
    g_assert_cmpuint(ns, >=, 500 + 2 * 1000000000u - 2);
    g_assert_cmpuint(ns, <=, 500 + 2 * 1000000000u);
    ns = shown(fast, 12000000000u, 3000000000u, &changed);
    g_assert_true(changed);
    g_assert_cmpuint(ns, >=, 2 * 1000000000u - 2);
    g_assert_cmpuint(ns, <=, 2 * 1000000000u);
    shown(same, 1500000000, 0, &changed);
    g_assert_false(changed);
}

static void
test_frequency_hostile(void)
{
    const MosePvClock bad[] = {
        { 0 },
        { .tsc_to_system_mul = 1, .tsc_shift = -128 },
        { .tsc_to_system_mul = 1, .tsc_shift = 32 },
        { .tsc_to_system_mul = 0x80000000, .tsc_timestamp = G_MAXUINT64 },
    };
    const MosePvClock wide = { .tsc_to_system_mul = G_MAXUINT32, .tsc_shift = 31 };
    const MosePvClock slow = { .tsc_to_system_mul = 1, .tsc_shift = -31 };
    gboolean changed;

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        shown(bad[i], 1000, 1000, &changed);
        g_assert_false(changed);
    }
    shown(wide, G_MAXUINT64, 0, &changed); /* any value, but no overflow */
    shown(slow, G_MAXUINT64, 0, &changed);
}

/* Nobody can tell a guest without the clock that its TSC ticks otherwise. */
static void
test_frequency_refused(void)
{
    static const struct {
        guint64 khz;
        guint direction;
        gboolean refused;
        guint64 source_khz; /* of another host */
    } cases[] = {
        { 2900000, MOSE_KVM_TO_TCG, TRUE },
        { 3100000, MOSE_KVM_TO_TCG, TRUE },
        { 2990000, MOSE_KVM_TO_TCG, FALSE },
        { 2900000, MOSE_TCG_TO_TCG, FALSE },
        { 0, MOSE_KVM_TO_TCG, FALSE },
        { 0, MOSE_KVM_TO_TCG, TRUE, 2000000 },
        { 0, MOSE_TCG_TO_TCG, TRUE, 2000000 },
        { 0, MOSE_TCG_TO_KVM, TRUE, 2000000 },
        { 0, MOSE_KVM_TO_KVM, TRUE, 2000000 },
        { 0, MOSE_TCG_TO_TCG, FALSE, 2999000 },
        { 3000000, MOSE_KVM_TO_TCG, FALSE, 2000000 }, /* its KVM scaled it */
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        static const guint64 tsc = 1000;
        RuleWorld world = { .source_khz = cases[i].source_khz };
        g_autoptr(MoseDoc) doc = with_clocks(&world, 1, &tsc, NULL);
        g_autoptr(GError) error = NULL;

        add_msr(mose_doc_find(doc, "cpu", 0), "cpu/tsc_khz", "env.tsc_khz",
                cases[i].khz);
        g_assert_false(
            rule_run("pvclock-frequency", cases[i].direction, &world, doc, &error));
        if (cases[i].refused)
            g_assert_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED);
        else
            g_assert_no_error(error);
    }
}

/* --- wall-clock --- */

#define WALL 512

/* The seconds that the guest finds, whose clock shows @ns at its TSC 1000 and who found
 * @sec before. */
static guint32
wall_sec(guint64 address, guint64 ns, guint32 sec, gboolean *ret_changed)
{
    static const RuleValue timer[] = { { "cpu_ticks_offset", 1000 }, { 0 } };
    const RuleValue cpu[] = { { "env.system_time_msr", PAGE | 1 },
                              { "env.wall_clock_msr", address },
                              { 0 } };
    const MosePvClock clock = { .tsc_timestamp = 1000, .system_time = ns, SCALE };
    guint32 wall[] = { 2, sec, 0 };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    RuleWorld world = { 0 };

    rule_add_section(doc, "timer", 0, timer);
    rule_add_section(doc, "cpu", 0, cpu);
    put(&world, 0, &clock, sizeof(clock));
    put(&world, WALL, wall, sizeof(wall));
    *ret_changed = run_twice("wall-clock", MOSE_KVM_TO_TCG, &world, doc);
    memcpy(wall, world.page + WALL, sizeof(wall));
    g_assert_cmpuint(wall[0], ==, *ret_changed ? 4 : 2);
    return wall[1];
}

static void
test_wall_clock(void)
{
    const guint64 second = 1000000000;
    guint32 now = (guint32)(g_get_real_time() / G_USEC_PER_SEC), got;
    gboolean changed;

    got = wall_sec(PAGE + WALL, 5000 * second, 77, &changed);
    g_assert_true(changed);
    g_assert_cmpuint(got, >=, now - 5000);
    g_assert_cmpuint(got, <=, now - 5000 + 60);
    /* one that has no such page, or has it nowhere, or whose clock makes no sense */
    g_assert_cmpuint(wall_sec(0, second, 77, &changed), ==, 77);
    g_assert_cmpuint(wall_sec(0x123000, second, 77, &changed), ==, 77);
    g_assert_cmpuint(wall_sec(PAGE + WALL, G_MAXUINT64, 77, &changed), ==, 77);
    g_assert_cmpuint(wall_sec(PAGE + 4090, second, 77, &changed), ==, 77);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/guest-stopped", test_guest_stopped);
    g_test_add_func("/rules/pvclock-vcpus", test_vcpus);
    g_test_add_func("/rules/pvclock-frequency", test_frequency);
    g_test_add_func("/rules/pvclock-frequency/hostile", test_frequency_hostile);
    g_test_add_func("/rules/pvclock-frequency/refused", test_frequency_refused);
    g_test_add_func("/rules/wall-clock", test_wall_clock);
    return g_test_run();
}

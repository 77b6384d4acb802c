/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of what KVM shares with its guest in the guest's memory, on documents and a
 * page made for them. */
#include <string.h>

#include "lib/rule-world.h"
#include "stream/rules/paravirt.h"
#include "util/error.h"

#define PAGE 0x8000u
#define KHZ 3000000u /* of the context */
#define NONE G_MAXUINT32

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

/* --- steal-time --- */

static gboolean
steal(RuleWorld *world, guint64 msr)
{
    static const RuleValue cpu[] = { { "env.tsc", 0 }, { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *section = rule_add_section(doc, "cpu", 0, cpu);

    if (msr)
        add_msr(section, "cpu/steal_time_msr", "env.steal_time_msr", msr);
    return run_twice("steal-time", MOSE_KVM_TO_TCG, world, doc);
}

static void
test_steal_time(void)
{
    RuleWorld world = { .page_address = PAGE };
    RuleWorld nowhere = { 0 };

    memset(world.page, 0xff, sizeof(world.page));
    g_assert_false(steal(&world, 0));
    g_assert_false(steal(&world, PAGE + 64)); /* not enabled */
    g_assert_false(steal(&world, 0x123001));  /* no RAM */
    g_assert_false(steal(&world, G_MAXUINT64));
    g_assert_false(steal(&nowhere, PAGE | 1));
    g_assert_cmpuint(world.page[64 + 16], ==, 0xff);
    g_assert_true(steal(&world, PAGE + 64 + 1));
    for (guint i = 0; i < sizeof(world.page); i++)
        g_assert_cmpuint(world.page[i], ==, i == 64 + 16 ? 0 : 0xff);
}

/* --- async-pf --- */

#define APF_MSR (PAGE + 128)
#define APF_ON 9u
#define APF_VECTOR 0xf3u

typedef struct {
    guint64 en, irr, injected, exception, spurious;
    guint32 flags, token;
} Apf;

/* What has become of flags and token, and whether the interrupt waits now. */
static gboolean
apf(const Apf *was, Apf *ret, GError **error)
{
    const RuleValue cpu[] = { { "env.interrupt_injected", was->injected },
                              { "env.exception_nr", was->exception },
                              { 0 } };
    const RuleValue apic[] = { { "spurious_vec", was->spurious },
                               { "irr[7]", was->irr },
                               { 0 } };
    const guint32 shared[] = { was->flags, was->token };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *section = rule_add_section(doc, "cpu", 0, cpu);
    RuleWorld world = { 0 };
    gboolean changed;

    rule_add_section(doc, "apic", 0, apic);
    add_msr(section, "cpu/async_pf_msr", "env.async_pf_en_msr", was->en);
    add_msr(section, "cpu/async_pf_int_msr", "env.async_pf_int_msr", APF_VECTOR);
    put(&world, 128, shared, sizeof(shared));
    changed = rule_run("async-pf", MOSE_KVM_TO_TCG, &world, doc, error);
    *ret = *was;
    memcpy(&ret->flags, world.page + 128, 4);
    memcpy(&ret->token, world.page + 132, 4);
    ret->irr = rule_get(mose_doc_find(doc, "apic", 0), "irr[7]");
    return changed;
}

#define BIT (1u << (APF_VECTOR - 224))

static void
test_async_pf(void)
{
    static const struct {
        Apf before;
        guint32 flags, token;
        guint64 irr;
    } cases[] = {
        /* nothing is on its way */
        { { APF_MSR | APF_ON, 0, NONE, NONE, 0x1ff, 0, 0 }, 0, NONE, BIT },
        { { APF_MSR | APF_ON, 1, NONE, NONE, 0x1ff, 0, 0 }, 0, NONE, BIT | 1 },
        /* a token that waits, in IRR or in flight */
        { { APF_MSR | APF_ON, BIT, NONE, NONE, 0x1ff, 0, 5 }, 0, NONE, BIT },
        { { APF_MSR | APF_ON, 0, APF_VECTOR, NONE, 0x1ff, 0, 5 }, 0, NONE, 0 },
        /* all are woken already */
        { { APF_MSR | APF_ON, 0, NONE, NONE, 0x1ff, 0, NONE }, 0, NONE, 0 },
        /* a #PF that will be forgotten, and one that the guest has */
        { { APF_MSR | APF_ON, 0, NONE, 14, 0x1ff, 1, 0 }, 0, NONE, BIT },
        { { APF_MSR | APF_ON, 0, NONE, NONE, 0x1ff, 1, 0 }, 1, NONE, BIT },
        /* not used, as KVM sees it; the APIC is off; no RAM */
        { { APF_MSR | 1, 0, NONE, 14, 0x1ff, 1, 0 }, 1, 0, 0 },
        { { APF_MSR | 8, 0, NONE, 14, 0x1ff, 1, 0 }, 1, 0, 0 },
        { { APF_MSR | APF_ON, 0, NONE, NONE, 0xff, 0, 0 }, 0, 0, 0 },
        { { 0x555500 | APF_ON, 0, NONE, NONE, 0x1ff, 0, 0 }, 0, 0, 0 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        Apf after;

        apf(&cases[i].before, &after, &error);
        g_assert_no_error(error);
        g_assert_cmphex(after.flags, ==, cases[i].flags);
        g_assert_cmphex(after.token, ==, cases[i].token);
        g_assert_cmphex(after.irr, ==, cases[i].irr);
    }
}

/* The guest may have read the token and be about to clear it. */
static void
test_async_pf_again(void)
{
    static const Apf taken = { APF_MSR | APF_ON, 0, NONE, NONE, 0x1ff, 0, 5 };
    g_autoptr(GError) error = NULL;
    Apf after;

    g_assert_false(apf(&taken, &after, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
    g_assert_cmphex(after.token, ==, 5);
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
    } cases[] = {
        { 2900000, MOSE_KVM_TO_TCG, TRUE },  { 3100000, MOSE_KVM_TO_TCG, TRUE },
        { 2990000, MOSE_KVM_TO_TCG, FALSE }, { 2900000, MOSE_TCG_TO_TCG, FALSE },
        { 0, MOSE_KVM_TO_TCG, FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        static const guint64 tsc = 1000;
        RuleWorld world = { 0 };
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

/* --- hyperv-hypercall --- */

static gboolean
hypercall(RuleWorld *world, guint64 os_id, guint64 msr, guint64 efer)
{
    const RuleValue values[] = { { "env.efer", efer }, { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *cpu = rule_add_section(doc, "cpu", 0, values), *section;

    section = add_msr(cpu, "cpu/msr_hyperv_hypercall", "env.msr_hv_guest_os_id", os_id);
    mose_section_append(section, "env.msr_hv_hypercall", "uint64", 8, msr);
    return run_twice("hyperv-hypercall", MOSE_KVM_TO_TCG, world, doc);
}

static void
test_hyperv_hypercall(void)
{
    static const guint8 intel[] = { 0x0f, 0x01, 0xc1, 0xc3 };
    static const guint8 amd[] = { 0x0f, 0x01, 0xd9, 0xc3 };
    static const guint8 other[] = { 0x0d, 0, 0, 0, 0x80, 0x0f, 0x01, 0xc1, 0xc3 };
    static const guint8 in_64[] = { 0xeb, 2, 0x90, 0xc3, 0xb8, 2, 0, 0, 0, 0xc3, 0 };
    static const guint8 in_32[] = { 0xeb, 2, 0x90, 0xc3, 0x31, 0xd2,
                                    0xb8, 2, 0,    0,    0,    0xc3 };
    RuleWorld world = { 0 };

    put(&world, 0, intel, sizeof(intel));
    g_assert_false(hypercall(&world, 1, PAGE, 0x500));     /* not enabled */
    g_assert_false(hypercall(&world, 0, PAGE | 1, 0x500)); /* no guest OS */
    g_assert_false(hypercall(&world, 1, 0x123001, 0x500)); /* no RAM */
    g_assert_false(hypercall(&world, 1, G_MAXUINT64, 0x500));
    g_assert_cmpmem(world.page, sizeof(intel), intel, sizeof(intel));
    g_assert_true(hypercall(&world, 1, PAGE | 1, 0x500));
    g_assert_cmpmem(world.page, sizeof(in_64), in_64, sizeof(in_64));
    put(&world, 0, amd, sizeof(amd));
    g_assert_true(hypercall(&world, 1, PAGE | 1, 0x100));
    g_assert_cmpmem(world.page, sizeof(in_32), in_32, sizeof(in_32));
    put(&world, 0, other, sizeof(other));
    g_assert_false(hypercall(&world, 1, PAGE | 1, 0x500));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/steal-time", test_steal_time);
    g_test_add_func("/rules/async-pf", test_async_pf);
    g_test_add_func("/rules/async-pf/again", test_async_pf_again);
    g_test_add_func("/rules/guest-stopped", test_guest_stopped);
    g_test_add_func("/rules/pvclock-vcpus", test_vcpus);
    g_test_add_func("/rules/pvclock-frequency", test_frequency);
    g_test_add_func("/rules/pvclock-frequency/hostile", test_frequency_hostile);
    g_test_add_func("/rules/pvclock-frequency/refused", test_frequency_refused);
    g_test_add_func("/rules/wall-clock", test_wall_clock);
    g_test_add_func("/rules/hyperv-hypercall", test_hyperv_hypercall);
    return g_test_run();
}

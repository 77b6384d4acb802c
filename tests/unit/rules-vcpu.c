/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of what a vCPU is and where it is kept, on documents made for them. */
#include "lib/rule-world.h"

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
                         ==, UNINITIALIZED);
        g_assert_cmpuint(after(MOSE_TCG_TO_KVM, old, 0, TRUE, "cpu", "env.mp_state"),
                         ==, RUNNABLE);
        g_assert_cmpuint(after(MOSE_KVM_TO_TCG, old, 1, FALSE, "cpu_common", "halted"),
                         ==, 1);
        g_assert_cmpuint(after(MOSE_KVM_TO_TCG, old, 0, FALSE, "cpu_common", "halted"),
                         ==, old == UNINITIALIZED || old == INIT_RECEIVED);
    }
}

/* --- one field of each vCPU --- */

/* Rule @name in @direction makes @after of @before in @path, and no more of that; other
 * fields of the section are in @more. */
static void
check_field(const char *name, guint direction, const char *path, guint64 before,
            guint64 after, const RuleValue *more)
{
    g_autoptr(MoseDoc) doc = mose_doc_new();
    const RuleValue none[] = { { 0 } }, values[] = { { path, before }, { 0 } };
    MoseSection *cpu = rule_add_section(doc, "cpu", 0, more ? more : none);

    for (const RuleValue *value = values; value->path; value++)
        mose_section_append(cpu, value->path, "uint64", 8, value->value);
    g_assert_cmpint(rule_run_well(name, direction, NULL, doc), ==, before != after);
    g_assert_cmphex(rule_get(cpu, path), ==, after);
    g_assert_false(rule_run_well(name, direction, NULL, doc));
}

static void
test_hflags_protection(void)
{
    static const struct {
        guint64 cr4, before, after;
    } cases[] = {
        { 0, 5, 5 },
        { 1 << 21, 0, 1 << 23 },
        { 1 << 11, 1 << 28, 1 << 27 | 1 << 28 },
        { 1 << 21 | 1 << 11, 3, 1 << 23 | 1 << 27 | 3 },
        { 0, 1 << 23 | 1 << 27 | 1, 1 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const RuleValue cr4[] = { { "env.cr[4]", cases[i].cr4 }, { 0 } };

        check_field("hflags-protection", MOSE_KVM_TO_TCG, "env.hflags", cases[i].before,
                    cases[i].after, cr4);
    }
}

static void
test_a20(void)
{
    check_field("a20", MOSE_KVM_TO_TCG, "env.a20_mask", 0xffefffff, 0xffffffff, NULL);
    check_field("a20", MOSE_KVM_TO_TCG, "env.a20_mask", 0xffffffff, 0xffffffff, NULL);
}

static void
test_tr_busy(void)
{
    static const struct {
        guint64 available, busy;
    } cases[] = {
        { 0x8900, 0x8b00 }, /* 64 or 32 bits */
        { 0x8100, 0x8300 }, /* 16 bits */
        { 0, 0 },           /* none */
        { 0x0900, 0x0900 }, /* not present */
        { 0x9900, 0x9900 }, /* no system segment */
        { 0x8200, 0x8200 }, /* an LDT */
        { 0x8c00, 0x8c00 }, /* a gate */
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint64 available = cases[i].available, busy = cases[i].busy;

        check_field("tr-busy", MOSE_KVM_TO_TCG, "env.tr.flags", busy, available, NULL);
        check_field("tr-busy", MOSE_TCG_TO_TCG, "env.tr.flags", available, available,
                    NULL);
        check_field("tr-busy", MOSE_TCG_TO_KVM, "env.tr.flags", available, busy, NULL);
        check_field("tr-busy", MOSE_TCG_TO_KVM, "env.tr.flags", busy, busy, NULL);
    }
}

static void
test_xstate_bv(void)
{
    static const struct {
        guint64 xcr0, before, after;
    } cases[] = {
        { 1, 0, 3 }, { 7, 0, 7 }, { 7, 3, 7 }, { 3, 7, 7 }, { 0x2e7, 0, 0x207 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const RuleValue xcr0[] = { { "env.xcr0", cases[i].xcr0 }, { 0 } };

        check_field("xstate-bv", MOSE_TCG_TO_KVM, "env.xstate_bv", cases[i].before,
                    cases[i].after, xcr0);
    }
}

/* --- subsections --- */

static void
test_subsections(void)
{
    static const RuleValue none[] = { { 0 } };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *cpu = rule_add_section(doc, "cpu", 0, none), *poll;

    mose_section_append(mose_section_add_subsection(cpu, "cpu/pdptrs", 1), "env.pdptrs",
                        "uint64", 8, 0x1001);
    g_assert_true(rule_run_well("pdptrs", MOSE_TCG_TO_KVM, NULL, doc));
    g_assert_null(mose_section_subsection(cpu, "cpu/pdptrs"));
    g_assert_false(rule_run_well("pdptrs", MOSE_TCG_TO_KVM, NULL, doc));
    g_assert_true(rule_run_well("poll-control", MOSE_KVM_TO_TCG, NULL, doc));
    poll = mose_section_subsection(cpu, "cpu/poll_control_msr");
    g_assert_cmpuint(rule_get(poll, "env.poll_control_msr"), ==, 1);
    /* What the guest itself has asked for stays. */
    mose_section_set(poll, "env.poll_control_msr", 0, NULL);
    g_assert_false(rule_run_well("poll-control", MOSE_KVM_TO_TCG, NULL, doc));
    g_assert_cmpuint(rule_get(poll, "env.poll_control_msr"), ==, 0);
}

/* --- sipi --- */

/* A vCPU, and another that has nothing to do with it. */
static MoseDoc *
two_vcpus(guint64 state, guint64 request)
{
    const RuleValue cpu[] = { { "env.mp_state", state },
                              { "env.sipi_vector", 0 },
                              { 0 } };
    const RuleValue running[] = { { "env.mp_state", 0 },
                                  { "env.sipi_vector", 0 },
                                  { 0 } };
    const RuleValue common[] = { { "halted", 0 },
                                 { "interrupt_request", request },
                                 { 0 } };
    static const RuleValue none[] = { { 0 } };
    MoseDoc *doc = mose_doc_new();

    for (guint i = 0; i < 2; i++) {
        rule_add_section(doc, "cpu_common", i, common);
        rule_add_section(doc, "cpu", i, i ? cpu : running);
        rule_add_section(doc, "apic", i, none);
    }
    return doc;
}

static void
test_sipi_to_tcg(void)
{
    enum { RUNNABLE, UNINITIALIZED, INIT_RECEIVED, HALTED };

    for (guint state = RUNNABLE; state <= HALTED; state++) {
        g_autoptr(MoseDoc) doc = two_vcpus(state, 0);
        gboolean waits = state == UNINITIALIZED || state == INIT_RECEIVED;
        MoseSection *sipi;

        g_assert_cmpint(rule_run_well("sipi", MOSE_KVM_TO_TCG, NULL, doc), ==, waits);
        g_assert_false(rule_run_well("sipi", MOSE_TCG_TO_TCG, NULL, doc));
        sipi = mose_section_subsection(mose_doc_find(doc, "apic", 1), "apic_sipi");
        g_assert_cmpint(sipi != NULL, ==, waits);
        g_assert_cmpuint(rule_get(mose_doc_find(doc, "cpu_common", 1), "halted"), ==,
                         waits);
        if (waits)
            g_assert_cmpuint(rule_get(sipi, "wait_for_sipi"), ==, 1);
        g_assert_null(
            mose_section_subsection(mose_doc_find(doc, "apic", 0), "apic_sipi"));
    }
}

static void
test_sipi_to_kvm(void)
{
    g_autoptr(MoseDoc) waits = two_vcpus(1, 4), started = two_vcpus(1, 0x800 | 4);
    MoseDoc *both[] = { waits, started };

    for (guint i = 0; i < 2; i++) {
        MoseSection *cpu = mose_doc_find(both[i], "cpu", 1);
        MoseSection *sipi = mose_section_add_subsection(
            mose_doc_find(both[i], "apic", 1), "apic_sipi", 1);

        mose_section_append(sipi, "sipi_vector", "int32", 4, 8);
        mose_section_append(sipi, "wait_for_sipi", "int32", 4, 1);
        g_assert_true(rule_run_well("sipi", MOSE_TCG_TO_KVM, NULL, both[i]));
        g_assert_cmpuint(rule_get(cpu, "env.mp_state"), ==, i ? 4 : 2);
        g_assert_cmpuint(rule_get(cpu, "env.sipi_vector"), ==, i ? 8 : 0);
        g_assert_cmpuint(rule_get(sipi, "wait_for_sipi"), ==, 0);
        g_assert_cmpuint(
            rule_get(mose_doc_find(both[i], "cpu_common", 1), "interrupt_request"), ==,
            4);
        g_assert_cmpuint(rule_get(mose_doc_find(both[i], "cpu", 0), "env.mp_state"), ==,
                         0);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/mp-state", test_mp_state);
    g_test_add_func("/rules/hflags-protection", test_hflags_protection);
    g_test_add_func("/rules/a20", test_a20);
    g_test_add_func("/rules/tr-busy", test_tr_busy);
    g_test_add_func("/rules/xstate-bv", test_xstate_bv);
    g_test_add_func("/rules/subsections", test_subsections);
    g_test_add_func("/rules/sipi/to-tcg", test_sipi_to_tcg);
    g_test_add_func("/rules/sipi/to-kvm", test_sipi_to_kvm);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of what KVM shares with its guest in the guest's memory, but for clocks, on
 * documents and a page made for them. */
#include <string.h>

#include "lib/rule-world.h"
#include "util/error.h"

#define PAGE 0x8000u
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
    g_test_add_func("/rules/hyperv-hypercall", test_hyperv_hypercall);
    return g_test_run();
}

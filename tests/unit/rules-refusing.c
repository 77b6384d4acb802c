/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules that refuse by what the guest is doing, on documents made for them. */
#include <cpuid.h>
#include <string.h>

#include "lib/rule-world.h"
#include "util/error.h"

/* A vCPU whose counters are enabled by @global, the fixed ones by @fixed, the last of
 * the others by @evtsel. */
static MoseDoc *
with_counters(guint64 global, guint64 fixed, guint64 evtsel)
{
    MoseDoc *doc = mose_doc_new();
    MoseSection *cpu = rule_add_section(doc, "cpu", 0, (RuleValue[]){ { 0 } });
    MoseSection *pmu = mose_section_add_subsection(cpu, "cpu/msr_architectural_pmu", 1);

    mose_section_append(pmu, "env.msr_fixed_ctr_ctrl", "uint64", 8, fixed);
    mose_section_append(pmu, "env.msr_global_ctrl", "uint64", 8, global);
    for (int i = 0; i < 18; i++) {
        g_autofree char *name = g_strdup_printf("env.msr_gp_evtsel[%d]", i);

        mose_section_append(pmu, name, "uint64", 8, i == 17 ? evtsel : 0x3c);
    }
    return doc;
}

static void
test_pmu(void)
{
    static const struct {
        guint64 global, fixed, evtsel;
        gboolean refused;
    } cases[] = {
        { 0, 0, 0, FALSE },
        { 0, 0xb, 0x43003c, FALSE },       /* set up, and not enabled */
        { 0xff, 0, 0x3c, FALSE },          /* the other way round */
        { 1ull << 32, 0xb, 0, TRUE },      /* a fixed one */
        { 1ull << 17, 0, 0x43003c, TRUE }, /* one of the others */
        { G_MAXUINT64, ~0ull, ~0ull, TRUE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MoseDoc) doc =
            with_counters(cases[i].global, cases[i].fixed, cases[i].evtsel);
        g_autoptr(GError) error = NULL;

        g_assert_false(rule_run("pmu", MOSE_KVM_TO_TCG, NULL, doc, &error));
        if (!cases[i].refused) {
            g_assert_no_error(error);
            continue;
        }
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED);
        g_assert_nonnull(strstr(error->message, "pmu=off"));
    }
}

static void
test_no_pmu(void)
{
    g_autoptr(MoseDoc) doc = mose_doc_new();

    rule_add_section(doc, "cpu", 0, (RuleValue[]){ { 0 } });
    g_assert_false(rule_run_well("pmu", MOSE_KVM_TO_TCG, NULL, doc));
}

/* By this host's processor. */
static void
test_xsave_layout(void)
{
    unsigned int size, offset = 0, flags, unused;
    gboolean alike =
        __get_cpuid_count(0xd, 9, &size, &offset, &flags, &unused) && offset == 0xa80;

    for (int pkru = 0; pkru < 2; pkru++) {
        const RuleValue cpu[] = { { "env.xcr0", pkru ? 0x207 : 7 }, { 0 } };
        g_autoptr(MoseDoc) doc = mose_doc_new();
        g_autoptr(GError) error = NULL;

        rule_add_section(doc, "cpu", 0, cpu);
        g_assert_false(rule_run("xsave-layout", MOSE_TCG_TO_KVM, NULL, doc, &error));
        if (pkru && !alike)
            g_assert_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED);
        else
            g_assert_no_error(error);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/pmu", test_pmu);
    g_test_add_func("/rules/pmu/none", test_no_pmu);
    g_test_add_func("/rules/xsave-layout", test_xsave_layout);
    return g_test_run();
}

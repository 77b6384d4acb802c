/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU features that the guest has seen and the destination cannot execute.
 *
 * The stream carries no CPUID, and TCG only warns about what it leaves out
 * (target/i386/cpu.c:x86_cpu_filter_features), so the guest would meet #UD in
 * code it chose long ago (ifunc, alternatives, JIT). The portable CPU of `mose
 * run` has nothing of the kind. Features that another rule makes up for are its own.
 */
#include "stream/rules/list.h"

/* Borrowed names, ended by NULL. */
static GPtrArray *
missing(const MoseFacts *facts)
{
    GPtrArray *names = g_ptr_array_new();

    for (const char *const *name = facts->lost_features; name && *name; name++)
        if (!mose_rules_make_up_for(facts->direction, *name))
            g_ptr_array_add(names, (gpointer)*name);
    g_ptr_array_add(names, NULL);
    return names;
}

static gboolean
detect(const MoseFacts *facts)
{
    g_autoptr(GPtrArray) names = missing(facts);

    return names->len > 1;
}

static char *
refuse(const MoseFacts *facts)
{
    g_autoptr(GPtrArray) names = missing(facts);
    g_autofree char *list = g_strjoinv(", ", (char **)names->pdata);

    return g_strdup_printf(
        "the guest's CPU has features that the destination lacks: %s; "
        "start the guest with `mose run --cpu portable`",
        list);
}

const MoseRule mose_rule_cpu_features = {
    .name = "cpu-features",
    .rule_class = MOSE_HW_EQUIVALENCE,
    .directions = MOSE_ANY_WAY,
    .title = "CPU features that one accelerator has and the other has not",
    .effect = "#UD in code that the guest chose by CPUID when it started",
    .fix = "refused before anything moves; the portable CPU avoids it",
    .source = "QEMU target/i386/cpu.c:x86_cpu_filter_features, TCG_*_FEATURES",
    .evidence = 'b',
    .test = "vm/refusals: cpu-features",
    .detect = detect,
    .refuse = refuse,
};

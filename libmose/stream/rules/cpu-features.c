/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU features that the guest has seen and the destination cannot execute.
 *
 * The stream carries no CPUID, and TCG only warns about what it leaves out
 * (target/i386/cpu.c:x86_cpu_filter_features), so the guest would meet #UD in
 * code it chose long ago (ifunc, alternatives, JIT). The portable CPU of `mose
 * run` has nothing of the kind.
 */
#include "stream/rules/list.h"

static gboolean
detect(const MoseFacts *facts)
{
    return facts->lost_features && *facts->lost_features;
}

static char *
refuse(const MoseFacts *facts)
{
    g_autofree char *list = g_strjoinv(", ", (char **)facts->lost_features);

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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Performance counters that the guest uses.
 *
 * TCG has none: CPUID says nothing of them, their MSRs are ignored, no interrupt comes,
 * and rdpmc raises #UD (target/i386/tcg/misc_helper.c:helper_rdpmc). Linux reads
 * counters that it has set up by rdpmc in the kernel, and would oops. A guest that may
 * have them
 * (-cpu host, pmu=on) and does not use any is none the worse.
 */
#include "stream/rules/list.h"

#include "util/error.h"

#define SUBSECTION "cpu/msr_architectural_pmu"
/* target/i386/cpu.h: MAX_GP_COUNTERS; IA32_PERFEVTSELx (SDM 3B, 20.2.1.1) */
#define N_COUNTERS 18
#define EVTSEL_ENABLE (1u << 22)

static gboolean
is_counting(MoseSection *pmu, gboolean *ret, GError **error)
{
    guint64 value, global;

    if (!mose_section_get(pmu, "env.msr_global_ctrl", &global, error) ||
        !mose_section_get(pmu, "env.msr_fixed_ctr_ctrl", &value, error))
        return FALSE;
    *ret = global && value;
    for (int i = 0; i < N_COUNTERS && global && !*ret; i++) {
        g_autofree char *path = g_strdup_printf("env.msr_gp_evtsel[%d]", i);

        if (!mose_section_get(pmu, path, &value, error))
            return FALSE;
        *ret = (value & EVTSEL_ENABLE) != 0;
    }
    return TRUE;
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    MoseSection *pmu = mose_section_subsection(section, SUBSECTION);
    gboolean counting;

    if (!pmu)
        return TRUE;
    if (!is_counting(pmu, &counting, error))
        return FALSE;
    if (!counting)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "the guest counts events of vCPU %u, which the emulator cannot: end "
                "its perf, and set its kernel.nmi_watchdog to 0; or start it with "
                "-cpu ...,pmu=off",
                cpu);
    return FALSE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, NULL, error);
}

const MoseRule mose_rule_pmu = {
    .name = "pmu",
    .rule_class = MOSE_HW_EQUIVALENCE,
    .directions = MOSE_TO_TCG,
    .title = "performance counters, of which TCG has none",
    .effect = "rdpmc raises #UD: a Linux that counts events (its NMI watchdog, perf) "
              "oopses",
    .fix = "refused while a counter is enabled; the portable CPU has none",
    .source = "QEMU target/i386/tcg/misc_helper.c:helper_rdpmc, "
              "target/i386/machine.c:vmstate_msr_architectural_pmu",
    .evidence = 'b',
    .test = "vm/refusals: pmu",
    .detect = mose_rule_from_kvm,
    .refuses = TRUE,
    .rewrite = rewrite,
};

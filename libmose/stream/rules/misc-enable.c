/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IA32_MISC_ENABLE, which is sent only when it is not 1.
 *
 * QEMU calls 1 its default (target/i386/machine.c:misc_enable_needed), and yet a CPU
 * that has MONITOR starts with bit 18 set as well
 * (target/i386/cpu.c:x86_cpu_reset_hold). Where the destination's CPU has MONITOR and
 * the source's has not, as TCG's `max` and a KVM's, the guest's value is not sent, and
 * becomes the other one.
 */
#include "stream/rules/list.h"

#define SUBSECTION "cpu/msr_ia32_misc_enable"
#define NOT_SENT 1u

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    gboolean *changed = data;

    if (mose_section_subsection(section, SUBSECTION))
        return TRUE;
    *changed = TRUE;
    mose_section_append(mose_section_add_subsection(section, SUBSECTION, 1),
                        "env.msr_ia32_misc_enable", "uint64", 8, NOT_SENT);
    return TRUE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_misc_enable = {
    .name = "misc-enable",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "IA32_MISC_ENABLE is not sent where it is 1, which another CPU does not "
             "start with",
    .effect = "the guest's MSR changes: it says that there is MONITOR",
    .fix = "subsection cpu/msr_ia32_misc_enable added",
    .source = "QEMU target/i386/machine.c:misc_enable_needed, target/i386/cpu.c:"
              "x86_cpu_reset_hold",
    .evidence = 'a',
    .test = "vm/litmus: without/misc-enable",
    .rewrite = rewrite,
};

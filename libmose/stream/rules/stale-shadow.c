/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An interrupt shadow (interrupt-shadow.c) that TCG has left in hflags.
 *
 * KVM neither has it nor takes it away: its side copies the bit (target/i386/cpu.c:
 * x86_update_hflags, HFLAG_COPY_MASK). Back in TCG a vCPU that sleeps would, with that
 * bit, take no interrupt as a reason to wake up (x86_cpu_has_work), for ever. TCG
 * itself takes it away when it puts a vCPU to sleep
 * (target/i386/tcg/helper-tcg.h:do_end_ instruction); while the vCPU runs, one
 * instruction ends it.
 */
#include "stream/rules/list.h"

/* target/i386/cpu.h: HF_INHIBIT_IRQ_MASK */
#define HF_INHIBIT_IRQ (1u << 3)

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    guint64 halted;

    if (!common)
        return TRUE;
    if (!mose_section_get(common, "halted", &halted, error))
        return FALSE;
    return !halted ||
           mose_rule_change_bits(section, "env.hflags", HF_INHIBIT_IRQ, 0, data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_stale_shadow = {
    .name = "stale-shadow",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "an interrupt shadow that TCG left in hflags, which KVM copies for ever",
    .effect = "a vCPU that sleeps when it comes back into the emulator is woken by no "
              "interrupt",
    .fix = "bit 3 of env.hflags cleared for a vCPU that is halted",
    .source = "QEMU target/i386/cpu.c:x86_update_hflags, x86_cpu_pending_interrupt, "
              "target/i386/tcg/helper-tcg.h",
    .evidence = 'b',
    .test = "vm/rules-events: stale-shadow",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

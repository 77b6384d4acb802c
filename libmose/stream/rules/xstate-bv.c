/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which of the FPU's, SSE's and AVX's registers are in use.
 *
 * KVM keeps it as XSTATE_BV of an XSAVE area; registers of a part whose bit is clear
 * are, when KVM gets such an area, as after reset (SDM 1, 13.8.1; QEMU
 * target/i386/kvm/kvm.c:kvm_put_xsave, Linux arch/x86/kernel/fpu/xstate.c:
 * copy_uabi_to_xstate). TCG has no such thing: env.xstate_bv stays as KVM last wrote
 * it, or 0 where the guest was started in the emulator, and nothing in target/i386/tcg
 * changes it. Registers that the guest has used only there would be lost.
 *
 * All parts that TCG has and that XCR0 lets be used are in use
 * (target/i386/tcg/fpu_helper.c:get_xinuse). x87 and SSE need no XCR0.
 */
#include "stream/rules/list.h"

#define X87_SSE 3u
/* AVX, the two of MPX, PKRU: SDM 1, 13.1. */
#define OTHERS_OF_TCG 0x21cu

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    guint64 xcr0;

    return mose_section_get(section, "env.xcr0", &xcr0, error) &&
           mose_rule_change_bits(section, "env.xstate_bv", 0,
                                 X87_SSE | (xcr0 & OTHERS_OF_TCG), data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_xstate_bv = {
    .name = "xstate-bv",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TCG_TO_KVM,
    .title = "which registers of FPU, SSE and AVX are in use: TCG does not keep it",
    .effect = "registers that the guest has begun to use in the emulator are as after "
              "reset under KVM: wrong results, without a word",
    .fix = "env.xstate_bv gets x87, SSE and what XCR0 has of what TCG knows",
    .source = "QEMU target/i386/xsave_helper.c:x86_cpu_xsave_all_areas, "
              "target/i386/cpu.c:x86_cpu_reset_hold, target/i386/tcg/fpu_helper.c:"
              "get_xinuse",
    .evidence = 'a',
    .test = "vm/rules-kvm: xstate-bv",
    .rewrite = rewrite,
};

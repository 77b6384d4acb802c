/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bit of TCG's hflags that stands for CR4.OSXSAVE and XCR0.
 *
 * KVM's side computes hflags without it (target/i386/cpu.c:x86_update_hflags), and
 * a load does not make it again (target/i386/machine.c:cpu_post_load); TCG does so
 * only when the guest next writes CR4 or XCR0. Until then VEX instructions raise
 * #UD. Bits of protection that are lost in the same way: hflags-protection.c.
 */
#include "stream/rules/list.h"

#define CR4_OSXSAVE (1u << 18)
#define XCR0_SSE_AVX 6u

/* target/i386/cpu.h: HF_AVX_EN_SHIFT */
#define HF_AVX_EN (1u << 28)

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    guint64 cr4, xcr0;
    gboolean avx;

    if (!mose_section_get(section, "env.cr[4]", &cr4, error) ||
        !mose_section_get(section, "env.xcr0", &xcr0, error))
        return FALSE;
    avx = (cr4 & CR4_OSXSAVE) && (xcr0 & XCR0_SSE_AVX) == XCR0_SSE_AVX;
    return mose_rule_change_bits(section, "env.hflags", HF_AVX_EN, avx ? HF_AVX_EN : 0,
                                 data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_hflags = {
    .name = "hflags",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "the AVX bit of hflags is not sent by KVM nor made by a load",
    .effect = "instructions with a VEX prefix raise #UD: programs end with SIGILL",
    .fix = "env.hflags bit 28 made from CR4 and XCR0",
    .source = "QEMU target/i386/cpu.c:x86_update_hflags, target/i386/machine.c:"
              "cpu_post_load, target/i386/helper.c:cpu_sync_avx_hflag",
    .evidence = 'b',
    .test = "vm/rules: hflags",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

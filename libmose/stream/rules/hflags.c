/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bits of TCG's hflags that stand for CR4 and XCR0.
 *
 * KVM's side computes hflags without them (target/i386/cpu.c:x86_update_hflags),
 * and a load does not make them again (target/i386/machine.c:cpu_post_load); TCG
 * does so only when the guest next writes CR4. Until then VEX instructions raise
 * #UD, and SMAP and UMIP are not enforced.
 */
#include "stream/rules/list.h"

#define CR4_UMIP (1u << 11)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMAP (1u << 21)
#define XCR0_SSE_AVX 6u

/* target/i386/cpu.h: HF_*_SHIFT */
#define HF_SMAP (1u << 23)
#define HF_UMIP (1u << 27)
#define HF_AVX_EN (1u << 28)

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    gboolean *changed = data;
    guint64 hflags, cr4, xcr0, wanted;

    if (!mose_section_get(section, "env.hflags", &hflags, error) ||
        !mose_section_get(section, "env.cr[4]", &cr4, error) ||
        !mose_section_get(section, "env.xcr0", &xcr0, error))
        return FALSE;
    wanted = hflags & ~(guint64)(HF_SMAP | HF_UMIP | HF_AVX_EN);
    if (cr4 & CR4_SMAP)
        wanted |= HF_SMAP;
    if (cr4 & CR4_UMIP)
        wanted |= HF_UMIP;
    if ((cr4 & CR4_OSXSAVE) && (xcr0 & XCR0_SSE_AVX) == XCR0_SSE_AVX)
        wanted |= HF_AVX_EN;
    if (wanted == hflags)
        return TRUE;
    *changed = TRUE;
    return mose_section_set(section, "env.hflags", wanted, error);
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
    .title = "AVX, SMAP and UMIP bits of hflags are not sent by KVM nor made by a load",
    .effect = "VEX instructions raise #UD; SMAP and UMIP are not enforced",
    .fix = "env.hflags bits 23, 27 and 28 made from CR4 and XCR0",
    .source = "QEMU target/i386/cpu.c:x86_update_hflags, target/i386/machine.c:"
              "cpu_post_load, target/i386/helper.c:cpu_x86_update_cr4",
    .evidence = 'b',
    .test = "vm/rules: hflags",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bits of TCG's hflags that stand for CR4's SMAP and UMIP.
 *
 * TCG looks for them in hflags, not in CR4 (target/i386/cpu.c:x86_cpu_mmu_index,
 * target/i386/tcg/translate.c: sgdt and its like), and makes them when the guest
 * writes CR4. KVM's side computes hflags without them (target/i386/cpu.c:
 * x86_update_hflags), and a load does not make them (target/i386/machine.c:
 * cpu_post_load): the guest believes in a protection that it does not have.
 */
#include "stream/rules/list.h"

#define CR4_UMIP (1u << 11)
#define CR4_SMAP (1u << 21)

/* target/i386/cpu.h: HF_SMAP_SHIFT, HF_UMIP_SHIFT */
#define HF_SMAP (1u << 23)
#define HF_UMIP (1u << 27)

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    guint64 cr4, wanted = 0;

    if (!mose_section_get(section, "env.cr[4]", &cr4, error))
        return FALSE;
    if (cr4 & CR4_SMAP)
        wanted |= HF_SMAP;
    if (cr4 & CR4_UMIP)
        wanted |= HF_UMIP;
    return mose_rule_change_bits(section, "env.hflags", HF_SMAP | HF_UMIP, wanted, data,
                                 error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_hflags_protection = {
    .name = "hflags-protection",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "the SMAP and UMIP bits of hflags are not sent by KVM nor made by a load",
    .effect = "kernel code that strays into user memory does not fault, user code may "
              "read where the kernel's tables are",
    .fix = "env.hflags bits 23 and 27 made from CR4",
    .source = "QEMU target/i386/cpu.c:x86_update_hflags, target/i386/machine.c:"
              "cpu_post_load, target/i386/helper.c:cpu_x86_update_cr4",
    .evidence = 'b',
    .test = "vm/rules-cpu: hflags-protection",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

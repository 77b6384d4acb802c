/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The masks of variable MTRRs above the physical address.
 *
 * QEMU under KVM sends them with all bits set from the guest's physical address width
 * up to bit 51 (property fill-mtrr-mask), for a destination whose guest has a wider
 * one; KVM's side clears them again when it loads (target/i386/kvm/kvm.c:kvm_get_msrs,
 * kvm_put_msrs), TCG's does not. Its guests have 40 bits (target/i386/cpu.c:
 * x86_cpu_realizefn: TCG_PHYS_ADDR_BITS), above which the registers' bits are reserved
 * (SDM 3A, 12.11.2.3): one that compares them, or writes them back, meets a change.
 */
#include "stream/rules/list.h"

enum { MTRRS = 8 };
#define TCG_PHYS_MASK ((G_GUINT64_CONSTANT(1) << 40) - 1)

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    gboolean *changed = data;

    for (guint i = 0; i < MTRRS; i++) {
        g_autofree char *path = g_strdup_printf("env.mtrr_var[%u].mask", i);
        guint64 mask;

        if (!mose_section_get(section, path, &mask, error))
            return FALSE;
        if (!(mask & ~TCG_PHYS_MASK))
            continue;
        *changed = TRUE;
        if (!mose_section_set(section, path, mask & TCG_PHYS_MASK, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_mtrr_mask = {
    .name = "mtrr-mask",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "masks of MTRRs are sent by KVM with bits above the physical address",
    .effect = "the guest finds reserved bits set in its MTRRs",
    .fix = "env.mtrr_var[].mask without the bits from 40 on",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_get_msrs (fill_mtrr_mask), "
              "target/i386/cpu.c:x86_cpu_realizefn",
    .evidence = 'a',
    .test = "vm/litmus: without/mtrr-mask",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page directory pointers of a guest with PAE in 32-bit mode.
 *
 * KVM's side sends those that the processor has loaded (target/i386/kvm/kvm.c:
 * kvm_get_sregs2). TCG reads them in memory at each walk and never changes the copy,
 * but passes it on (target/i386/machine.c:vmstate_pdptrs). Back under KVM the guest
 * would run on page tables of long ago; one that has gone on to 64-bit mode is refused
 * (KVM_SET_SREGS2, Linux arch/x86/kvm/x86.c:__set_sregs2: EINVAL), and QEMU ends.
 *
 * Without the copy KVM reads them where CR3 points to.
 */
#include "stream/rules/list.h"

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    gboolean *changed = data;

    if (!mose_section_subsection(section, "cpu/pdptrs"))
        return TRUE;
    *changed = TRUE;
    mose_section_drop_subsection(section, "cpu/pdptrs");
    return TRUE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_pdptrs = {
    .name = "pdptrs",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TCG_TO_KVM,
    .title =
        "page directory pointers of a 32-bit guest with PAE: TCG passes on old ones",
    .effect =
        "back under KVM the guest runs on page tables of long ago, or KVM does not "
        "take its state",
    .fix = "subsection cpu/pdptrs dropped: KVM reads them in the guest's memory",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_get_sregs2, kvm_put_sregs2, "
              "target/i386/machine.c:vmstate_pdptrs; Linux "
              "arch/x86/kvm/x86.c:__set_sregs2",
    .evidence = 'a',
    .test = "vm/rules-kvm: pdptrs",
    .rewrite = rewrite,
};

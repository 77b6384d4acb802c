/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The level of the PIT's line.
 *
 * TCG's PIT holds its line as counter 0's output is: high half of the time in mode 3,
 * the one after reset (hw/timer/i8254.c:pit_irq_timer_update). KVM's raises and lowers
 * it at each tick (Linux arch/x86/kvm/i8254.c:pit_do_work). A PIC that has last seen
 * the line high takes KVM's first tick for no edge; as nobody acknowledges it, KVM
 * makes no other: it waits for the acknowledgement of each (kvm_pit: reinject).
 *
 * What the PIC remembers of the line is made "low".
 */
#include "stream/rules/irq.h"
#include "stream/rules/list.h"

#define PIT_LINE 1u

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *pic = mose_irq_pic(doc, 0);
    guint64 level_triggered;

    if (!pic)
        return TRUE;
    if (!mose_section_get(pic, "elcr", &level_triggered, error))
        return FALSE;
    return (level_triggered & PIT_LINE) ||
           mose_rule_change_bits(pic, "last_irr", PIT_LINE, 0, ret_changed, error);
}

const MoseRule mose_rule_pit_edge = {
    .name = "pit-edge",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TCG_TO_KVM,
    .title = "the PIT's line keeps a level (TCG) or is pulsed (KVM)",
    .effect = "under KVM the PIT's first tick is no edge to the PIC, is never "
              "acknowledged, and so is the last: the guest's clock stands still",
    .fix = "bit 0 of the first i8259's last_irr cleared",
    .source = "QEMU hw/timer/i8254.c:pit_irq_timer_update; Linux "
              "arch/x86/kvm/i8254.c:pit_do_work, arch/x86/kvm/i8259.c:pic_set_irq1",
    .evidence = 'a',
    .test = "vm/rules-kvm: pit-edge",
    .rewrite = rewrite,
};

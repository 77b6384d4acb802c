/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IOAPIC's version, which is not in the stream.
 *
 * KVM's says 0x11 (Linux arch/x86/kvm/ioapic.h: IOAPIC_VERSION_ID), QEMU's own 0x20,
 * with which comes an EOI register (hw/intc/ioapic.c:ioapic_mem_write). A guest asks
 * when it starts: under KVM it would write to a register that is not there, and the
 * level of an interrupt that it ends in this way stays unacknowledged.
 *
 * There is nothing to rewrite: MOSE starts each QEMU with the version that KVM has
 * (qemu/command.c: -global ioapic.version).
 */
#include "stream/rules/list.h"

static gboolean
detect(const MoseFacts *facts)
{
    return (facts->direction & (MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM)) != 0;
}

const MoseRule mose_rule_ioapic_version = {
    .name = MOSE_RULE_IOAPIC_VERSION,
    .rule_class = MOSE_HW_EQUIVALENCE,
    .directions = MOSE_ANY_WAY,
    .title = "the IOAPIC's version is 0x11 (KVM) or 0x20, with an EOI register (TCG)",
    .effect = "a guest that has learned of the register in the emulator writes to it "
              "under KVM, in vain: that interrupt does not come again",
    .fix = "each QEMU is started with -global ioapic.version=0x11",
    .source = "QEMU hw/intc/ioapic.c:ioapic_mem_write, hw/i386/kvm/ioapic.c:"
              "kvm_ioapic_realize; Linux arch/x86/kvm/ioapic.h",
    .evidence = 'b',
    .test = "vm/rules-irq: ioapic-version",
    .detect = detect,
};

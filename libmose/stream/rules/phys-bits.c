/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The width of physical addresses.
 *
 * TCG has 40 bits (target/i386/tcg/helper-tcg.h: TCG_PHYS_ADDR_BITS), KVM what -cpu
 * says, the host's with host-phys-bits. Firmware puts large PCI windows at the top of
 * it, and an entry of a page table with a bit above is a reserved-bit fault. QEMU says
 * which width a CPU has (property phys-bits), and compares nothing.
 */
#include "stream/rules/list.h"

static gboolean
detect(const MoseFacts *facts)
{
    return facts->destination_phys_bits > 0 &&
           facts->source_phys_bits > facts->destination_phys_bits;
}

static char *
refuse(const MoseFacts *facts)
{
    return g_strdup_printf("the guest's physical addresses have %u bits, and %u on the "
                           "other side: start it with -cpu ...,phys-bits=%u",
                           facts->source_phys_bits, facts->destination_phys_bits,
                           facts->destination_phys_bits);
}

const MoseRule mose_rule_phys_bits = {
    .name = "phys-bits",
    .rule_class = MOSE_HW_EQUIVALENCE,
    .directions = MOSE_ANY_WAY,
    .title = "physical addresses have 40 bits under TCG, and may have more under KVM",
    .effect = "reserved-bit page faults at addresses that the guest used before",
    .fix = "refused before anything moves",
    .source = "QEMU target/i386/tcg/helper-tcg.h, target/i386/cpu.c:x86_cpu_realizefn",
    .evidence = 'b',
    .test = "vm/refusals: phys-bits",
    .detect = detect,
    .refuse = refuse,
};

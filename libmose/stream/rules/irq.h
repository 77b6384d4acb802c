/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What waits in the interrupt controllers of a stream, and whether a vCPU would take
 * it. KVM asks them at each entry. TCG asks when cpu_common/interrupt_request has
 * CPU_INTERRUPT_HARD, which a load of the controllers does not set.
 */
#pragma once

#include "stream/doc.h"

/* target/i386/cpu.h */
#define MOSE_CPU_INTERRUPT_HARD 2u

/* The PIC's input that the second one's output goes to. */
#define MOSE_PIC_CASCADE (1u << 2)

/* Whether the local APIC @apic has an interrupt above its priority (SDM 3A, 11.8.3.1;
 * QEMU hw/intc/apic.c:apic_irq_pending). */
gboolean mose_irq_apic_pending(MoseSection *apic, gboolean *ret, GError **error);

/* The first (0) or second (1) PIC, or NULL. */
MoseSection *mose_irq_pic(const MoseDoc *doc, guint number);

/* Whether the PIC's output is raised, and @cpu takes it: by LINT0 as ExtINT, or with
 * its APIC switched off (hw/intc/apic.c:apic_accept_pic_intr). */
gboolean mose_irq_pic_pending(const MoseDoc *doc, guint cpu, gboolean *ret,
                              GError **error);

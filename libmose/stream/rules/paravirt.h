/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What KVM shares with its guest in the guest's memory: where it is and how it is read
 * and changed. Used by the rules that set right what nobody writes any more in the
 * emulator.
 *
 * The guest names these places by MSRs (Linux Documentation/virt/kvm/x86/msr.rst) and
 * may have put anything there, or may have named what is no RAM: then it is left alone.
 */
#pragma once

#include "stream/rules/rule.h"

/* struct pvclock_vcpu_time_info, Linux arch/x86/include/asm/pvclock-abi.h: the clock is
 * system_time + ((tsc - tsc_timestamp) << tsc_shift) * tsc_to_system_mul >> 32, in ns.
 */
typedef struct {
    guint32 version; /* odd while it is being written; changes with each write */
    guint32 pad0;
    guint64 tsc_timestamp;
    guint64 system_time;
    guint32 tsc_to_system_mul;
    gint8 tsc_shift;
    guint8 flags;
    guint8 pad[2];
} __attribute__((packed)) MosePvClock;

#define MOSE_PVCLOCK_GUEST_STOPPED (1u << 1)

/* The clock of the vCPU whose section "cpu" is @cpu; FALSE if its guest uses none.
 * Writing makes the version a new one. */
gboolean mose_pvclock_read(const MoseRuleContext *context, const MoseSection *cpu,
                           MosePvClock *ret);
gboolean mose_pvclock_write(const MoseRuleContext *context, const MoseSection *cpu,
                            const MosePvClock *clock);

/* What it shows at TSC value @tsc, in ns; FALSE if it shows nothing that makes sense.
 */
gboolean mose_pvclock_at(const MosePvClock *clock, guint64 tsc, guint64 *ret);

/* Have it show at @to_tsc what it shows at @tsc, and go on from there. FALSE as above,
 * and *@clock as it was. */
gboolean mose_pvclock_rebase(MosePvClock *clock, guint64 tsc, guint64 to_tsc);

/* The TSC frequency that it is made for; 0 if none. Make one that was rebased to the
 * present TSC go on at @khz (not 0); FALSE if that cannot be expressed. */
guint64 mose_pvclock_khz(const MosePvClock *clock);
gboolean mose_pvclock_scale(MosePvClock *clock, guint64 khz);

/* The field @field of @cpu's subsection @subsection; 0 where it is not sent, which is
 * where it is 0 (QEMU target/i386/machine.c: *_msr_needed). */
guint64 mose_paravirt_msr(MoseSection *cpu, const char *subsection, const char *field);

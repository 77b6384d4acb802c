/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All registers of a guest in one instant, or as near to that as can be had without
 * taking it from its owner.
 */
#pragma once

#include "guest/guest.h"

/*
 * The text of `info registers -a`. A guest that stands still is asked as it is. So is
 * one under KVM, which tells each vCPU's registers of one moment without a stop of the
 * machine (accel/kvm/kvm-all.c:kvm_cpu_synchronize_state). Under TCG the guest is
 * stopped for as long as the answer takes, which needs its lock: BUSY where another
 * command has it. If this process dies in between, guardians let it run again. Call it
 * while this process has one thread. @qmp is a monitor of the guest's. Free with
 * g_free().
 */
char *mose_exact_registers(MoseGuest *guest, MoseQmp *qmp, GError **error);

/*
 * The same, but it is stopped under KVM, too, and @func is told of the text while it
 * stands still. If @func has been told, there is a text or an error about letting the
 * guest run again.
 */
typedef void (*MoseExactFunc)(const char *registers, gpointer data);
char *mose_exact_still(MoseGuest *guest, MoseQmp *qmp, MoseExactFunc func,
                       gpointer data, GError **error);

/* How long the last such stop took, in microseconds; 0: there was none. */
gint64 mose_exact_stop_us(void);

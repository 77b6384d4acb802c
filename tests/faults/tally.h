/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all trials have shown, in one table. */
#pragma once

#include "faults/trial.h"

/* One more trial has ended well: the guest ran @took_us after the fault, or was gone
 * with the QEMU that had it. */
void tally_add(const Trial *trial, gboolean gone, gint64 took_us);

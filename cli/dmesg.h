/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of `mose dmesg` share. */
#pragma once

#include "cli/look.h"
#include "vmi/linux/printk.h"

/* Print one record, if the options ask for it; with --json as an object in a line. */
void mose_dmesg_show(const MosePrintkRecord *record);

/* Print the records of guest @name from number @from on, and each new one, until
 * Ctrl-C (DONE) or the guest's end. */
int mose_dmesg_follow(const char *name, guint64 from);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `mose host --report FILE`. */
#pragma once

#include <glib.h>

/* Make the report of this host's KVM in @file, "-" for standard output; the command's
 * exit status. */
int mose_host_report(const char *file, gboolean kvm_fit);

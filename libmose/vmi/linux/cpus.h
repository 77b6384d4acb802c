/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's processors, as its kernel knows them. */
#pragma once

#include "vmi/linux/linux.h"

/* The CPUs in the mask at symbol @name ("__cpu_online_mask", "__cpu_possible_mask",
 * ...): a byte for each of kernel->n_cpus, 1 or 0; free with g_free(). */
guint8 *mose_cpus_mask(MoseLinux *kernel, const char *name, GError **error);

/* Where @cpu's copies of per-CPU variables are, seen from their symbols. */
gboolean mose_linux_per_cpu_offset(const MoseLinux *kernel, guint cpu, guint64 *ret,
                                   GError **error);

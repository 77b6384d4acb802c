/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel knows of its processors. See cpus.h. */
#include "vmi/linux/cpus.h"

/* Linux include/linux/cpumask.h: a bitmap of NR_CPUS bits, which nr_cpu_ids is not more
 * than. */
guint8 *
mose_cpus_mask(MoseLinux *kernel, const char *name, GError **error)
{
    g_autofree guint8 *bits = g_malloc0((kernel->n_cpus + 7) / 8);
    guint8 *ret;
    guint64 at;

    if (!mose_linux_symbol(kernel, name, &at, error) ||
        !mose_space_read(kernel->space, at, bits, (kernel->n_cpus + 7) / 8, NULL,
                         error))
        return NULL;
    ret = g_malloc(kernel->n_cpus);
    for (guint i = 0; i < kernel->n_cpus; i++)
        ret[i] = bits[i / 8] >> i % 8 & 1;
    return ret;
}

/* Linux arch/x86/kernel/setup_percpu.c */
gboolean
mose_linux_per_cpu_offset(const MoseLinux *kernel, guint cpu, guint64 *ret,
                          GError **error)
{
    guint64 offsets;

    return mose_linux_symbol(kernel, "__per_cpu_offset", &offsets, error) &&
           mose_space_read_number(kernel->space, offsets + (guint64)cpu * 8, 8, ret,
                                  error);
}

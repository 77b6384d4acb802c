/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of irqs.h share; nobody else includes it. */
#pragma once

#include "vmi/linux/irqs.h"

MoseIrq *mose_irq_new(MoseIrqKind kind, const char *name, guint n_counts);
void mose_irq_free(MoseIrq *irq);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseIrq, mose_irq_free)

/* The counter of @size bytes at per-CPU address @at (a symbol's, or one of
 * alloc_percpu()), of each CPU. */
gboolean mose_irqs_counts(MoseLinux *kernel, const MoseIrqs *irqs, guint64 at,
                          gsize size, MoseIrq *irq, GError **error);

/* Text of the guest's, printable; NULL with an error. */
char *mose_irqs_text(MoseLinux *kernel, guint64 at, GError **error);

gboolean mose_irqs_add_arch(MoseLinux *kernel, MoseIrqs *irqs, GError **error);
gboolean mose_irqs_add_softirqs(MoseLinux *kernel, MoseIrqs *irqs, GError **error);

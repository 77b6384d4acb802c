/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's interrupts: what /proc/interrupts and /proc/softirqs show, and a little
 * more. */
#pragma once

#include "vmi/linux/linux.h"

typedef enum {
    MOSE_IRQ_DEVICE,  /* has a number */
    MOSE_IRQ_ARCH,    /* has a name: LOC, RES, ... */
    MOSE_IRQ_SUM,     /* the same, and one number for all CPUs: ERR, MIS */
    MOSE_IRQ_SOFTIRQ, /* TIMER, RCU, ... */
} MoseIrqKind;

typedef struct {
    MoseIrqKind kind;
    guint number;    /* of a device's */
    char *name;      /* "24", "LOC", "TIMER" */
    char *text;      /* of the processor's: "Local timer interrupts" */
    guint64 *counts; /* one for each of MoseIrqs.cpus; MOSE_IRQ_SUM: one */
    char *chip;      /* "IO-APIC"; NULL: it has none */
    guint64 hwirq;   /* its number there */
    gboolean has_hwirq;
    char *flow;          /* "edge", "fasteoi"; or NULL */
    GPtrArray *actions;  /* char *: "virtio0-input" */
    GPtrArray *handlers; /* of each action, guint64: address of a function */
    gboolean disabled, masked, in_progress, pending, level;
} MoseIrq;

typedef struct {
    GArray *cpus;   /* guint: those online, to which the counts belong */
    GPtrArray *all; /* MoseIrq, in the order of /proc/interrupts, softirqs last */
    guint retries;  /* how often the table changed while it was read */
} MoseIrqs;

void mose_irqs_free(MoseIrqs *irqs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseIrqs, mose_irqs_free)

/* All texts are printable. */
MoseIrqs *mose_irqs_read(MoseLinux *kernel, GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The code that serves hypercalls in a guest's kernel (hypercall-shim.S), for the rule
 * that puts it there. */
#pragma once

#include <glib.h>

/* What it begins with; its entry is behind that. */
typedef struct {
    guint64 magic;   /* MOSE_HYPERCALL_MAGIC */
    guint64 handler; /* of invalid opcodes, as the guest had set it */
    guint64 apic;    /* where its kernel has the APIC mapped; 0: it has x2APIC alone */
    guint64 fill;    /* the byte that was there all over */
} MoseHypercallShim;

#define MOSE_HYPERCALL_MAGIC G_GUINT64_CONSTANT(0x316c6c6163455314)

extern const guint8 mose_hypercall_shim[], mose_hypercall_shim_end[];

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate of address line 20 is closed, where that means nothing: under KVM. This
 * kernel lies in an odd megabyte. */
#include "litmus.h"

enum { PORT_92 = 0x92, A20_OPEN = 2, HYPERVISOR_LEAF = 0x40000000 };
#define KVM_SIGNATURE 0x4b4d564bu /* "KVMK" */

static const char *
prepare(void)
{
    /* Asked anew: it may have been switched since it was started. Another machine may
     * obey the gate. */
    if (cpuid(HYPERVISOR_LEAF, 0).ebx != KVM_SIGNATURE || !in_kvm())
        return "not in KVM now";
    outb(PORT_92, inb(PORT_92) & ~A20_OPEN);
    return NULL;
}

static const char *
check(void)
{
    outb(PORT_92, inb(PORT_92) | A20_OPEN);
    return NULL;
}

PROPERTY(a20) = {
    .name = "a20",
    .prepare = prepare,
    .check = check,
};

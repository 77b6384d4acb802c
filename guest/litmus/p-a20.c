/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate of address line 20 is closed, where that means nothing: under KVM. This
 * kernel lies in an odd megabyte. */
#include "litmus.h"

enum { PORT_92 = 0x92, A20_OPEN = 2 };

static const char *
prepare(void)
{
    if (!same(machine.hypervisor, "KVMKVMKVM"))
        return "this machine may obey the gate";
    if (!in_kvm())
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NMIs: one that the host makes while it switches is taken, and later ones as well. */
#include "litmus.h"

enum { NMI = 2, SOON_MS = 2000 };

static void
take_nmi(Frame *frame)
{
    ticks[NMI]++;
}

static const char *
prepare(void)
{
    on_vector(NMI, take_nmi);
    ticks[NMI] = 0;
    return NULL;
}

/* The host may have made none; one of our own must come all the same. */
static const char *
check(void)
{
    uint32_t before = ticks[NMI];

    apic_send(0, ICR_NMI);
    if (!wait_change(&ticks[NMI], before, SOON_MS))
        return "an NMI to itself does not come";
    return NULL;
}

PROPERTY(nmi) = {
    .name = "nmi",
    .prepare = prepare,
    .check = check,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The x2APIC, which stays once it is on: all rounds that follow have it. */
#include "litmus.h"

enum { ANSWER_MS = 20000 };

enum { LEAF1_X2APIC = 1 << 21 };

static const char *
prepare_x2apic(void)
{
    if (!(machine.leaf1.ecx & LEAF1_X2APIC))
        return "no x2APIC";
    if (!x2apic) {
        if (!vcpus_call(apic_enter_x2apic))
            return "the others do not enter x2APIC mode";
        apic_enter_x2apic();
        x2apic = true;
    }
    on_vector(VECTOR_SELF, count_and_eoi);
    ticks[VECTOR_SELF] = 0;
    return NULL;
}

static const char *
check_x2apic(void)
{
    if (apic_read(APIC_ID) != 0)
        return say("the first one's ID is %x", apic_read(APIC_ID));
    apic_send_self(VECTOR_SELF);
    irq_on();
    wait_change(&ticks[VECTOR_SELF], 0, ANSWER_MS);
    irq_off();
    if (ticks[VECTOR_SELF] != 1)
        return say("an IPI to itself came %u times", ticks[VECTOR_SELF]);
    return check_ipis();
}

PROPERTY(x2apic) = {
    .name = "x2apic",
    .prepare = prepare_x2apic,
    .check = check_x2apic,
};

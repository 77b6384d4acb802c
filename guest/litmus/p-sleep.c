/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sleep until a time, as an operating system without a tick does: a one-shot timer, and
 * one for the rest if it comes early. It is not to be late: by what is left of the
 * interval when the switch comes, a machine that starts it anew is.
 */
#include "litmus.h"

static uint64_t begun, due, woken;

static void
arm(uint64_t now)
{
    apic_timer(0, (due - now) / tsc_khz * 1000000 + 1000000);
}

static void
wake(Frame *frame)
{
    uint64_t now = rdtsc();

    count_and_eoi(frame);
    if (now < due)
        arm(now);
    else
        woken = now;
}

static const char *
prepare(void)
{
    on_vector(VECTOR_TIMER, wake);
    ticks[VECTOR_TIMER] = 0;
    woken = 0;
    begun = rdtsc();
    due = begun + machine.wait_ms * tsc_khz;
    arm(begun);
    return NULL;
}

static const char *
check(void)
{
    uint64_t after, limit = due + 4 * (due - begun);

    irq_on();
    while (!*(volatile uint64_t *)&woken && rdtsc() < limit)
        relax();
    irq_off();
    apic_timer_off();
    after = (woken - begun) / tsc_khz;
    if (!woken)
        return "never woken";
    /* Half as long again is more than a busy host's doing. */
    return after < machine.wait_ms * UINT64_C(3) / 2
               ? NULL
               : say("woken after %lu ms, not %u", after, machine.wait_ms);
}

PROPERTY(sleep_until) = {
    .name = "sleep-until",
    .prepare = prepare,
    .check = check,
};

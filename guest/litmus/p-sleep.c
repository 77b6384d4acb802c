/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sleep until a time, as an operating system without a tick does: a one-shot timer, and
 * one for the rest if it comes early. It is not to be late: by what is left of the
 * interval when the switch comes, a machine that starts it anew is. Only the time
 * counts in which the guest runs: a busy host may take long to switch it.
 */
#include "litmus.h"

enum { RUNS_MS = 100, GIVE_UP_MS = 60000 };

static uint64_t begun, due, last, waited;
static volatile uint64_t woken;

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

/* Time behind @due goes by; a long one between two looks is the host's. */
static void
look(void)
{
    uint64_t now = rdtsc();

    if (!woken && now > due && now > last && now - last < RUNS_MS * tsc_khz)
        waited += now - last;
    last = now;
}

static const char *
prepare(void)
{
    on_vector(VECTOR_TIMER, wake);
    ticks[VECTOR_TIMER] = 0;
    woken = 0;
    waited = 0;
    last = begun = rdtsc();
    due = begun + machine.wait_ms * tsc_khz;
    arm(begun);
    return NULL;
}

static const char *
check(void)
{
    uint64_t interval = due - begun, limit = rdtsc() + GIVE_UP_MS * tsc_khz;

    irq_on();
    while (!woken && waited < 4 * interval && rdtsc() < limit) {
        look();
        relax();
    }
    irq_off();
    apic_timer_off();
    if (!woken)
        return "never woken";
    /* Half as long again is more than a busy host's doing. */
    return waited < interval / 2
               ? NULL
               : say("woken %lu ms late, after %lu, not %u", waited / tsc_khz,
                     (woken - begun) / tsc_khz, machine.wait_ms);
}

PROPERTY(sleep_until) = {
    .name = "sleep-until",
    .prepare = prepare,
    .work = look,
    .check = check,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time, by the ACPI PM timer: it follows QEMU's virtual clock on both accelerators, and
 * the firmware puts it at port 0x608 on pc and q35 (SeaBIOS src/fw/pciinit.c:
 * acpi_pm_base). 24 bits at 3.58 MHz.
 */
#include "litmus.h"

enum { PM_TIMER = 0x608, PM_MASK = 0xffffff, TRIES = 5, CALIBRATE_MS = 50 };

uint64_t tsc_khz = 1000000;

Moment
now(void)
{
    Moment best = { 0 };
    uint64_t shortest = UINT64_MAX;

    /* The shortest of several: the vCPU may be scheduled away in between. */
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = rdtsc(), took;
        uint32_t pm = inl(PM_TIMER) & PM_MASK;

        took = rdtsc() - before;
        if (took < shortest) {
            shortest = took;
            best = (Moment){ before + took / 2, pm };
        }
    }
    return best;
}

void
time_init(void)
{
    Moment from = now(), to;

    wait_ms(CALIBRATE_MS);
    to = now();
    tsc_khz = (to.tsc - from.tsc) * PM_HZ / ((to.pm - from.pm) & PM_MASK) / 1000;
}

int64_t
tsc_ahead_us(Moment from, Moment to)
{
    uint64_t ms = (to.tsc - from.tsc) / tsc_khz;
    uint64_t rest = (to.tsc - from.tsc) % tsc_khz;
    uint64_t by_tsc =
        ms / 1000 * PM_HZ + ms % 1000 * PM_HZ / 1000 + rest * PM_HZ / 1000 / tsc_khz;
    int32_t ahead = (int32_t)((uint32_t)by_tsc - (to.pm - from.pm)) & PM_MASK;

    if (ahead > PM_MASK / 2)
        ahead -= PM_MASK + 1;
    return (int64_t)ahead * 1000000 / PM_HZ;
}

bool
wait_change(const volatile uint32_t *word, uint32_t from, unsigned ms)
{
    uint64_t left = (uint64_t)ms * PM_HZ / 1000;
    uint32_t last = inl(PM_TIMER);

    while (!word || *word == from) {
        uint32_t pm = inl(PM_TIMER), went = (pm - last) & PM_MASK;

        if (went >= left)
            return word && *word != from;
        left -= went;
        last = pm;
        relax();
    }
    return true;
}

void
wait_ms(unsigned ms)
{
    wait_change(NULL, 0, ms);
}

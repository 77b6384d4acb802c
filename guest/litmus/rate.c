/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether an interrupt comes as often as it was asked to. */
#include "litmus.h"

/* What a busy host may lose, or bring at once, is allowed for: ticks that come while a
 * vCPU waits for a processor are one. What was missed during the switch may come
 * first. */
enum { SETTLE_MS = 100, MEASURE_MS = 500, LEAST = 5, MOST = 3, TRIES = 4 };

static const char *
measure(unsigned vector, unsigned hz)
{
    uint64_t begin, expected;
    uint32_t first, n;

    irq_on();
    wait_ms(SETTLE_MS);
    begin = rdtsc();
    first = ticks[vector];
    wait_ms(MEASURE_MS);
    n = ticks[vector] - first;
    expected = (rdtsc() - begin) / tsc_khz * hz / 1000;
    irq_off();
    if (n < expected / LEAST)
        return say("%u ticks, expected %lu", n, expected);
    if (n > expected * MOST + MOST)
        return say("a storm: %u ticks, expected %lu", n, expected);
    return NULL;
}

const char *
check_rate(unsigned vector, unsigned hz)
{
    const char *wrong = NULL;

    for (unsigned i = 0; i < TRIES; i++)
        if (!(wrong = measure(vector, hz)))
            break;
    return wrong;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clock check: CLOCK_MONOTONIC never goes back; the longest time between two
 * steps, which is how long the guest's programs stood still; and how far
 * CLOCK_REALTIME has moved against CLOCK_MONOTONIC, which nobody sets in here.
 */
#include "worker.h"

#include <inttypes.h>

static struct {
    int64_t last;
    int64_t largest_gap;
    int64_t first_difference; /* realtime - monotonic */
    int64_t drift;
} state;

static int64_t
difference(void)
{
    return worker_realtime_ns() - worker_monotonic_ns();
}

void
clock_init(void)
{
    state.last = worker_monotonic_ns();
    state.first_difference = difference();
}

void
clock_step(Tally *tally)
{
    const int64_t now = worker_monotonic_ns();
    const int64_t gap = now - state.last;

    if (gap < 0)
        worker_error(tally, "clock: CLOCK_MONOTONIC went back by %" PRId64 " ns", -gap);
    if (gap > state.largest_gap)
        state.largest_gap = gap;
    state.last = now;
    state.drift = difference() - state.first_difference;
    tally->steps++;
}

int64_t
clock_largest_gap_ns(void)
{
    return state.largest_gap;
}

int64_t
clock_realtime_drift_ns(void)
{
    return state.drift;
}

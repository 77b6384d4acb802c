/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TSC against CLOCK_MONOTONIC; see tsc.h. */
#include "switch/tsc.h"

#include <time.h>
#include <x86intrin.h>

MoseTscSample
mose_tsc_sample(void)
{
    MoseTscSample sample;
    struct timespec ts;
    guint64 before = __rdtsc(), after;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    after = __rdtsc();
    sample.tsc = before + (after - before) / 2;
    sample.ns = ts.tv_sec * G_GINT64_CONSTANT(1000000000) + ts.tv_nsec;
    return sample;
}

guint64
mose_tsc_khz(const MoseTscSample *from, const MoseTscSample *to)
{
    gint64 ns = to->ns - from->ns;

    if (ns <= 0)
        return 0;
    return (guint64)((unsigned __int128)(to->tsc - from->tsc) * 1000000 / ns);
}

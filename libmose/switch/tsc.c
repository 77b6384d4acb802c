/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TSC against CLOCK_MONOTONIC; see tsc.h. */
#include "switch/tsc.h"

#include <time.h>
#include <x86intrin.h>

/* A try is as wrong as it took long: interrupts and other threads come in between.
 * The shortest one counts. */
#define TRIES 5

MoseTscSample
mose_tsc_sample(void)
{
    MoseTscSample sample = { 0 };
    guint64 narrowest = G_MAXUINT64;

    for (int i = 0; i < TRIES; i++) {
        struct timespec ts;
        guint64 before = __rdtsc(), width;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        width = __rdtsc() - before;
        if (width >= narrowest)
            continue;
        narrowest = width;
        sample.tsc = before + width / 2;
        sample.ns = ts.tv_sec * G_GINT64_CONSTANT(1000000000) + ts.tv_nsec;
    }
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frequency of the host's TSC, measured against the monotonic clock. */
#pragma once

#include <glib.h>

typedef struct {
    guint64 tsc;
    gint64 ns;
} MoseTscSample;

/* Both clocks now. */
MoseTscSample mose_tsc_sample(void);

/* Ticks a millisecond between two samples; the longer, the better (10 ms give
 * some 10 ppm). 0 if they are the same. */
guint64 mose_tsc_khz(const MoseTscSample *from, const MoseTscSample *to);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's clock against the host's: how far it must be moved on so that a
 * switch does not show.
 *
 * On one host the guest's TSC is the host's plus an offset, under TCG
 * (system/cpu-timers.c:cpu_get_ticks) as under KVM. That line is remembered from
 * switch to switch and aimed at anew each time, so that errors of single
 * switches (a destination that resumed late) don't add up.
 */
#pragma once

#include <glib.h>

typedef struct {
    guint64 tsc;
    gint64 ns;
} MoseTscSample;

/* The host's TSC and CLOCK_MONOTONIC now. */
MoseTscSample mose_tsc_sample(void);

/* Ticks a millisecond between two samples; the longer, the better (10 ms give
 * some 10 ppm). 0 if they are the same. */
guint64 mose_tsc_khz(const MoseTscSample *from, const MoseTscSample *to);

typedef struct {
    gboolean known;
    guint64 offset; /* guest's TSC minus the host's, modulo 2^64 */
    gint64 late_ns; /* by which the guest is known to be behind it: it was resumed
                       late, or stood still in a switch that failed */
} MoseClockLine;

/*
 * Nanoseconds by which the guest's clocks, at @guest_tsc since it stopped, must
 * be moved on to be right when it resumes at host TSC @due_tsc. @measured_ns is
 * what was measured of the stop: the answer where the line is not known, or where
 * the guest has left it by more than is known (it was paused, say); the line begins
 * anew then. Below 0 for a guest that is ahead: a clock never goes back, but it can
 * stand still for as long.
 */
gint64 mose_clock_advance(MoseClockLine *line, guint64 guest_tsc, guint64 due_tsc,
                          guint64 khz, gint64 measured_ns);

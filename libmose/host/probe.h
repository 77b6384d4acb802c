/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs probes: functions that find out whether something works, and that may
 * spin, sleep for ever or crash when it doesn't. Each runs in a child process
 * of its own with limits, all at the same time, so that whatever one of them
 * does is a result. What they probe is their own business.
 */
#pragma once

#include <glib.h>

typedef enum {
    MOSE_PROBE_PASS,
    MOSE_PROBE_FAIL,
    MOSE_PROBE_SKIP, /* does not apply here */
} MoseProbeStatus;

/* What a probe found; it crosses a pipe as it is. */
typedef struct {
    MoseProbeStatus status;
    guint32 time_us;  /* of the probe's own work, without starting its process */
    char detail[232]; /* a sentence, or empty */
} MoseProbeOutcome;

typedef struct {
    const char *name; /* one word */
    const char *what; /* what works when it passes */
    /*
     * Runs in a forked child of a process that may have threads: no GLib, no
     * heap, nothing but system calls and formatting. @ret begins as a PASS
     * without detail. @data is the caller's.
     */
    void (*run)(const void *data, MoseProbeOutcome *ret);
} MoseProbe;

typedef struct {
    guint cpu_ms;  /* processor time of one probe: ends one that spins */
    guint wall_ms; /* elapsed time of one probe: ends one that sleeps */
} MoseProbeLimits;

/* "pass", "fail", "skip" */
const char *mose_probe_status_name(MoseProbeStatus status);

/* For a probe's own use: set its outcome. */
void mose_probe_fail(MoseProbeOutcome *ret, const char *format, ...)
    G_GNUC_PRINTF(2, 3);
void mose_probe_skip(MoseProbeOutcome *ret, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* Run @n @probes; @ret has room for @n outcomes, each of which is set. */
void mose_probe_run_all(const MoseProbe *probes, gsize n, const void *data,
                        const MoseProbeLimits *limits, MoseProbeOutcome *ret);

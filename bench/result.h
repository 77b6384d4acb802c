/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a measurement found: values, and one line of JSON about them.
 */
#pragma once

#include <glib.h>

typedef struct {
    const char *figure; /* "switch/blackout-1024": its name, the same in each run */
    const char *what;   /* the same for people */
    const char *unit;   /* "ms"; "" for a ratio */
    double goal;        /* the median shall be at most that; 0: no goal */
    GArray *values;     /* double */
    double floor;       /* the median shall be at least that; 0: no goal */
} BenchResult;

/* Values, and one of them more. */
GArray *bench_values_new(void);
void bench_add(GArray *values, double value);
double bench_median(const GArray *values);

/*
 * Append @result to the file of results (named by bench_begin()), and tell it on
 * standard output. A result without values is one that could not be measured:
 * @why says why not.
 */
void bench_result(const BenchResult *result);
void bench_skipped(const char *figure, const char *what, const char *why);

/* Begin: @argv is that of main(): BENCH RESULTS. Aborts where no guest can run. */
void bench_begin(int *argc, char ***argv);
/* The same for what needs no guest; there is nothing to end then. */
void bench_begin_alone(int *argc, char ***argv);
/* End whatever guests are left. */
void bench_end(void);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worker: a program that runs in the demo guest and would notice if a
 * switch damaged memory, disk, clocks or registers. Each check is a file of its
 * own with a step that takes about a millisecond; main.c takes them in turn.
 * It depends on nothing but libc, and is linked statically.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one check has done so far, for the status line. */
typedef struct {
    uint64_t steps;
    uint64_t errors;
} Tally;

/* Report one error on the console and count it in `tally`. */
void worker_error(Tally *tally, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* CLOCK_MONOTONIC and CLOCK_REALTIME in nanoseconds. */
int64_t worker_monotonic_ns(void);
int64_t worker_realtime_ns(void);

/* pattern.c: fill `bytes` (a multiple of 8) with numbers that follow from `seed`. */
void worker_fill(void *data, size_t bytes, uint64_t seed);
/* The offset of the first byte that differs from worker_fill(), or -1. */
long worker_compare(const void *data, size_t bytes, uint64_t seed);

/* memory.c: pages rewritten and verified. */
bool memory_init(size_t pages);
void memory_step(Tally *tally);

/*
 * disk.c: numbered blocks written to and read from disks or files. The first block
 * of each carries DISK_MARK; write n is in block 1 + n % DISK_RING.
 */
#define DISK_MARK "MOSE worker ring\n"
enum { DISK_BLOCK = 4096, DISK_RING = 256, DISK_MAX = 24 };

bool disk_add(const char *path); /* errno EEXIST: it holds something else */
void disk_step(void);            /* one step on each */
size_t disk_count(void);
/* The name of disk `i`, "vda", and what has been done on it. */
const char *disk_tally(size_t i, Tally *ret);

/* clock.c: time that never goes back, and the longest time that was lost. */
void clock_init(void);
void clock_step(Tally *tally);
int64_t clock_largest_gap_ns(void);
int64_t clock_realtime_drift_ns(void);

/* registers.c: x87, SSE and AVX registers that keep their contents. */
void registers_init(void);
void registers_step(Tally *tally);
const char *registers_kind(void);

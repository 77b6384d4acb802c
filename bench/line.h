/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the line from one test host to the other carries without MOSE, and what is told
 * of it. */
#pragma once

#include "bench/result.h"
#include "lib/hosts.h"

#define BENCH_SSH_CHUNK_MB 64u
#define BENCH_SLOW_MBIT 1000
#define BENCH_SLOW_DELAY_MS 20

/*
 * MB/s of @chunks chunks of random bytes, with @cipher (NULL: what both agree upon),
 * the login not counted in: the clock starts when the other side has begun to take what
 * is sent.
 */
double bench_ssh(Hosts *hosts, const char *cipher, guint chunks);

/* The cipher that both agreed upon. */
const char *bench_ssh_agreed(void);

/* A server of iperf3 on the other host, to be freed with bench_iperf_free(); NULL where
 * iperf3 is not installed. */
GSubprocess *bench_iperf_new(Hosts *hosts);
void bench_iperf_free(GSubprocess *server);

/* MB/s of @n connections together, as the receiver has counted them. */
double bench_iperf(Hosts *hosts, guint n);

/* Have the line be the slow one; FALSE where that cannot be, which is told as
 * @figure's. */
gboolean bench_slow(Hosts *hosts, const char *figure);

/* @result, whose figure and text are completed by the line, the slow or the fast one.
 */
void bench_line_result(gboolean slow, const BenchResult *result);

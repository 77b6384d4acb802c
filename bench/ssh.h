/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much plain ssh carries from one test host to the other. */
#pragma once

#include "lib/hosts.h"

#define BENCH_SSH_CHUNK_MB 64u

/*
 * MB/s of @chunks chunks of random bytes, with @cipher (NULL: what both agree upon),
 * the login not counted in: the clock starts when the other side has begun to take what
 * is sent.
 */
double bench_ssh(Hosts *hosts, const char *cipher, guint chunks);

/* The cipher that both agreed upon. */
const char *bench_ssh_agreed(void);

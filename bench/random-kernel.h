/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest with nothing in its memory that could be packed, and nothing to do. */
#pragma once

#include <glib.h>

/*
 * Write to @path a kernel (Multiboot 0.6.96) that fills RAM of @ram_mb from 2 MB on by
 * a linear congruence, writes R to the first serial port, and halts.
 */
void bench_random_kernel(const char *path, guint ram_mb);

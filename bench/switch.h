/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of bench/switch. */
#pragma once

#include "bench/plain.h"
#include "lib/vm.h"

/* A moment between two switches. */
void rest(void);

void measure_beside_bare(void);
void measure_memory(void);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of stacks share: vmi-bt.c has those of guests that run on,
 * vmi-bt-panic.c that of one which has panicked. */
#pragma once

#include "lib/kernels.h"

/* The traces that `mose bt` tells of @word (NULL: of all CPUs), of *@ret_all. */
JsonArray *bt_traces_of(const VmGuest *vm, const char *word, JsonObject **ret_all);

/* The name of frame @i; "" where there is none. */
const char *bt_frame_name(JsonArray *frames, guint i);

/* The index of the first frame in @function; G_MAXUINT: there is none. */
guint bt_find_frame(JsonArray *frames, const char *function);

void test_nmi(const KernelsGuest *guest);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets share. Each is one function; with main.c it runs its corpus as
 * an ordinary test, and with clang's -fsanitize=fuzzer it is a libFuzzer program.
 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Not an assertion of GLib's, whose trap a fuzzer would not tell from others. */
#define FUZZ_CHECK(condition)                                                          \
    do {                                                                               \
        if (!(condition))                                                              \
            abort();                                                                   \
    } while (0)

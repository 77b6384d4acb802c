/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kallsyms made as scripts/kallsyms.c of different kernels would (see
 * vmi/linux/kallsyms.h), for tests. */
#pragma once

#include "vmi/linux/kallsyms.h"

typedef enum {
    MAKE_KALLSYMS_OLD,  /* 5.x: before the names lies what tells addresses */
    MAKE_KALLSYMS_SEQS, /* the same with seqs_of_names between markers and tokens */
    MAKE_KALLSYMS_NEW,  /* 6.4 on: behind the tokens */
    MAKE_KALLSYMS_OWN,  /* 7.x: packed to 4 bytes, offsets from their own place */
    MAKE_KALLSYMS_FLAT, /* 5.x without relative base */
    MAKE_KALLSYMS_N,
} MakeKallsymsKind;

typedef struct {
    guint64 address;
    char type;
    const char *name;
} MakeKallsymsSymbol;

/* The parts, as they would lie @at bytes behind @text, which is a multiple of 8.
 * @percpu: symbols below @text are absolute. */
GByteArray *make_kallsyms(MakeKallsymsKind kind, gboolean percpu,
                          const MakeKallsymsSymbol *symbols, guint n, guint64 text,
                          gsize at);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which CPU features a guest must not see if it is to be switched, and which of
 * KVM's own it may: one row a feature, with the reason and where it is known from.
 */
#pragma once

#include <glib.h>

typedef struct {
    const char *name; /* QEMU's; a trailing '*' stands for any ending */
    const char *why;
    const char *source;
} MoseCpuRow;

/* Never part of the portable CPU, whoever offers them; what is tolerated is not, even
 * if a pattern fits it. */
extern const MoseCpuRow mose_cpu_excluded[];
extern const gsize mose_cpu_n_excluded;

/* Offered by KVM alone, seen by the guest, and bearable without: `why` says how. */
extern const MoseCpuRow mose_cpu_tolerated[];
extern const gsize mose_cpu_n_tolerated;

/* No instruction goes with them, or none that a running guest would miss; a loss
 * that is worth a line and not a refusal. */
extern const MoseCpuRow mose_cpu_harmless[];
extern const gsize mose_cpu_n_harmless;

/* What every host with AVX2 offers under KVM (Haswell 2013, Zen 2017, and
 * later): the portable CPU of a host where KVM cannot be asked. */
extern const char *const mose_cpu_common[];

/* Whether @name is a second name for a feature ("sse3" for "pni"; all names with
 * '_' are). Sources: QEMU 10.0 target/i386/cpu.c:x86_cpu_initfn. */
gboolean mose_cpu_is_alias(const char *name);

/* Whether a guest that has seen @name goes on well without it: tolerated, or
 * harmless, and not excluded. */
gboolean mose_cpu_can_do_without(const char *name);

/* The row of @name, or NULL. */
const MoseCpuRow *mose_cpu_excluded_row(const char *name);
const MoseCpuRow *mose_cpu_tolerated_row(const char *name);
const MoseCpuRow *mose_cpu_harmless_row(const char *name);

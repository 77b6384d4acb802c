/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of types.h share; nobody else includes it. */
#pragma once

#include <bpf/btf.h>

#include "vmi/linux/types.h"

/* Typedefs, arrays and so on within each other; real kernels have less than ten. */
#define MOSE_TYPES_MAX_DEPTH 32
/* A name is at most KSYM_NAME_LEN (Linux include/linux/kallsyms.h); a longer one is
 * taken for none. */
#define MOSE_TYPES_MAX_NAME 512

typedef struct MoseTypeNames MoseTypeNames;

struct MoseTypes {
    struct btf *btf;
    const MoseTypes *base;
    guint32 first, end;         /* its own ids, without the base's */
    MoseTypeNames *names;       /* made at the first lookup */
    MoseTypeNames *enumerators; /* the same */
};

void mose_type_names_free(MoseTypeNames *names);

/* Whether the header is one, and its sections lie within @size bytes. */
gboolean mose_types_check_header(const guint8 *btf, gsize size, GError **error);

/* Why libbpf did not take @size bytes whose header is good: sets @error. */
void mose_types_explain(const guint8 *btf, gsize size, GError **error);

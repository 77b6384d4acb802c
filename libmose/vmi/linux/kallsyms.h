/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's own table of its symbols (Linux kernel/kallsyms.c, scripts/kallsyms.c),
 * found in its image and read. It has no length, no version and no signature; these are
 * its parts, each aligned to 8 bytes, or, in 7.x, which has no relative_base, to 4:
 *
 *   up to 6.3    offsets [relative_base] num_syms names markers [seqs] token_table
 *                token_index
 *   since 6.4    num_syms names markers token_table token_index offsets [relative_base]
 *                [seqs]
 *
 * names: for each symbol the number of its bytes (one byte, or since 6.1 two where the
 * first one's highest bit is set) and these, each of them the number of a token.
 * Expanded, the first character is the type. markers: the offset in names of every
 * 256th symbol. token_table: 256 strings; those of characters that names are made of
 * are these themselves, so it holds "0", "1", ..., "9" one behind the other.
 * token_index: where each begins (16 bits).
 */
#pragma once

#include "vmi/linux/symbols.h"
#include "vmi/space.h"

typedef enum {
    /* kallsyms_sym_address() in Linux kernel/kallsyms.c: */
    MOSE_KALLSYMS_ABSOLUTE, /* 64-bit addresses (no CONFIG_KALLSYMS_BASE_RELATIVE) */
    MOSE_KALLSYMS_RELATIVE, /* relative_base + offset */
    MOSE_KALLSYMS_PERCPU, /* that for negative offsets, as base - 1 - offset; others are
                             absolute (CONFIG_KALLSYMS_ABSOLUTE_PERCPU) */
    MOSE_KALLSYMS_OWN_PLACE, /* the offset's own address + offset (since 7.0) */
    MOSE_KALLSYMS_N_FORMS,
} MoseKallsymsForm;

/* Where the parts are, from the beginning of the image (_text) on. */
typedef struct {
    MoseKallsymsForm form;
    guint32 n_symbols;
    guint64 names, names_size;
    guint64 tokens, tokens_size;
    guint64 token_index;
    guint64 offsets;
    guint64 base; /* RELATIVE and PERCPU */
} MoseKallsyms;

#define MOSE_KALLSYMS_MAX_SYMBOLS (4u << 20)
#define MOSE_KALLSYMS_MAX_NAMES ((guint64)128 << 20)

/*
 * Find it in @bytes, a copy of the image of @size bytes, that begins at @text in the
 * guest, with holes as zeros. It is taken only if _text has that address by it, and all
 * fits: nothing is guessed. NOT_FOUND in words.
 */
gboolean mose_kallsyms_find(const guint8 *bytes, gsize size, guint64 text,
                            MoseKallsyms *ret, GError **error);

/* Read it out of the guest into @symbols, which are to be new. INVALID, saying what
 * does not fit, where it is not as @table tells. */
gboolean mose_kallsyms_read(const MoseKallsyms *table, MoseSpace *space, guint64 text,
                            MoseSymbols *symbols, GError **error);

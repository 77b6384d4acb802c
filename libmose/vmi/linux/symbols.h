/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names and addresses: those of the kernel (kallsyms.h) and of its modules (modules.h),
 * and lookups both ways. Knows neither guest nor memory.
 */
#pragma once

#include <glib.h>

#include "vmi/linux/names.h"

typedef struct MoseSymbols MoseSymbols;

typedef struct {
    guint64 address;
    const char *name;   /* the table's own */
    const char *module; /* NULL: the kernel itself */
    guint64 size;       /* to the next symbol, or as told; 0: unknown */
    char type;          /* as nm(1) and /proc/kallsyms show it: t, T, d, D, r, b, ... */
} MoseSymbol;

MoseSymbols *mose_symbols_new(void);
void mose_symbols_free(MoseSymbols *symbols);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseSymbols, mose_symbols_free)

/* Add one; names are copied, with a question mark for each byte that is not printable
 * ASCII. @module and @size may be NULL and 0. Whoever adds, calls
 * mose_symbols_finish() before the first lookup. */
void mose_symbols_add(MoseSymbols *symbols, guint64 address, char type,
                      const char *name, gssize name_len, const char *module,
                      guint64 size);
/* The kernel's own, packed: @names, and @addresses of as many (g_free()), both taken
 * over; once, and before any other. */
void mose_symbols_set_packed(MoseSymbols *symbols, MoseNames *names,
                             guint64 *addresses);
void mose_symbols_finish(MoseSymbols *symbols);

guint mose_symbols_count(const MoseSymbols *symbols);
/* In ascending order of addresses. */
const MoseSymbol *mose_symbols_nth(const MoseSymbols *symbols, guint n);

/* The first one by that name, those of the kernel before those of modules; @module (may
 * be NULL) asks for one of that module. NULL: none. */
const MoseSymbol *mose_symbols_by_name(const MoseSymbols *symbols, const char *module,
                                       const char *name);

/* The one in which @address lies: the last at or below it. Of several at one address a
 * global one is preferred, then the first. NULL: before all of them, or beyond the size
 * that is known. */
const MoseSymbol *mose_symbols_by_address(const MoseSymbols *symbols, guint64 address);

/* The same, but always the first of several: as the kernel prints addresses itself
 * (Linux kernel/kallsyms.c:get_symbol_pos). */
const MoseSymbol *mose_symbols_first_by_address(const MoseSymbols *symbols,
                                                guint64 address);

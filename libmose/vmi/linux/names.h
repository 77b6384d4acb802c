/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that are packed as kallsyms have them (kallsyms.h), looked up as they are: most
 * of a kernel's 100,000 to 200,000 names are never wanted, and to expand them all is
 * most of what a short look at a guest would cost.
 */
#pragma once

#include <glib.h>

typedef struct MoseNames MoseNames;

enum { MOSE_NAMES_N_TOKENS = 256, MOSE_NAMES_MAX = 1024 };

/*
 * Of @count names in @packed, whose tokens are strings in @tokens, each beginning where
 * @index tells; both are taken over (g_free()). INVALID where a token or a name is not
 * within them, is empty or too long.
 */
MoseNames *mose_names_new(guint8 *packed, gsize packed_size, guint8 *tokens,
                          gsize tokens_size, const guint16 index[MOSE_NAMES_N_TOKENS],
                          guint32 count, GError **error);
void mose_names_free(MoseNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseNames, mose_names_free)

guint32 mose_names_count(const MoseNames *names);

/* Name @n without its first character, which is the symbol's type, with a NUL, and that
 * type; the length. */
gsize mose_names_expand(const MoseNames *names, guint32 n, char ret[MOSE_NAMES_MAX + 1],
                        char *ret_type);

/* That type alone. */
char mose_names_type(const MoseNames *names, guint32 n);

/* The number of the first one that is @name; FALSE: there is none. */
gboolean mose_names_find(MoseNames *names, const char *name, guint32 *ret);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kallsyms out of a guest's memory, once it is known where they are. See kallsyms.h. */
#include "vmi/linux/kallsyms.h"

#include <string.h>

#include "util/error.h"

typedef struct {
    const MoseKallsyms *table;
    guint64 text;
    guint8 *names, *tokens, *offsets;
    guint16 index[MOSE_NAMES_N_TOKENS];
    guint64 base;
} Parts;

static void
parts_clear(Parts *parts)
{
    g_free(parts->names);
    g_free(parts->tokens);
    g_free(parts->offsets);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Parts, parts_clear)

static gboolean
set_invalid(const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "the guest's kallsyms: %s",
                what);
    return FALSE;
}

static guint8 *
copy(MoseSpace *space, guint64 address, gsize size, GError **error)
{
    g_autofree guint8 *bytes = g_malloc(size);

    return mose_space_read(space, address, bytes, size, NULL, error)
               ? g_steal_pointer(&bytes)
               : NULL;
}

static gboolean
read_parts(Parts *parts, MoseSpace *space, GError **error)
{
    const MoseKallsyms *table = parts->table;
    gsize entry = table->form == MOSE_KALLSYMS_ABSOLUTE ? 8 : 4;

    if (table->n_symbols > MOSE_KALLSYMS_MAX_SYMBOLS ||
        table->names_size > MOSE_KALLSYMS_MAX_NAMES ||
        table->tokens_size > MOSE_NAMES_N_TOKENS * 512)
        return set_invalid("their size makes no sense", error);
    parts->names = copy(space, parts->text + table->names, table->names_size, error);
    if (parts->names)
        parts->tokens =
            copy(space, parts->text + table->tokens, table->tokens_size, error);
    if (parts->tokens)
        parts->offsets =
            copy(space, parts->text + table->offsets, entry * table->n_symbols, error);
    return parts->offsets &&
           mose_space_read(space, parts->text + table->token_index, parts->index,
                           sizeof(parts->index), NULL, error) &&
           (table->base == 0 || mose_space_read_number(space, parts->text + table->base,
                                                       8, &parts->base, error));
}

static guint64
address_of(const Parts *parts, guint32 i)
{
    gint32 offset;
    guint64 address;

    if (parts->table->form == MOSE_KALLSYMS_ABSOLUTE) {
        memcpy(&address, parts->offsets + (gsize)i * 8, 8);
        return GUINT64_FROM_LE(address);
    }
    memcpy(&offset, parts->offsets + (gsize)i * 4, 4);
    offset = GINT32_FROM_LE(offset);
    switch (parts->table->form) {
    case MOSE_KALLSYMS_RELATIVE:
        return parts->base + (guint32)offset;
    case MOSE_KALLSYMS_PERCPU:
        return offset >= 0 ? (guint64)offset : parts->base - 1 - (gint64)offset;
    default:
        return parts->text + parts->table->offsets + (guint64)i * 4 + (gint64)offset;
    }
}

static guint64 *
addresses_of(const Parts *parts)
{
    guint64 *ret = g_new(guint64, parts->table->n_symbols);

    for (guint32 i = 0; i < parts->table->n_symbols; i++)
        ret[i] = address_of(parts, i);
    return ret;
}

gboolean
mose_kallsyms_read(const MoseKallsyms *table, MoseSpace *space, guint64 text,
                   MoseSymbols *symbols, GError **error)
{
    g_auto(Parts) parts = { .table = table, .text = text };
    MoseNames *names;

    if (!read_parts(&parts, space, error))
        return FALSE;
    names = mose_names_new(g_steal_pointer(&parts.names), table->names_size,
                           g_steal_pointer(&parts.tokens), table->tokens_size,
                           parts.index, table->n_symbols, error);
    if (!names)
        return FALSE;
    mose_symbols_set_packed(symbols, names, addresses_of(&parts));
    return TRUE;
}

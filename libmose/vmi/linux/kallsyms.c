/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kallsyms out of a guest's memory, once it is known where they are. See kallsyms.h. */
#include "vmi/linux/kallsyms.h"

#include <string.h>

#include "util/error.h"

/* Linux include/linux/kallsyms.h: KSYM_NAME_LEN is 512 since 6.1. */
enum { N_TOKENS = 256, MAX_NAME = 1024 };

typedef struct {
    const MoseKallsyms *table;
    guint64 text;
    guint8 *names, *tokens, *offsets;
    guint16 index[N_TOKENS];
    guint8 lengths[N_TOKENS];
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
check_tokens(Parts *parts, GError **error)
{
    const gsize size = parts->table->tokens_size;

    for (int i = 0; i < N_TOKENS; i++) {
        gsize at = parts->index[i], len;

        if (at >= size)
            return set_invalid("a token lies outside of their table", error);
        len = strnlen((const char *)parts->tokens + at, size - at);
        if (len == size - at || len > G_MAXUINT8)
            return set_invalid("a token has no end", error);
        parts->lengths[i] = len;
    }
    return TRUE;
}

static gboolean
read_parts(Parts *parts, MoseSpace *space, GError **error)
{
    const MoseKallsyms *table = parts->table;
    gsize entry = table->form == MOSE_KALLSYMS_ABSOLUTE ? 8 : 4;

    if (table->n_symbols > MOSE_KALLSYMS_MAX_SYMBOLS ||
        table->names_size > MOSE_KALLSYMS_MAX_NAMES ||
        table->tokens_size > N_TOKENS * 512)
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
                                                       8, &parts->base, error)) &&
           check_tokens(parts, error);
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

/* The name whose @len tokens are at @bytes; its length, 0: too long. */
static gsize
expand(const Parts *parts, const guint8 *bytes, guint len, char *to)
{
    gsize done = 0;

    for (guint i = 0; i < len; i++) {
        guint8 token = bytes[i];

        if (parts->lengths[token] > MAX_NAME - done)
            return 0;
        memcpy(to + done, parts->tokens + parts->index[token], parts->lengths[token]);
        done += parts->lengths[token];
    }
    return done;
}

gboolean
mose_kallsyms_read(const MoseKallsyms *table, MoseSpace *space, guint64 text,
                   MoseSymbols *symbols, GError **error)
{
    g_auto(Parts) parts = { .table = table, .text = text };
    gsize at = 0, end = table->names_size;

    if (!read_parts(&parts, space, error))
        return FALSE;
    for (guint32 i = 0; i < table->n_symbols; i++) {
        char name[MAX_NAME];
        gsize len;

        if (end - at < 2)
            return set_invalid("they end before their last name", error);
        len = parts.names[at++];
        if (len & 0x80)
            len = (len & 0x7f) | (gsize)parts.names[at++] << 7;
        if (len > end - at)
            return set_invalid("they end within a name", error);
        at += len;
        len = expand(&parts, parts.names + at - len, len, name);
        if (len < 2)
            return set_invalid("a name is empty, or too long", error);
        mose_symbols_add(symbols, address_of(&parts, i), name[0], name + 1, len - 1,
                         NULL, 0);
    }
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table of symbols, searched by address and by name. See symbols.h. */
#include "vmi/linux/symbols.h"

#include <string.h>

/* Names lie in chunks that never move. */
#define CHUNK (256 << 10)
/* No symbol reaches further to the next one: what is beyond is a hole. */
#define MAX_REACH (32 << 20)

struct MoseSymbols {
    GArray *all; /* MoseSymbol, by address once it is finished */
    GPtrArray *chunks;
    gsize used; /* of the last chunk */
    GHashTable *modules;
    guint32 *index; /* open addressing: number of the symbol + 1; made when needed */
    guint index_mask;
};

MoseSymbols *
mose_symbols_new(void)
{
    MoseSymbols *symbols = g_new0(MoseSymbols, 1);

    symbols->all = g_array_new(FALSE, FALSE, sizeof(MoseSymbol));
    symbols->chunks = g_ptr_array_new_with_free_func(g_free);
    symbols->modules = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return symbols;
}

void
mose_symbols_free(MoseSymbols *symbols)
{
    if (!symbols)
        return;
    g_array_unref(symbols->all);
    g_ptr_array_unref(symbols->chunks);
    g_hash_table_unref(symbols->modules);
    g_free(symbols->index);
    g_free(symbols);
}

static char *
keep_name(MoseSymbols *symbols, const char *name, gsize len)
{
    char *ret;

    if (symbols->chunks->len == 0 || symbols->used + len + 1 > CHUNK) {
        g_ptr_array_add(symbols->chunks, g_malloc(MAX(CHUNK, len + 1)));
        symbols->used = 0;
    }
    ret = (char *)symbols->chunks->pdata[symbols->chunks->len - 1] + symbols->used;
    memcpy(ret, name, len);
    ret[len] = '\0';
    symbols->used += len + 1;
    return ret;
}

static const char *
keep_module(MoseSymbols *symbols, const char *module)
{
    char *kept = g_hash_table_lookup(symbols->modules, module);

    if (!kept) {
        kept = g_strdup(module);
        g_hash_table_insert(symbols->modules, kept, kept);
    }
    return kept;
}

void
mose_symbols_add(MoseSymbols *symbols, guint64 address, char type, const char *name,
                 gssize name_len, const char *module, guint64 size)
{
    MoseSymbol symbol = {
        .address = address,
        .name = keep_name(symbols, name, name_len < 0 ? strlen(name) : (gsize)name_len),
        .module = module ? keep_module(symbols, module) : NULL,
        .size = size,
        .type = type,
    };

    g_array_append_val(symbols->all, symbol);
}

static gint
by_address(gconstpointer a, gconstpointer b)
{
    const MoseSymbol *x = a, *y = b;

    return x->address < y->address ? -1 : x->address > y->address;
}

/* kallsyms are in order as they come; a sort of those would be all of the cost. */
static gboolean
is_sorted(const GArray *all)
{
    for (guint i = 1; i < all->len; i++)
        if (g_array_index(all, MoseSymbol, i).address <
            g_array_index(all, MoseSymbol, i - 1).address)
            return FALSE;
    return TRUE;
}

/* What has no size of its own reaches to the next address; the last one's is unknown.
 */
static void
set_sizes(GArray *all)
{
    guint64 next = 0, at = 0;

    for (guint i = all->len; i-- > 0;) {
        MoseSymbol *symbol = &g_array_index(all, MoseSymbol, i);

        if (i + 1 == all->len || symbol->address != at) {
            next = i + 1 == all->len ? 0 : at;
            at = symbol->address;
        }
        if (symbol->size == 0 && next > symbol->address &&
            next - symbol->address < MAX_REACH)
            symbol->size = next - symbol->address;
    }
}

void
mose_symbols_finish(MoseSymbols *symbols)
{
    g_clear_pointer(&symbols->index, g_free);
    if (!is_sorted(symbols->all))
        g_array_sort(symbols->all, by_address); /* a stable one */
    set_sizes(symbols->all);
}

guint
mose_symbols_count(const MoseSymbols *symbols)
{
    return symbols->all->len;
}

const MoseSymbol *
mose_symbols_nth(const MoseSymbols *symbols, guint n)
{
    return &g_array_index(symbols->all, MoseSymbol, n);
}

/* --- by name --- */

static void
make_index(MoseSymbols *symbols)
{
    guint size = 1024;

    while (size < symbols->all->len * 2)
        size *= 2;
    symbols->index = g_new0(guint32, size);
    symbols->index_mask = size - 1;
    for (guint i = 0; i < symbols->all->len; i++) {
        guint slot = g_str_hash(mose_symbols_nth(symbols, i)->name);

        while (symbols->index[slot & symbols->index_mask] != 0)
            slot++;
        symbols->index[slot & symbols->index_mask] = i + 1;
    }
}

/* The index is no more than a memory of what is there. */
const MoseSymbol *
mose_symbols_by_name(const MoseSymbols *symbols, const char *module, const char *name)
{
    const MoseSymbol *found = NULL;
    guint slot = g_str_hash(name), number;

    if (!symbols->index)
        make_index((MoseSymbols *)symbols);
    while ((number = symbols->index[slot++ & symbols->index_mask]) != 0) {
        const MoseSymbol *symbol = mose_symbols_nth(symbols, number - 1);

        if (strcmp(symbol->name, name) != 0 ||
            (module && g_strcmp0(symbol->module, module) != 0))
            continue;
        if (!found || (!symbol->module && found->module))
            found = symbol;
    }
    return found;
}

/* --- by address --- */

static gboolean
is_global(const MoseSymbol *symbol)
{
    return g_ascii_isupper(symbol->type);
}

const MoseSymbol *
mose_symbols_by_address(const MoseSymbols *symbols, guint64 address)
{
    guint low = 0, high = symbols->all->len; /* all before low are at or below it */
    const MoseSymbol *best;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (mose_symbols_nth(symbols, middle)->address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    best = mose_symbols_nth(symbols, low - 1);
    for (guint i = low - 1; i-- > 0;) {
        const MoseSymbol *other = mose_symbols_nth(symbols, i);

        if (other->address != best->address)
            break;
        if (is_global(other) || !is_global(best))
            best = other;
    }
    return address - best->address < MAX(best->size, 1) ? best : NULL;
}

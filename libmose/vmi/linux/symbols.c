/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of symbols, searched by address and by name. See symbols.h. The kernel's stay
 * packed; a MoseSymbol is made of one of them when it is asked for.
 */
#include "vmi/linux/symbols.h"

#include <string.h>

/* What is kept lies in chunks that never move. */
#define CHUNK ((gsize)64 << 10)
/* No symbol reaches further to the next one: what is beyond is a hole. */
#define MAX_REACH (32 << 20)

/* A symbol's number: the packed ones come first, in their order, then those that were
 * added. */
struct MoseSymbols {
    MoseNames *names;   /* of the packed ones, or NULL */
    guint64 *addresses; /* of these */
    guint n_packed;
    MoseSymbol **made;     /* of these, where one was asked for */
    GPtrArray *added;      /* MoseSymbol */
    guint32 *order;        /* numbers by address; NULL: that is their own order */
    guint32 *heads, *next; /* of added: chains of places + 1; made when needed */
    guint32 mask;
    GHashTable *modules;
    GPtrArray *chunks;
    gsize size, used; /* of the last chunk */
};

MoseSymbols *
mose_symbols_new(void)
{
    MoseSymbols *symbols = g_new0(MoseSymbols, 1);

    symbols->added = g_ptr_array_new();
    symbols->chunks = g_ptr_array_new_with_free_func(g_free);
    symbols->modules = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return symbols;
}

void
mose_symbols_free(MoseSymbols *symbols)
{
    if (!symbols)
        return;
    mose_names_free(symbols->names);
    g_free(symbols->addresses);
    g_free(symbols->made);
    g_ptr_array_unref(symbols->added);
    g_free(symbols->order);
    g_free(symbols->heads);
    g_free(symbols->next);
    g_hash_table_unref(symbols->modules);
    g_ptr_array_unref(symbols->chunks);
    g_free(symbols);
}

/* --- what there is --- */

static void *
new_piece(MoseSymbols *symbols, gsize len)
{
    gsize aligned = (len + 7) & ~(gsize)7;

    if (aligned > symbols->size - symbols->used) {
        symbols->size = MAX(CHUNK, aligned);
        symbols->used = 0;
        g_ptr_array_add(symbols->chunks, g_malloc(symbols->size));
    }
    symbols->used += aligned;
    return (guint8 *)symbols->chunks->pdata[symbols->chunks->len - 1] + symbols->used -
           aligned;
}

static const char *
keep_name(MoseSymbols *symbols, const char *name, gsize len)
{
    char *ret = new_piece(symbols, len + 1);

    /* Whoever prints it may rely on that. */
    for (gsize i = 0; i < len; i++)
        ret[i] = g_ascii_isgraph(name[i]) ? name[i] : '?';
    ret[len] = '\0';
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

static MoseSymbol *
keep(MoseSymbols *symbols, guint64 address, char type, const char *name, gsize len)
{
    MoseSymbol *symbol = new_piece(symbols, sizeof(*symbol));

    *symbol = (MoseSymbol){ .address = address,
                            .name = keep_name(symbols, name, len),
                            .type = type };
    return symbol;
}

void
mose_symbols_set_packed(MoseSymbols *symbols, MoseNames *names, guint64 *addresses)
{
    g_return_if_fail(!symbols->names);
    symbols->names = names;
    symbols->addresses = addresses;
    symbols->n_packed = mose_names_count(names);
}

void
mose_symbols_add(MoseSymbols *symbols, guint64 address, char type, const char *name,
                 gssize name_len, const char *module, guint64 size)
{
    MoseSymbol *symbol = keep(symbols, address, type, name,
                              name_len < 0 ? strlen(name) : (gsize)name_len);

    symbol->module = module ? keep_module(symbols, module) : NULL;
    symbol->size = size;
    g_ptr_array_add(symbols->added, symbol);
}

static guint64
address_of(const MoseSymbols *symbols, guint number)
{
    return number < symbols->n_packed
               ? symbols->addresses[number]
               : ((MoseSymbol *)symbols->added->pdata[number - symbols->n_packed])
                     ->address;
}

static guint64
nth_address(const MoseSymbols *symbols, guint n)
{
    return address_of(symbols, symbols->order ? symbols->order[n] : n);
}

guint
mose_symbols_count(const MoseSymbols *symbols)
{
    return symbols->n_packed + symbols->added->len;
}

/* --- their order --- */

static gint
by_address(gconstpointer a, gconstpointer b, gpointer data)
{
    guint32 x = *(const guint32 *)a, y = *(const guint32 *)b;
    guint64 at = address_of(data, x), other = address_of(data, y);

    if (at != other)
        return at < other ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* kallsyms are in order as they come; a sort of those would be all of the cost. */
static gboolean
is_sorted(const MoseSymbols *symbols)
{
    guint64 before = 0;

    for (guint i = 0; i < mose_symbols_count(symbols); i++) {
        guint64 address = address_of(symbols, i);

        if (address < before)
            return FALSE;
        before = address;
    }
    return TRUE;
}

/* How many are at or below @address. */
static guint
count_below(const MoseSymbols *symbols, guint64 address)
{
    guint low = 0, high = mose_symbols_count(symbols);

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (nth_address(symbols, middle) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What has no size of its own reaches to the next address; the last one's is unknown.
 */
static void
set_size(const MoseSymbols *symbols, MoseSymbol *symbol)
{
    guint next = count_below(symbols, symbol->address);

    if (symbol->size == 0 && next < mose_symbols_count(symbols) &&
        nth_address(symbols, next) - symbol->address < MAX_REACH)
        symbol->size = nth_address(symbols, next) - symbol->address;
}

void
mose_symbols_finish(MoseSymbols *symbols)
{
    guint count = mose_symbols_count(symbols);

    g_clear_pointer(&symbols->heads, g_free);
    g_clear_pointer(&symbols->next, g_free);
    g_clear_pointer(&symbols->order, g_free);
    g_clear_pointer(&symbols->made, g_free);
    if (!is_sorted(symbols)) {
        symbols->order = g_new(guint32, count);
        for (guint i = 0; i < count; i++)
            symbols->order[i] = i;
        g_qsort_with_data(symbols->order, count, sizeof(guint32), by_address, symbols);
    }
    for (guint i = 0; i < symbols->added->len; i++)
        set_size(symbols, symbols->added->pdata[i]);
}

/* What is made here is no more than a memory of what is there. */
static const MoseSymbol *
get(const MoseSymbols *symbols, guint number)
{
    MoseSymbols *keeper = (MoseSymbols *)symbols;
    char name[MOSE_NAMES_MAX + 1], type;
    gsize len;

    if (number >= symbols->n_packed)
        return symbols->added->pdata[number - symbols->n_packed];
    if (!symbols->made)
        keeper->made = g_new0(MoseSymbol *, symbols->n_packed);
    if (!symbols->made[number]) {
        len = mose_names_expand(symbols->names, number, name, &type);
        keeper->made[number] =
            keep(keeper, symbols->addresses[number], type, name, len);
        set_size(symbols, symbols->made[number]);
    }
    return symbols->made[number];
}

const MoseSymbol *
mose_symbols_nth(const MoseSymbols *symbols, guint n)
{
    return get(symbols, symbols->order ? symbols->order[n] : n);
}

/* --- by name --- */

/* From the last one on, so that the first one of a name comes first. */
static void
make_chains(MoseSymbols *symbols)
{
    guint size = 1024;

    while (size < symbols->added->len)
        size *= 2;
    symbols->mask = size - 1;
    symbols->heads = g_new0(guint32, size);
    symbols->next = g_new(guint32, symbols->added->len);
    for (guint i = symbols->added->len; i-- > 0;) {
        const MoseSymbol *symbol = symbols->added->pdata[i];
        guint32 *head = &symbols->heads[g_str_hash(symbol->name) & symbols->mask];

        symbols->next[i] = *head;
        *head = i + 1;
    }
}

static const MoseSymbol *
find_added(MoseSymbols *symbols, const char *module, const char *name)
{
    const MoseSymbol *found = NULL;
    guint32 place;

    if (!symbols->heads)
        make_chains(symbols);
    for (place = symbols->heads[g_str_hash(name) & symbols->mask]; place;
         place = symbols->next[place - 1]) {
        const MoseSymbol *symbol = symbols->added->pdata[place - 1];

        if (strcmp(symbol->name, name) != 0 ||
            (module && g_strcmp0(symbol->module, module) != 0))
            continue;
        if (module || !symbol->module)
            return symbol;
        found = found ? found : symbol;
    }
    return found;
}

const MoseSymbol *
mose_symbols_by_name(const MoseSymbols *symbols, const char *module, const char *name)
{
    guint32 number;

    if (!module && symbols->names && mose_names_find(symbols->names, name, &number))
        return get(symbols, number);
    return symbols->added->len > 0 ? find_added((MoseSymbols *)symbols, module, name)
                                   : NULL;
}

/* --- by address --- */

static gboolean
is_global(const MoseSymbols *symbols, guint n)
{
    guint number = symbols->order ? symbols->order[n] : n;

    return g_ascii_isupper(
        number < symbols->n_packed
            ? mose_names_type(symbols->names, number)
            : ((MoseSymbol *)symbols->added->pdata[number - symbols->n_packed])->type);
}

const MoseSymbol *
mose_symbols_by_address(const MoseSymbols *symbols, guint64 address)
{
    guint below = count_below(symbols, address), best;
    const MoseSymbol *found;

    if (below == 0)
        return NULL;
    best = below - 1;
    for (guint i = best; i-- > 0;) {
        if (nth_address(symbols, i) != nth_address(symbols, best))
            break;
        if (is_global(symbols, i) || !is_global(symbols, best))
            best = i;
    }
    found = mose_symbols_nth(symbols, best);
    return address - found->address < MAX(found->size, 1) ? found : NULL;
}

const MoseSymbol *
mose_symbols_first_by_address(const MoseSymbols *symbols, guint64 address)
{
    guint first = count_below(symbols, address);
    const MoseSymbol *found;

    if (first == 0)
        return NULL;
    first--;
    while (first > 0 && nth_address(symbols, first - 1) == nth_address(symbols, first))
        first--;
    found = mose_symbols_nth(symbols, first);
    return address - found->address < MAX(found->size, 1) ? found : NULL;
}

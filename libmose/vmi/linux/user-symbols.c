/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The symbols of a process's ELF objects. See user.h. */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/user-priv.h"

/* Of what one process names; hostile tables may name as much as they like. */
#define MAX_SYMBOLS (8u << 20)

typedef struct {
    MoseUser *user;
    const MoseElfObject *object;
    const MosePageCache *file;
    GHashTable *known; /* "address name" of those that were added from another table */
    guint n;
} Adding;

static void
add(const MoseElfSymbol *symbol, gpointer data)
{
    Adding *adding = data;
    g_autofree char *full = symbol->version
                                ? g_strconcat(symbol->name, "@", symbol->version, NULL)
                                : g_strdup(symbol->name);
    g_autofree char *name = mose_vmi_printable(full);
    char *key = g_strdup_printf("%" G_GINT64_MODIFIER "x %s", symbol->address, name);

    if (adding->n == MAX_SYMBOLS || !g_hash_table_add(adding->known, key))
        return;
    adding->n++;
    mose_symbols_add(adding->user->symbols, symbol->address, symbol->type, name, -1,
                     adding->object->name, symbol->size);
}

static gboolean
read_file(gpointer data, guint64 at, void *to, gsize len)
{
    const Adding *adding = data;

    return mose_page_cache_read(adding->user->kernel, adding->file, at, to, len, NULL,
                                NULL);
}

/* The file's own table, which no process maps. */
static void
add_file(Adding *adding)
{
    g_autoptr(MoseElf) elf = NULL;

    if (adding->object->file == 0)
        return;
    adding->file = mose_user_file(adding->user, adding->object->file, NULL);
    elf = adding->file ? mose_elf_new(read_file, adding, FALSE, 0, NULL) : NULL;
    /* Another file by now, say: an update of the system. */
    if (elf && g_strcmp0(elf->build_id, adding->object->build_id) == 0)
        mose_elf_table_symbols(elf, adding->object->elf->bias, add, adding, NULL);
}

const MoseSymbols *
mose_user_symbols(MoseUser *user, GError **error)
{
    const GPtrArray *objects = mose_user_objects(user, NULL, error);
    Adding adding = { .user = user };

    if (user->symbols || !objects)
        return user->symbols;
    user->symbols = mose_symbols_new();
    for (guint i = 0; i < objects->len; i++) {
        adding.object = objects->pdata[i];
        adding.known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        mose_elf_dynamic_symbols(adding.object->elf, add, &adding, NULL);
        add_file(&adding);
        g_hash_table_unref(adding.known);
    }
    mose_symbols_finish(user->symbols);
    return user->symbols;
}

/* --- one by its name --- */

/* "libssl.so.3", or that up to a dot. */
static gboolean
names_object(const char *word, gsize len, const char *name)
{
    return strncmp(word, name, len) == 0 && (name[len] == '\0' || name[len] == '.');
}

static const MoseSymbol *
several(const char *word, const MoseSymbol *a, const MoseSymbol *b, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s is in %s and in %s: name one, %s:%s", word, a->module, b->module,
                a->module, word);
    return NULL;
}

const MoseSymbol *
mose_user_symbol(MoseUser *user, const char *word, GError **error)
{
    const MoseSymbols *symbols = mose_user_symbols(user, error);
    const char *colon = strchr(word, ':');
    const char *name = colon ? colon + 1 : word;
    const MoseSymbol *found = NULL;

    for (guint i = 0; symbols && i < mose_symbols_count(symbols); i++) {
        const MoseSymbol *one = mose_symbols_nth(symbols, i);

        if (strcmp(one->name, name) != 0 ||
            (colon && !names_object(word, colon - word, one->module)))
            continue;
        if (found && found->address != one->address)
            return several(word, found, one, error);
        found = one;
    }
    if (symbols && !found)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "task %d (%s): none of its objects defines %s", user->task->pid,
                    user->task->comm, word);
    return found;
}

const MoseSymbol *
mose_user_symbol_at(MoseUser *user, guint64 address)
{
    const MoseSymbols *symbols = mose_user_symbols(user, NULL);
    const MoseElfObject *object = mose_user_object_at(user, address);
    const MoseSymbol *found =
        symbols && object ? mose_symbols_by_address(symbols, address) : NULL;

    /* One without a size reaches to the next one, not into the next object. */
    return found && found->address >= object->base ? found : NULL;
}

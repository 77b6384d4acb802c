/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The symbols of modules, from what the kernel keeps for its own /proc/kallsyms (struct
 * mod_kallsyms, kernel/module/kallsyms.c), and those of code that is made at run time
 * (extra-symbols.c). See modules.h.
 */
#include <elf.h>
#include <string.h>

#include "util/error.h"
#include "vmi/linux/extra-symbols.h"
#include "vmi/linux/modules.h"

/* Large ones have 30,000. */
#define MAX_SYMBOLS (1u << 20)
#define MAX_STRINGS ((guint64)64 << 20)
#define MAX_EXPORTED (1u << 16)
/* Linux include/linux/kallsyms.h: KSYM_NAME_LEN is 512 since 6.1. */
#define MAX_NAME 1024

typedef struct {
    MoseLinux *kernel;
    const MoseModule *module;
    guint64 n;
    Elf64_Sym *symbols;
    char *types, *strings;
    gsize strings_size;
    GHashTable *exported; /* name to address */
    GArray *added;        /* MoseSymbol, names of their own */
} Table;

static void
symbol_clear(gpointer data)
{
    g_free((char *)((MoseSymbol *)data)->name);
}

static void
table_clear(Table *table)
{
    g_free(table->symbols);
    g_free(table->types);
    g_free(table->strings);
    g_clear_pointer(&table->exported, g_hash_table_unref);
    g_clear_pointer(&table->added, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Table, table_clear)

static gboolean
set_invalid(const Table *table, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the symbols of the guest's module %s (mod_kallsyms at "
                "0x%" G_GINT64_MODIFIER "x): %s",
                table->module->name, table->module->kallsyms, what);
    return FALSE;
}

/* --- its three tables --- */

static gpointer
copy(const Table *table, guint64 address, gsize size, GError **error)
{
    g_autofree guint8 *bytes = g_malloc(size + 1);

    if (mose_space_read(table->kernel->space, address, bytes, size, NULL, error))
        return g_steal_pointer(&bytes);
    g_prefix_error(error, "symbols of module %s: ", table->module->name);
    return NULL;
}

/* They have no length; behind the last one's begin is its end. What follows need not be
 * mapped. */
static gboolean
read_strings(Table *table, guint64 address, GError **error)
{
    guint64 last = 0;

    for (guint64 i = 0; i < table->n; i++)
        last = MAX(last, GUINT32_FROM_LE(table->symbols[i].st_name));
    if (last > MAX_STRINGS)
        return set_invalid(table, "a name lies 64 MB behind the first one", error);
    table->strings_size = last + MAX_NAME;
    table->strings = g_malloc(table->strings_size);
    if (mose_space_read(table->kernel->space, address, table->strings,
                        table->strings_size, &table->strings_size, error))
        return TRUE;
    if (table->strings_size <= last)
        return FALSE;
    g_clear_error(error);
    return TRUE;
}

static gboolean
read_tables(Table *table, GError **error)
{
    g_auto(MoseObject) object = { 0 };
    guint64 symbols, strings, types;

    if (!mose_object_read(table->kernel, "mod_kallsyms", table->module->kallsyms,
                          &object, error) ||
        !mose_object_get(&object, "num_symtab", &table->n, error) ||
        !mose_object_get(&object, "symtab", &symbols, error) ||
        !mose_object_get(&object, "strtab", &strings, error) ||
        !mose_object_get(&object, "typetab", &types, error))
        return FALSE;
    if (table->n > MAX_SYMBOLS)
        return set_invalid(table, "their number makes no sense", error);
    table->symbols = copy(table, symbols, table->n * sizeof(Elf64_Sym), error);
    if (table->symbols)
        table->types = copy(table, types, table->n, error);
    return table->types && read_strings(table, strings, error);
}

/* --- which are exported, and so are written as global ones --- */

static gboolean
exported_at(const Table *table, guint64 at, gint64 *ret_value, char **ret_name)
{
    MoseLinux *kernel = table->kernel;
    guint64 value_at, name_at, value, name;

    /* include/linux/export-internal.h: both count from themselves. */
    if (!mose_object_offset(kernel, "kernel_symbol", "value_offset", &value_at, NULL,
                            NULL) ||
        !mose_object_offset(kernel, "kernel_symbol", "name_offset", &name_at, NULL,
                            NULL) ||
        !mose_object_peek(kernel, "kernel_symbol", at, "value_offset", &value, NULL) ||
        !mose_object_peek(kernel, "kernel_symbol", at, "name_offset", &name, NULL))
        return FALSE;
    *ret_value = at + value_at + value;
    *ret_name =
        mose_space_read_text(kernel->space, at + name_at + name, MAX_NAME, NULL);
    return *ret_name != NULL;
}

/* kernel/module/main.c:is_exported(): those of module.syms, by name and value. */
static gboolean
read_exported(Table *table, GError **error)
{
    MoseLinux *kernel = table->kernel;
    guint64 at, n, size;

    table->exported = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    size = MAX(
        mose_types_size(kernel->types, mose_types_find(kernel->types, "kernel_symbol")),
        0);
    if (!mose_object_peek(kernel, "module", table->module->address, "syms", &at,
                          error) ||
        !mose_object_peek(kernel, "module", table->module->address, "num_syms", &n,
                          error))
        return FALSE;
    if (n > MAX_EXPORTED)
        return set_invalid(table, "more are exported than make sense", error);
    for (guint64 i = 0; i < n && size > 0; i++) {
        gint64 value;
        char *name;

        if (exported_at(table, at + i * size, &value, &name))
            g_hash_table_insert(table->exported, name,
                                g_memdup2(&value, sizeof(value)));
    }
    return TRUE;
}

/* /proc/kallsyms writes what a module exports in capitals, and nothing else. */
static char
type_of(const Table *table, char type, const char *name, guint64 address)
{
    const gint64 *value = g_hash_table_lookup(table->exported, name);

    if (!g_ascii_isgraph(type))
        return '?';
    return value && (guint64)*value == address ? g_ascii_toupper(type)
                                               : g_ascii_tolower(type);
}

/* --- one by one --- */

/* While a module is loaded, what it needs of others is among them; these have it. */
static gboolean
add_symbol(Table *table, guint64 i, GError **error)
{
    const Elf64_Sym *symbol = &table->symbols[i];
    gsize at = GUINT32_FROM_LE(symbol->st_name);
    MoseSymbol added = { .address = GUINT64_FROM_LE(symbol->st_value) };

    if (at >= table->strings_size ||
        !memchr(table->strings + at, '\0', table->strings_size - at))
        return set_invalid(table, "a name has no end", error);
    if (table->strings[at] == '\0' || GUINT16_FROM_LE(symbol->st_shndx) == SHN_UNDEF)
        return TRUE;
    added.type = type_of(table, table->types[i], table->strings + at, added.address);
    added.name = mose_vmi_printable(table->strings + at);
    g_array_append_val(table->added, added);
    return TRUE;
}

static gint
by_address(gconstpointer a, gconstpointer b)
{
    const MoseSymbol *x = a, *y = b;

    return x->address < y->address ? -1 : x->address > y->address;
}

/* Where the code ends in which @address lies, or else its part (kernel/module/
 * kallsyms.c:find_kallsyms_symbol); 0: it is in no part. */
static guint64
end_of(const MoseModule *module, guint64 address)
{
    for (guint i = 0; i < module->n_parts; i++) {
        const MoseModulePart *part = &module->parts[i];

        if (address - part->base < part->text_size)
            return part->base + part->text_size;
        if (address - part->base < part->size)
            return part->base + part->size;
    }
    return 0;
}

static void
set_sizes(const Table *table)
{
    guint64 next = 0, at = 0;

    for (guint i = table->added->len; i-- > 0;) {
        MoseSymbol *symbol = &g_array_index(table->added, MoseSymbol, i);
        guint64 end = end_of(table->module, symbol->address);

        if (i + 1 == table->added->len || symbol->address != at) {
            next = i + 1 == table->added->len ? G_MAXUINT64 : at;
            at = symbol->address;
        }
        if (end != 0)
            symbol->size = MIN(next, end) - symbol->address;
    }
}

/* Adds them to @all. */
static gboolean
read_module(MoseLinux *kernel, const MoseModule *module, GArray *all, GError **error)
{
    g_auto(Table) table = { .kernel = kernel, .module = module };

    if (module->kallsyms == 0)
        return TRUE;
    table.added = g_array_new(FALSE, FALSE, sizeof(MoseSymbol));
    g_array_set_clear_func(table.added, symbol_clear);
    if (!read_tables(&table, error) || !read_exported(&table, error))
        return FALSE;
    for (guint64 i = 0; i < table.n; i++)
        if (!add_symbol(&table, i, error))
            return FALSE;
    g_array_sort(table.added, by_address); /* a stable one */
    set_sizes(&table);
    for (guint i = 0; i < table.added->len; i++) {
        MoseSymbol *symbol = &g_array_index(table.added, MoseSymbol, i);

        symbol->module = module->name;
        g_array_append_val(all, *symbol);
        symbol->name = NULL;
    }
    return TRUE;
}

/* --- all of them --- */

typedef struct {
    GPtrArray *modules;
    GArray *symbols;
} All;

static gboolean
read_all(MoseLinux *kernel, gpointer data, GError **error)
{
    All *all = data;

    g_array_set_size(all->symbols, 0);
    g_clear_pointer(&all->modules, g_ptr_array_unref);
    if (!mose_symbols_by_name(kernel->symbols, NULL, "modules"))
        all->modules = /* no CONFIG_MODULES */
            g_ptr_array_new_with_free_func((GDestroyNotify)mose_module_free);
    else
        all->modules = mose_modules_read(kernel, NULL, error);
    for (guint i = 0; all->modules && i < all->modules->len; i++)
        if (!read_module(kernel, all->modules->pdata[i], all->symbols, error))
            return FALSE;
    return all->modules != NULL && mose_extra_symbols(kernel, all->symbols, error);
}

gboolean
mose_linux_modules(MoseLinux *kernel, GError **error)
{
    All all = { 0 };
    gboolean good;

    if (kernel->modules)
        return TRUE;
    if (!mose_linux_need_types(kernel, error))
        return FALSE;
    all.symbols = g_array_new(FALSE, FALSE, sizeof(MoseSymbol));
    g_array_set_clear_func(all.symbols, symbol_clear);
    good = mose_linux_retry(kernel, read_all, &all, NULL, error);
    if (good) {
        /* In order, so that the kernel's own need not be sorted once more. */
        g_array_sort(all.symbols, by_address);
        for (guint i = 0; i < all.symbols->len; i++) {
            const MoseSymbol *symbol = &g_array_index(all.symbols, MoseSymbol, i);

            mose_symbols_add(kernel->symbols, symbol->address, symbol->type,
                             symbol->name, -1, symbol->module, symbol->size);
        }
        mose_symbols_finish(kernel->symbols);
        kernel->modules = g_steal_pointer(&all.modules);
    }
    g_clear_pointer(&all.modules, g_ptr_array_unref);
    g_array_unref(all.symbols);
    return good;
}

const MoseSymbol *
mose_linux_symbol_at(MoseLinux *kernel, guint64 address)
{
    const MoseSymbol *symbol = mose_symbols_by_address(kernel->symbols, address);

    if (symbol || kernel->modules || !mose_linux_modules(kernel, NULL))
        return symbol;
    return mose_symbols_by_address(kernel->symbols, address);
}

const MoseSymbol *
mose_linux_symbol_named(MoseLinux *kernel, const char *module, const char *name)
{
    const MoseSymbol *symbol = mose_symbols_by_name(kernel->symbols, module, name);

    if (symbol || kernel->modules || !mose_linux_modules(kernel, NULL))
        return symbol;
    return mose_symbols_by_name(kernel->symbols, module, name);
}

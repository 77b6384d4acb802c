/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel's memory, symbols and per-CPU areas for expressions. */
#include "vmi/linux/type-source.h"

#include "util/error.h"
#include "vmi/linux/modules.h"

typedef struct {
    MoseLinux *kernel;
    GHashTable *modules; /* their types by name */
} Data;

static gboolean
read_memory(gpointer data, guint64 address, void *to, gsize len, gsize *ret_got,
            GError **error)
{
    MoseLinux *kernel = ((Data *)data)->kernel;

    return mose_space_read(kernel->space, address, to, len, ret_got, error);
}

static gboolean
find_symbol(gpointer data, const char *module, const char *name, guint64 *ret,
            GError **error)
{
    MoseLinux *kernel = ((Data *)data)->kernel;
    const MoseSymbol *symbol;

    symbol = mose_linux_symbol_named(kernel, module, name);
    if (!symbol) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    module ? "%s: its kernel has no symbol %s in module %s"
                           : "%s: its kernel has no symbol %s",
                    mose_memory_name(kernel->memory), name, module);
        return FALSE;
    }
    *ret = symbol->address;
    return TRUE;
}

/* Linux include/linux/percpu-defs.h: per_cpu_offset(). A kernel for one CPU has no
 * such table, and its variables are where their symbols are. */
static gboolean
cpu_offset(gpointer data, guint cpu, guint64 *ret, GError **error)
{
    MoseLinux *kernel = ((Data *)data)->kernel;
    guint64 table;

    *ret = 0;
    if (!mose_symbols_by_name(kernel->symbols, NULL, "__per_cpu_offset"))
        return TRUE;
    return mose_linux_symbol(kernel, "__per_cpu_offset", &table, error) &&
           mose_space_read_number(kernel->space, table + (guint64)cpu * 8, 8, ret,
                                  error);
}

static char *
address_name(gpointer data, guint64 address)
{
    MoseLinux *kernel = ((Data *)data)->kernel;
    const MoseSymbol *symbol = mose_linux_symbol_at(kernel, address);
    g_autofree char *name = NULL;

    if (!symbol)
        return NULL;
    name = mose_vmi_printable(symbol->name);
    if (address == symbol->address)
        return g_steal_pointer(&name);
    return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", name,
                           address - symbol->address);
}

static const MoseTypes *
module_types(gpointer data, const char *module, GError **error)
{
    Data *own = data;
    MoseTypes *types = g_hash_table_lookup(own->modules, module);

    if (types)
        return types;
    types = mose_linux_module_types(own->kernel, module, error);
    if (types)
        g_hash_table_insert(own->modules, g_strdup(module), types);
    return types;
}

MoseTypeSource
mose_linux_type_source(MoseLinux *kernel)
{
    Data *own = g_new0(Data, 1);

    own->kernel = kernel;
    own->modules = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                         (GDestroyNotify)mose_types_free);
    return (MoseTypeSource){ .read = read_memory,
                             .symbol = find_symbol,
                             .cpu_offset = cpu_offset,
                             .address_name = address_name,
                             .module_types = module_types,
                             .data = own,
                             .types = kernel->types,
                             .n_cpus = MAX(kernel->n_cpus, 1) };
}

void
mose_linux_type_source_clear(MoseTypeSource *source)
{
    Data *own = source->data;

    if (own) {
        g_hash_table_unref(own->modules);
        g_free(own);
    }
    *source = (MoseTypeSource){ 0 };
}

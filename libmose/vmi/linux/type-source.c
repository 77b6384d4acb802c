/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel's memory, symbols and per-CPU areas for expressions. */
#include "vmi/linux/type-source.h"

#include "util/error.h"

static gboolean
read_memory(gpointer data, guint64 address, void *to, gsize len, gsize *ret_got,
            GError **error)
{
    const MoseLinux *kernel = data;

    return mose_space_read(kernel->space, address, to, len, ret_got, error);
}

static gboolean
find_symbol(gpointer data, const char *module, const char *name, guint64 *ret,
            GError **error)
{
    const MoseLinux *kernel = data;
    const MoseSymbol *symbol;

    if (!module)
        return mose_linux_symbol(kernel, name, ret, error);
    symbol = mose_symbols_by_name(kernel->symbols, module, name);
    if (!symbol) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "%s: module %s has no symbol %s, or is not loaded",
                    mose_memory_name(kernel->memory), module, name);
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
    const MoseLinux *kernel = data;
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
    const MoseLinux *kernel = data;
    const MoseSymbol *symbol = mose_symbols_by_address(kernel->symbols, address);
    g_autofree char *name = NULL;

    if (!symbol)
        return NULL;
    name = mose_vmi_printable(symbol->name);
    if (address == symbol->address)
        return g_steal_pointer(&name);
    return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", name,
                           address - symbol->address);
}

MoseTypeSource
mose_linux_type_source(MoseLinux *kernel)
{
    return (MoseTypeSource){ .read = read_memory,
                             .symbol = find_symbol,
                             .cpu_offset = cpu_offset,
                             .address_name = address_name,
                             .data = kernel,
                             .types = kernel->types,
                             .n_cpus = MAX(kernel->n_cpus, 1) };
}

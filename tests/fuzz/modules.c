/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as the list of modules and all that it leads to. It ends in an
 * error, or in modules and symbols that are what they are said to be. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/stack-world.h"
#include "vmi/linux/modules.h"

enum { SPACE = STACK_WORLD_BASE + STACK_WORLD_SIZE - STACK_WORLD_MODULES };

static void
check_module(const MoseModule *module)
{
    guint64 size = 0;

    FUZZ_CHECK(module->name && module->state && module->taints && module->users);
    FUZZ_CHECK(module->n_parts <= MOSE_MODULE_PARTS);
    for (guint i = 0; i < module->n_parts; i++) {
        FUZZ_CHECK(module->parts[i].base + module->parts[i].size >
                   module->parts[i].base);
        size += module->parts[i].size;
    }
    FUZZ_CHECK(size == module->size);
}

static void
check_symbols(const MoseSymbols *symbols)
{
    guint64 before = 0;

    for (guint i = 0; i < mose_symbols_count(symbols); i++) {
        const MoseSymbol *symbol = mose_symbols_nth(symbols, i);

        FUZZ_CHECK(symbol->address >= before);
        FUZZ_CHECK(symbol->name[0] != '\0' && g_ascii_isgraph(symbol->type));
        FUZZ_CHECK(mose_symbols_by_name(symbols, symbol->module, symbol->name));
        before = symbol->address;
    }
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(StackWorld) world = stack_world_new();
    g_autoptr(GPtrArray) modules = NULL;

    vmi_world_write(world->world, STACK_WORLD_MODULES, data, MIN(size, SPACE));
    modules = mose_modules_read(world->kernel, NULL, NULL);
    for (guint i = 0; modules && i < modules->len; i++)
        check_module(modules->pdata[i]);
    if (mose_linux_modules(world->kernel, NULL))
        check_symbols(world->kernel->symbols);
    return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of modules made by hand, with their symbols; and broken ones. */
#include <elf.h>
#include <string.h>

#include "lib/stack-world.h"
#include "util/error.h"
#include "vmi/linux/modules.h"

/* Where the module's tables are, which are its data. */
#define CODE G_GUINT64_CONSTANT(0xffffffffc0000000)
#define USE (STACK_WORLD_BASE + 0x4400)
#define KALLSYMS (STACK_WORLD_BASE + 0x4800)
#define SYMTAB (STACK_WORLD_BASE + 0x4900)
#define STRTAB (STACK_WORLD_BASE + 0x5000)
#define TYPETAB (STACK_WORLD_BASE + 0x5800)
#define EXPORTED (STACK_WORLD_BASE + 0x5c00)
#define LAST_PAGE (STACK_WORLD_BASE + STACK_WORLD_SIZE - 4096)

static void
put(StackWorld *world, guint64 at, guint64 value)
{
    stack_world_put(world, at, value, 8);
}

static void
put_text(StackWorld *world, guint64 at, const char *text)
{
    vmi_world_write(world->world, at, text, strlen(text) + 1);
}

/* A list_head at @at whose only other member is at @other. */
static void
link_pair(StackWorld *world, guint64 at, guint64 other)
{
    put(world, at, other);
    put(world, at + 8, other);
    put(world, other, at);
    put(world, other + 8, at);
}

static void
put_symbol(StackWorld *world, guint n, guint64 value, guint name, char type,
           guint section)
{
    const Elf64_Sym symbol = { .st_name = name,
                               .st_shndx = section,
                               .st_value = value };

    vmi_world_write(world->world, SYMTAB + n * sizeof(symbol), &symbol, sizeof(symbol));
    vmi_world_write(world->world, TYPETAB + n, &type, 1);
}

/* One with code, data, four symbols of which two count, and one that is exported. */
static StackWorld *
world_new(void)
{
    StackWorld *world = stack_world_new();
    const guint64 module = STACK_WORLD_MODULE;

    link_pair(world, STACK_WORLD_MODULES, module + MODULE_LIST);
    link_pair(world, module + MODULE_SOURCE_LIST, module + MODULE_SOURCE_LIST);
    put_text(world, module + MODULE_NAME, "one");
    put(world, module + MODULE_MEM, CODE);
    stack_world_put(world, module + MODULE_MEM + 8, 0x2000, 4);
    put(world, module + MODULE_MEM + 24, CODE + 0x8000);
    stack_world_put(world, module + MODULE_MEM + 32, 0x1000, 4);
    stack_world_put(world, module + MODULE_REFCNT, 3, 4);
    put(world, module + MODULE_KALLSYMS, KALLSYMS);
    put(world, KALLSYMS + KALLSYMS_SYMTAB, SYMTAB);
    stack_world_put(world, KALLSYMS + KALLSYMS_NUM, 4, 4);
    put(world, KALLSYMS + KALLSYMS_STRTAB, STRTAB);
    put(world, KALLSYMS + KALLSYMS_TYPETAB, TYPETAB);
    put_text(world, STRTAB + 1, "alpha");
    put_text(world, STRTAB + 7, "be\ata");
    put_symbol(world, 0, 0, 0, ' ', 0);
    put_symbol(world, 1, CODE + 0x1800, 7, 't', 1);
    put_symbol(world, 2, CODE + 0x100, 1, 't', 1);
    put_symbol(world, 3, STACK_WORLD_FUNCTION(1), 1, 'u', SHN_UNDEF);
    put(world, module + MODULE_SYMS, EXPORTED);
    stack_world_put(world, module + MODULE_NUM_SYMS, 1, 4);
    stack_world_put(world, EXPORTED, CODE + 0x100 - EXPORTED, 4);
    stack_world_put(world, EXPORTED + 4, STRTAB + 1 - (EXPORTED + 4), 4);
    return world;
}

static GPtrArray *
modules_of(StackWorld *world)
{
    g_autoptr(GError) error = NULL;
    GPtrArray *modules = mose_modules_read(world->kernel, NULL, &error);

    g_assert_no_error(error);
    return modules;
}

static void
test_none(void)
{
    g_autoptr(StackWorld) world = stack_world_new();
    g_autoptr(GPtrArray) modules = modules_of(world);

    g_assert_cmpuint(modules->len, ==, 0);
    g_assert_true(mose_linux_modules(world->kernel, NULL));
}

static void
test_one(void)
{
    g_autoptr(StackWorld) world = world_new();
    g_autoptr(GPtrArray) modules = modules_of(world);
    const MoseModule *module;

    g_assert_cmpuint(modules->len, ==, 1);
    module = modules->pdata[0];
    g_assert_cmpstr(module->name, ==, "one");
    g_assert_cmpstr(module->state, ==, "Live");
    g_assert_cmpuint(module->size, ==, 0x3000);
    g_assert_cmphex(module->base, ==, CODE);
    g_assert_cmpint(module->refcount, ==, 2);
    g_assert_false(module->permanent);
    g_assert_cmpuint(module->users->len, ==, 0);
    g_assert_cmpstr(module->taints, ==, "");
    g_assert_null(module->version);
    g_assert_cmpuint(module->n_parts, ==, 2);
    g_assert_cmpstr(module->parts[1].name, ==, "data");
    g_assert_true(mose_module_at(modules, CODE + 0x1fff) == module);
    g_assert_true(mose_module_at(modules, CODE + 0x8000) == module);
    g_assert_null(mose_module_at(modules, CODE + 0x2000));
}

static void
test_users(void)
{
    g_autoptr(StackWorld) world = world_new();
    g_autoptr(GPtrArray) modules = NULL;
    const MoseModule *module;

    link_pair(world, STACK_WORLD_MODULE + MODULE_SOURCE_LIST, USE);
    put(world, USE + 32, STACK_WORLD_MODULE);
    put(world, STACK_WORLD_MODULE + MODULE_INIT, CODE);
    stack_world_put(world, STACK_WORLD_MODULE + MODULE_STATE, 2, 4);
    modules = modules_of(world);
    module = modules->pdata[0];
    g_assert_cmpuint(module->users->len, ==, 1);
    g_assert_cmpstr(module->users->pdata[0], ==, "one");
    g_assert_true(module->permanent);
    g_assert_cmpstr(module->state, ==, "Unloading");
}

static void
test_unformed(void)
{
    g_autoptr(StackWorld) world = world_new();
    g_autoptr(GPtrArray) modules = NULL;

    stack_world_put(world, STACK_WORLD_MODULE + MODULE_STATE, 3, 4);
    modules = modules_of(world);
    g_assert_cmpuint(modules->len, ==, 0);
}

/* Exported ones in capitals, nothing that rings a bell, sizes to the next one or to the
 * end of the code. */
static void
test_symbols(void)
{
    g_autoptr(StackWorld) world = world_new();
    g_autoptr(GError) error = NULL;
    guint before = mose_symbols_count(world->kernel->symbols);
    const MoseSymbol *symbol;

    symbol = mose_linux_symbol_named(world->kernel, "one", "alpha");
    g_assert_nonnull(symbol);
    g_assert_cmpuint(mose_symbols_count(world->kernel->symbols), ==, before + 2);
    g_assert_cmphex(symbol->address, ==, CODE + 0x100);
    g_assert_cmpint(symbol->type, ==, 'T');
    g_assert_cmpuint(symbol->size, ==, 0x1700);
    symbol = mose_linux_symbol_at(world->kernel, CODE + 0x1fff);
    g_assert_cmpstr(symbol->name, ==, "be\\x07ta");
    g_assert_cmpint(symbol->type, ==, 't');
    g_assert_cmpuint(symbol->size, ==, 0x800);
    g_assert_null(mose_linux_symbol_at(world->kernel, CODE + 0x2000));
    g_assert_true(mose_linux_modules(world->kernel, &error));
    g_assert_cmpuint(mose_symbols_count(world->kernel->symbols), ==, before + 2);
}

/* --- broken ones --- */

static void
expect_error(StackWorld *world, int code, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(mose_linux_modules(world->kernel, &error));
    g_assert_error(error, MOSE_ERROR, code);
    if (!strstr(error->message, words))
        g_error("not '%s', but: %s", words, error->message);
    g_assert_null(world->kernel->modules);
}

static void
test_broken_list(void)
{
    g_autoptr(StackWorld) world = world_new();

    put(world, STACK_WORLD_MODULE + MODULE_LIST, STACK_WORLD_MODULE + MODULE_LIST);
    put(world, STACK_WORLD_MODULE + MODULE_LIST + 8, STACK_WORLD_MODULES);
    expect_error(world, MOSE_ERROR_AGAIN, "changed while it was read");
    /* That leads round in a circle, all its links in order. */
    put(world, STACK_WORLD_MODULES, STACK_WORLD_MODULE + MODULE_LIST);
    put(world, STACK_WORLD_MODULE + MODULE_LIST + 8, STACK_WORLD_MODULE + MODULE_LIST);
    expect_error(world, MOSE_ERROR_AGAIN, "changed while it was read");
}

static void
test_absurd_part(void)
{
    g_autoptr(StackWorld) world = world_new();

    stack_world_put(world, STACK_WORLD_MODULE + MODULE_MEM + 8, 0xffffffff, 4);
    expect_error(world, MOSE_ERROR_INVALID, "makes no sense");
}

static void
test_absurd_count(void)
{
    g_autoptr(StackWorld) world = world_new();

    stack_world_put(world, KALLSYMS + KALLSYMS_NUM, 0xffffffff, 4);
    expect_error(world, MOSE_ERROR_INVALID, "their number makes no sense");
    stack_world_put(world, KALLSYMS + KALLSYMS_NUM, 0x8000, 4);
    expect_error(world, MOSE_ERROR_NOT_FOUND, "symbols of module one");
    stack_world_put(world, KALLSYMS + KALLSYMS_NUM, 4, 4);
    stack_world_put(world, STACK_WORLD_MODULE + MODULE_NUM_SYMS, 0xffffff, 4);
    expect_error(world, MOSE_ERROR_INVALID, "more are exported");
}

static void
test_absurd_names(void)
{
    g_autoptr(StackWorld) world = world_new();
    g_autofree char *endless = g_malloc(4096);

    put_symbol(world, 1, CODE, 0x7fffffff, 't', 1);
    expect_error(world, MOSE_ERROR_INVALID, "64 MB");
    put_symbol(world, 1, CODE, 0x100000, 't', 1);
    expect_error(world, MOSE_ERROR_NOT_FOUND, "cannot be read");
    /* Up to the end of what there is. */
    memset(endless, 'x', 4096);
    vmi_world_write(world->world, LAST_PAGE, endless, 4096);
    put(world, KALLSYMS + KALLSYMS_STRTAB, LAST_PAGE);
    put_symbol(world, 1, CODE, 4000, 't', 1);
    expect_error(world, MOSE_ERROR_INVALID, "a name has no end");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/modules/none", test_none);
    g_test_add_func("/modules/one", test_one);
    g_test_add_func("/modules/users", test_users);
    g_test_add_func("/modules/unformed", test_unformed);
    g_test_add_func("/modules/symbols", test_symbols);
    g_test_add_func("/modules/broken-list", test_broken_list);
    g_test_add_func("/modules/absurd-part", test_absurd_part);
    g_test_add_func("/modules/absurd-count", test_absurd_count);
    g_test_add_func("/modules/absurd-names", test_absurd_names);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kallsyms in the forms of different kernels: found in an image, read, and refused
 * where something in them is wrong. */
#include <string.h>

#include "lib/make-kallsyms.h"
#include "lib/vmi-world.h"
#include "util/error.h"

#define TEXT G_GUINT64_CONSTANT(0xffffffff9a000000)
enum { N = 1000, IMAGE = 512 << 10, PLACE = 0x3000, RAM = 2 << 20 };

typedef struct {
    GArray *symbols;
    GPtrArray *names;
    VmiWorld *world;
    MoseMemory *memory;
    MoseSpace *space;
} World;

static void
add(World *world, guint64 address, char type, char *name)
{
    MakeKallsymsSymbol symbol = { address, type, name };

    g_ptr_array_add(world->names, name);
    g_array_append_val(world->symbols, symbol);
}

/* Per-CPU variables below, two names at one address, one of 600 characters. */
static void
make_symbols(World *world, gboolean percpu)
{
    for (guint i = 0; percpu && i < 20; i++)
        add(world, i * 8, 'A', g_strdup_printf("per_cpu_%u", i));
    add(world, TEXT, 'T', g_strdup("_text"));
    add(world, TEXT, 'T', g_strdup("_stext"));
    for (guint i = 1; i <= N; i++)
        add(world, TEXT + i * 16, i % 3 ? 'T' : 't',
            g_strdup_printf("mose_%u_function", i));
    add(world, TEXT + 0x10000, 'd', g_strnfill(300, 'y'));
}

static void
world_open(World *world, MakeKallsymsKind kind, gboolean percpu)
{
    g_autoptr(GByteArray) table = NULL;

    world->symbols = g_array_new(FALSE, FALSE, sizeof(MakeKallsymsSymbol));
    world->names = g_ptr_array_new_with_free_func(g_free);
    make_symbols(world, percpu);
    table = make_kallsyms(kind, percpu, (MakeKallsymsSymbol *)world->symbols->data,
                          world->symbols->len, TEXT, PLACE);
    g_assert_cmpuint(PLACE + table->len, <=, IMAGE);
    world->world = vmi_world_new(RAM);
    vmi_world_map(world->world, TEXT, 0, IMAGE);
    vmi_world_write(world->world, TEXT + PLACE, table->data, table->len);
    world->memory = vmi_world_memory(world->world);
    world->space = mose_space_new(world->memory, &world->world->vcpu.paging);
}

static void
world_close(World *world)
{
    g_array_unref(world->symbols);
    g_ptr_array_unref(world->names);
    mose_space_free(world->space);
    mose_memory_free(world->memory);
    vmi_world_free(world->world);
}

static gboolean
find(const World *world, MoseKallsyms *ret, GError **error)
{
    return mose_kallsyms_find(world->world->ram, IMAGE, TEXT, ret, error);
}

/* All that was put in comes out, in its order. */
static void
check_all(const World *world, const MoseSymbols *symbols)
{
    g_assert_cmpuint(mose_symbols_count(symbols), ==, world->symbols->len);
    for (guint i = 0; i < world->symbols->len; i++) {
        const MoseSymbol *got = mose_symbols_nth(symbols, i);
        const MakeKallsymsSymbol *want =
            &g_array_index(world->symbols, MakeKallsymsSymbol, i);

        g_assert_cmpstr(got->name, ==, want->name);
        g_assert_cmphex(got->address, ==, want->address);
        g_assert_cmpint(got->type, ==, want->type);
        g_assert_null(got->module);
        /* Many are anagrams of each other. */
        got = mose_symbols_by_name(symbols, NULL, want->name);
        g_assert_nonnull(got);
        g_assert_cmpstr(got->name, ==, want->name);
        g_assert_cmphex(got->address, ==, want->address);
        if (want->address > TEXT && i + 1 < world->symbols->len)
            g_assert_true(mose_symbols_by_address(symbols, want->address + 7) == got);
    }
    g_assert_null(mose_symbols_by_name(symbols, NULL, "mose_1_functiom"));
    g_assert_null(mose_symbols_by_name(symbols, NULL, ""));
}

static void
test_forms(void)
{
    for (int kind = 0; kind < MAKE_KALLSYMS_N; kind++)
        for (int percpu = 0; percpu <= 1; percpu++) {
            World world;
            MoseKallsyms table;
            g_autoptr(GError) error = NULL;
            g_autoptr(MoseSymbols) symbols = mose_symbols_new();

            /* 7.x has no such symbols: their places are addresses like others. */
            if (kind == MAKE_KALLSYMS_OWN && percpu)
                continue;
            world_open(&world, kind, percpu);
            g_assert_true(find(&world, &table, &error));
            g_assert_no_error(error);
            g_assert_true(
                mose_kallsyms_read(&table, world.space, TEXT, symbols, &error));
            g_assert_no_error(error);
            mose_symbols_finish(symbols);
            check_all(&world, symbols);
            world_close(&world);
        }
}

/* Each byte of it destroyed in turn (every 13th, to be done soon): it is found as it
 * was or not at all, and reading it never goes wrong. */
static void
test_damaged(void)
{
    World world;
    MoseKallsyms good, table;
    guint refused = 0;

    world_open(&world, MAKE_KALLSYMS_NEW, TRUE);
    g_assert_true(find(&world, &good, NULL));
    for (gsize at = PLACE; at < good.base + 8; at += 13) {
        g_autoptr(MoseSymbols) symbols = mose_symbols_new();
        guint8 before = world.world->ram[at];

        world.world->ram[at] ^= 0xff;
        if (find(&world, &table, NULL))
            mose_kallsyms_read(&table, world.space, TEXT, symbols, NULL);
        else
            refused++;
        world.world->ram[at] = before;
    }
    g_assert_cmpuint(refused, >, 0);
    world_close(&world);
}

static void
check_refused(World *world, const MoseKallsyms *table, int code, const char *says)
{
    g_autoptr(MoseSymbols) symbols = mose_symbols_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(mose_kallsyms_read(table, world->space, TEXT, symbols, &error));
    g_assert_error(error, MOSE_ERROR, code);
    g_assert_nonnull(strstr(error->message, says));
}

/* What a cache may say of another kernel. */
static void
test_wrong_place(void)
{
    World world;
    MoseKallsyms good, bad;

    world_open(&world, MAKE_KALLSYMS_OLD, FALSE);
    g_assert_true(find(&world, &good, NULL));
    bad = good;
    bad.names_size = 100;
    check_refused(&world, &bad, MOSE_ERROR_INVALID, "they end");
    bad = good;
    bad.tokens_size = 60;
    check_refused(&world, &bad, MOSE_ERROR_INVALID, "a token");
    bad = good;
    bad.n_symbols = MOSE_KALLSYMS_MAX_SYMBOLS + 1;
    check_refused(&world, &bad, MOSE_ERROR_INVALID, "no sense");
    bad = good;
    bad.names = IMAGE - 8;
    check_refused(&world, &bad, MOSE_ERROR_NOT_FOUND, "not mapped");
    world_close(&world);
}

/* An image with nothing but tokens, and one with names that are all one step away from
 * right, take bounded time. */
static void
test_endless(void)
{
    g_autofree guint8 *image = g_malloc(IMAGE);
    g_autoptr(GError) error = NULL;
    MoseKallsyms table;

    for (gsize i = 0; i < IMAGE; i++)
        image[i] = i % 2 ? 0 : '0' + i / 2 % 10;
    g_assert_false(mose_kallsyms_find(image, IMAGE, TEXT, &table, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "no kallsyms"));
}

/* --- what is done with them --- */

static void
test_symbols(void)
{
    g_autoptr(MoseSymbols) symbols = mose_symbols_new();

    mose_symbols_add(symbols, 0x2000, 't', "second", -1, NULL, 0);
    mose_symbols_add(symbols, 0x1000, 't', "first_local", -1, NULL, 0);
    mose_symbols_add(symbols, 0x1000, 'T', "first", -1, NULL, 0);
    mose_symbols_add(symbols, 0x1000, 'T', "first_again", -1, NULL, 0);
    mose_symbols_add(symbols, 0x9000, 't', "second", -1, "module", 0x10);
    mose_symbols_finish(symbols);

    g_assert_cmpstr(mose_symbols_by_address(symbols, 0x1fff)->name, ==, "first");
    g_assert_cmpuint(mose_symbols_by_address(symbols, 0x1000)->size, ==, 0x1000);
    g_assert_null(mose_symbols_by_address(symbols, 0xfff));
    g_assert_cmpstr(mose_symbols_by_address(symbols, 0x900f)->module, ==, "module");
    g_assert_null(mose_symbols_by_address(symbols, 0x9010));
    g_assert_cmphex(mose_symbols_by_name(symbols, NULL, "second")->address, ==, 0x2000);
    g_assert_cmphex(mose_symbols_by_name(symbols, "module", "second")->address, ==,
                    0x9000);
    g_assert_null(mose_symbols_by_name(symbols, "module", "first"));
    g_assert_null(mose_symbols_by_name(symbols, NULL, "third"));
}

/* Those of modules among the kernel's, which were asked for before. */
static void
test_modules(void)
{
    World world;
    MoseKallsyms table;
    g_autoptr(MoseSymbols) symbols = mose_symbols_new();
    const MoseSymbol *before, *got;
    guint count;

    world_open(&world, MAKE_KALLSYMS_NEW, TRUE);
    g_assert_true(find(&world, &table, NULL));
    g_assert_true(mose_kallsyms_read(&table, world.space, TEXT, symbols, NULL));
    mose_symbols_finish(symbols);
    before = mose_symbols_by_name(symbols, NULL, "mose_2_function");
    count = mose_symbols_count(symbols);
    mose_symbols_add(symbols, TEXT + 0x25, 't', "mose_3_function", -1, "module", 3);
    mose_symbols_add(symbols, TEXT + 0x24, 't', "mose_0_function", -1, "module", 0);
    mose_symbols_finish(symbols);

    g_assert_cmpuint(mose_symbols_count(symbols), ==, count + 2);
    for (guint i = 1; i < count + 2; i++)
        g_assert_cmphex(mose_symbols_nth(symbols, i - 1)->address, <=,
                        mose_symbols_nth(symbols, i)->address);
    g_assert_cmpstr(before->name, ==, "mose_2_function");
    got = mose_symbols_by_name(symbols, NULL, "mose_2_function");
    g_assert_cmphex(got->address, ==, TEXT + 0x20);
    g_assert_cmpuint(got->size, ==, 4);
    g_assert_null(mose_symbols_by_name(symbols, NULL, "mose_3_function")->module);
    g_assert_cmphex(mose_symbols_by_name(symbols, "module", "mose_3_function")->address,
                    ==, TEXT + 0x25);
    g_assert_cmpuint(mose_symbols_by_name(symbols, NULL, "mose_0_function")->size, ==,
                     1);
    g_assert_null(mose_symbols_by_address(symbols, TEXT + 0x28));
    g_assert_cmpstr(mose_symbols_by_address(symbols, TEXT + 0x27)->module, ==,
                    "module");
    world_close(&world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kallsyms/forms", test_forms);
    g_test_add_func("/kallsyms/damaged", test_damaged);
    g_test_add_func("/kallsyms/wrong-place", test_wrong_place);
    g_test_add_func("/kallsyms/endless", test_endless);
    g_test_add_func("/kallsyms/symbols", test_symbols);
    g_test_add_func("/kallsyms/modules", test_modules);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks of xarrays made by hand: of one entry, of several levels, with what is reserved
 * in them; broken ones, endless ones, and one that changes under the reader. */
#include <string.h>

#include "lib/vmi-world.h"
#include "util/error.h"
#include "vmi/linux/xarray.h"

#define BASE G_GUINT64_CONSTANT(0xffff888000000000)
enum { RAM = 1 << 20, MAPPED = 64 << 10, ARRAY = 0x100, NODE = 0x1000, STEP = 0x400 };

/* As Linux 6.1 has them. */
static const MoseXarrayLayout layout = {
    .head = 8,
    .size = 576,
    .shift = 0,
    .offset = 1,
    .parent = 8,
    .slots = 40,
    .n_slots = 64,
};

typedef struct {
    VmiWorld *world;
    MoseMemory *memory;
    MoseSpace *space;
    GArray *found; /* guint64: index, entry, index, ... */
    guint stop_after;
} World;

static void
world_open(World *world)
{
    *world = (World){ .world = vmi_world_new(RAM) };
    vmi_world_map(world->world, BASE, 0, MAPPED);
    world->memory = vmi_world_memory(world->world);
    world->space = mose_space_new(world->memory, &world->world->vcpu.paging);
    world->found = g_array_new(FALSE, FALSE, sizeof(guint64));
}

static void
world_close(World *world)
{
    g_array_unref(world->found);
    mose_space_free(world->space);
    mose_memory_free(world->memory);
    vmi_world_free(world->world);
}

static guint64
node_at(guint number)
{
    return BASE + NODE + number * (guint64)STEP;
}

static guint64
to_node(guint number)
{
    return node_at(number) + 2;
}

/* Node @number, in slot @offset of @parent; -1: of the array. */
static void
make_node(World *world, guint number, gint parent, guint offset, guint shift)
{
    guint64 at = node_at(number);

    vmi_world_put(world->world, at, shift, 1);
    vmi_world_put(world->world, at + 1, offset, 1);
    vmi_world_put(world->world, at + 8, parent < 0 ? 0 : node_at(parent), 8);
}

static void
set_slot(World *world, guint number, guint slot, guint64 entry)
{
    vmi_world_put(world->world, node_at(number) + 40 + slot * (guint64)8, entry, 8);
}

static void
set_head(World *world, guint64 entry)
{
    vmi_world_put(world->world, BASE + ARRAY + 8, entry, 8);
}

static gboolean
take(guint64 index, guint64 entry, gpointer data, GError **error)
{
    World *world = data;

    g_array_append_val(world->found, index);
    g_array_append_val(world->found, entry);
    return world->stop_after == 0 || world->found->len / 2 < world->stop_after;
}

static gboolean
walk(World *world, guint max, GError **error)
{
    g_array_set_size(world->found, 0);
    return mose_xarray_walk(world->space, &layout, BASE + ARRAY, max, take, world,
                            error);
}

static void
assert_found(const World *world, const guint64 *want, guint n)
{
    g_assert_cmpmem(world->found->data, world->found->len * sizeof(guint64), want,
                    n * sizeof(guint64));
}

/* Three levels: entries 5, 64 + 3, and 2 * 4096 + 63 * 64 + 63, a value. */
static void
make_tree(World *world)
{
    make_node(world, 0, -1, 0, 12);
    make_node(world, 1, 0, 0, 6);
    make_node(world, 2, 1, 0, 0);
    make_node(world, 3, 1, 1, 0);
    make_node(world, 4, 0, 2, 6);
    make_node(world, 5, 4, 63, 0);
    set_head(world, to_node(0));
    set_slot(world, 0, 0, to_node(1));
    set_slot(world, 0, 2, to_node(4));
    set_slot(world, 1, 0, to_node(2));
    set_slot(world, 1, 1, to_node(3));
    set_slot(world, 4, 63, to_node(5));
    set_slot(world, 2, 5, BASE + 0x500);
    set_slot(world, 3, 3, BASE + 0x600);
    set_slot(world, 5, 63, 4711 << 1 | 1);
}

static const guint64 in_tree[] = {
    5, BASE + 0x500, 67, BASE + 0x600, 2 * 4096 + 63 * 64 + 63, 4711 << 1 | 1
};

static void
test_levels(void)
{
    World world;
    g_autoptr(GError) error = NULL;
    const guint64 one[] = { 0, BASE + 0x700 };

    world_open(&world);
    g_assert_true(walk(&world, 10, &error));
    g_assert_cmpuint(world.found->len, ==, 0);
    set_head(&world, BASE + 0x700);
    g_assert_true(walk(&world, 10, &error));
    assert_found(&world, one, 2);
    make_tree(&world);
    g_assert_true(walk(&world, 10, &error));
    g_assert_no_error(error);
    assert_found(&world, in_tree, G_N_ELEMENTS(in_tree));
    world.stop_after = 2;
    g_assert_true(walk(&world, 10, &error));
    assert_found(&world, in_tree, 4);
    world_close(&world);
}

/* Siblings of an entry for several numbers, and one that is reserved, are no entries.
 */
static void
test_reserved(void)
{
    World world;
    g_autoptr(GError) error = NULL;

    world_open(&world);
    make_tree(&world);
    set_slot(&world, 2, 6, 5 << 2 | 2);
    set_slot(&world, 2, 7, 257 << 2 | 2);
    g_assert_true(walk(&world, 10, &error));
    assert_found(&world, in_tree, G_N_ELEMENTS(in_tree));
    set_slot(&world, 2, 8, 256 << 2 | 2); /* XA_RETRY_ENTRY */
    g_assert_false(walk(&world, 10, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
    world_close(&world);
}

static void
assert_invalid(World *world, guint max, const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(walk(world, max, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    if (!strstr(error->message, says))
        g_error("not '%s': %s", says, error->message);
}

static void
test_broken(void)
{
    World world;

    world_open(&world);
    make_tree(&world);
    assert_invalid(&world, 2, "more than 2 entries");
    make_node(&world, 3, 4, 1, 0);
    assert_invalid(&world, 10, "does not fit");
    make_node(&world, 3, 1, 2, 0);
    assert_invalid(&world, 10, "does not fit");
    make_node(&world, 3, 1, 1, 6);
    assert_invalid(&world, 10, "does not fit");
    make_node(&world, 3, 1, 1, 0);
    set_slot(&world, 3, 9, to_node(0));
    assert_invalid(&world, 10, "below its lowest level");
    set_slot(&world, 3, 9, 0);
    make_node(&world, 0, -1, 0, 63);
    assert_invalid(&world, 10, "impossible shift");
    set_head(&world, BASE + MAPPED + 2);
    assert_invalid(&world, 10, "cannot be read");
    world_close(&world);
}

/* In the middle of the walk slot 5 of node 2, or the head, changes. */
static World *changing;
static gboolean change_head;

static void
change(gpointer data, guint n)
{
    if (changing->found->len != 2)
        return;
    if (change_head)
        set_head(changing, to_node(4));
    else
        set_slot(changing, 2, 5, BASE + 0x800);
}

static void
test_changes(void)
{
    for (int i = 0; i < 2; i++) {
        World world;
        g_autoptr(GError) error = NULL;

        world_open(&world);
        make_tree(&world);
        changing = &world;
        change_head = i == 1;
        world.world->before_read = change;
        g_assert_false(walk(&world, 10, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
        world_close(&world);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xarray/levels", test_levels);
    g_test_add_func("/xarray/reserved", test_reserved);
    g_test_add_func("/xarray/broken", test_broken);
    g_test_add_func("/xarray/changes", test_changes);
    return g_test_run();
}

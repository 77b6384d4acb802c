/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks of red-black trees: whole ones, broken ones, and such as change meanwhile. */
#include <string.h>

#include "lib/vmi-world.h"
#include "util/error.h"
#include "vmi/linux/rbtree.h"

#define KERNEL G_GUINT64_CONSTANT(0xffff888000000000)
#define AT(offset) (KERNEL + (offset))
enum { RAM = 1 << 20, MAPPED = 256 << 10, ENTRY = 128, NODE = 16 };
enum { TREE = 0x400, ENTRIES = 0x10000 };

typedef struct {
    VmiWorld *world;
    MoseLinux kernel;
    GArray *told; /* of guint64 */
    gboolean fails;
} World;

static void
world_init(World *w)
{
    *w = (World){ .world = vmi_world_new(RAM) };
    vmi_world_map(w->world, KERNEL, 0, MAPPED);
    w->kernel.memory = vmi_world_memory(w->world);
    w->kernel.space = mose_space_new(w->kernel.memory, &w->world->vcpu.paging);
    w->told = g_array_new(FALSE, FALSE, sizeof(guint64));
}

static void
world_clear(World *w)
{
    mose_space_free(w->kernel.space);
    mose_memory_free(w->kernel.memory);
    vmi_world_free(w->world);
    g_array_unref(w->told);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static guint64
entry_at(guint n)
{
    return AT(ENTRIES) + (guint64)n * ENTRY;
}

static guint64
node_at(guint n)
{
    return entry_at(n) + NODE;
}

/* Entries @first to @end - 1, the middle one on top; the address of that one's node. */
static guint64
put_tree(World *w, guint first, guint end, guint64 parent)
{
    guint middle = first + (end - first) / 2;
    guint64 node = node_at(middle);

    if (first == end)
        return 0;
    /* Bit 0 is the colour: black. */
    vmi_world_put(w->world, node, parent | (middle & 1), 8);
    vmi_world_put(w->world, node + 8, put_tree(w, middle + 1, end, node), 8);
    vmi_world_put(w->world, node + 16, put_tree(w, first, middle, node), 8);
    return node;
}

static void
make_tree(World *w, guint n)
{
    world_init(w);
    vmi_world_put(w->world, AT(TREE), put_tree(w, 0, n, 0), 8);
}

static gboolean
take(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    World *w = data;

    g_array_append_val(w->told, entry);
    if (w->fails)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "as it was told to");
    return !w->fails;
}

static gboolean
walk_of(World *w, guint max, GError **error)
{
    g_array_set_size(w->told, 0);
    return mose_rbtree_walk(&w->kernel, AT(TREE), NODE, max, take, w, error);
}

static void
expect_error(World *w, int code, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(walk_of(w, 1000, &error));
    g_assert_error(error, MOSE_ERROR, code);
    g_assert_nonnull(strstr(error->message, words));
}

static void
test_order(void)
{
    static const guint counts[] = { 0, 1, 2, 3, 100 };

    for (guint c = 0; c < G_N_ELEMENTS(counts); c++) {
        g_autoptr(GError) error = NULL;
        g_auto(World) w = { 0 };

        make_tree(&w, counts[c]);
        g_assert_true(walk_of(&w, counts[c], &error));
        g_assert_no_error(error);
        g_assert_cmpuint(w.told->len, ==, counts[c]);
        for (guint i = 0; i < counts[c]; i++)
            g_assert_cmphex(g_array_index(w.told, guint64, i), ==, entry_at(i));
    }
}

static void
test_broken(void)
{
    g_auto(World) cycle = { 0 }, deep = { 0 }, many = { 0 }, hole = { 0 };
    g_autoptr(GError) error = NULL;

    make_tree(&cycle, 20);
    vmi_world_put(cycle.world, node_at(0) + 16, node_at(10), 8);
    expect_error(&cycle, MOSE_ERROR_AGAIN, "changed");
    make_tree(&hole, 20);
    vmi_world_put(hole.world, node_at(0) + 16, AT(MAPPED), 8);
    expect_error(&hole, MOSE_ERROR_AGAIN, "changed");
    make_tree(&many, 20);
    g_assert_false(walk_of(&many, 19, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    world_init(&deep);
    vmi_world_put(deep.world, AT(TREE), node_at(0), 8);
    for (guint i = 0; i < 100; i++) {
        vmi_world_put(deep.world, node_at(i), i ? node_at(i - 1) : 0, 8);
        vmi_world_put(deep.world, node_at(i) + 16, node_at(i + 1), 8);
    }
    expect_error(&deep, MOSE_ERROR_INVALID, "deep");
}

typedef struct {
    VmiWorld *world;
    guint at;
} Change;

/* A leaf goes. */
static void
change(gpointer data, guint n)
{
    const Change *c = data;

    if (n == c->at)
        memset(c->world->ram + (node_at(1) - KERNEL) + 16, 0, 8);
}

static void
test_changes(void)
{
    guint noticed = 0, before = 0, after = 0;

    for (guint at = 1; at < 60; at++) {
        g_autoptr(GError) error = NULL;
        g_auto(World) w = { 0 };
        Change c;

        make_tree(&w, 20);
        g_assert_true(walk_of(&w, 20, NULL));
        c = (Change){ w.world, w.world->reads + at };
        w.world->before_read = change;
        w.world->data = &c;
        if (!walk_of(&w, 20, &error)) {
            g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
            noticed++;
        } else if (w.told->len == 20) {
            before++;
        } else {
            g_assert_cmpuint(w.told->len, ==, 19);
            after++;
        }
    }
    g_assert_cmpuint(noticed, >, 0);
    g_assert_cmpuint(before, >, 0);
    g_assert_cmpuint(after, >, 0);
}

/* What fails in a tree that has changed fails because of that. */
static void
test_change_explains(void)
{
    g_auto(World) w = { 0 };
    Change c;

    make_tree(&w, 20);
    w.fails = TRUE;
    expect_error(&w, MOSE_ERROR_NOT_FOUND, "told to");
    c = (Change){ w.world, w.world->reads + 7 };
    w.world->before_read = change;
    w.world->data = &c;
    expect_error(&w, MOSE_ERROR_AGAIN, "changed");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rbtree/order", test_order);
    g_test_add_func("/rbtree/broken", test_broken);
    g_test_add_func("/rbtree/changes", test_changes);
    g_test_add_func("/rbtree/change-explains", test_change_explains);
    return g_test_run();
}

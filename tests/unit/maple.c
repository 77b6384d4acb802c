/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks of maple trees: whole ones, broken ones, and such as change meanwhile. */
#include <string.h>

#include "lib/make-maple.h"
#include "util/error.h"

#define KERNEL G_GUINT64_CONSTANT(0xffff888000000000)
#define TREE (KERNEL + 64)
#define NODES (KERNEL + 256)
enum { RAM = 1 << 20, MAPPED = 512 << 10, MAX = 10000 };

typedef struct {
    VmiWorld *world;
    MoseMemory *memory;
    MoseSpace *space;
    GArray *told; /* of MakeMapleRange */
    guint stop;   /* after as many: FALSE */
    gboolean fails;
} World;

static void
world_init(World *w)
{
    *w = (World){ .world = vmi_world_new(RAM) };
    vmi_world_map(w->world, KERNEL, 0, MAPPED);
    w->memory = vmi_world_memory(w->world);
    w->space = mose_space_new(w->memory, &w->world->vcpu.paging);
    w->told = g_array_new(FALSE, FALSE, sizeof(MakeMapleRange));
}

static void
world_clear(World *w)
{
    mose_space_free(w->space);
    mose_memory_free(w->memory);
    vmi_world_free(w->world);
    g_array_unref(w->told);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static gboolean
take(guint64 first, guint64 last, guint64 entry, gpointer data, GError **error)
{
    World *w = data;
    MakeMapleRange range = { first, last, entry };

    g_array_append_val(w->told, range);
    if (w->told->len != w->stop)
        return TRUE;
    if (w->fails)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "as it was told to");
    return FALSE;
}

static gboolean
walk_of(World *w, guint max, GError **error)
{
    g_array_set_size(w->told, 0);
    return mose_maple_walk(w->space, &make_maple_layout, TREE, max, take, w, error);
}

static void
check_told(const World *w, const MakeMapleRange *ranges, guint n)
{
    g_assert_cmpuint(w->told->len, ==, n);
    for (guint i = 0; i < n; i++) {
        const MakeMapleRange *got = &g_array_index(w->told, MakeMapleRange, i);

        g_assert_cmphex(got->first, ==, ranges[i].first);
        g_assert_cmphex(got->last, ==, ranges[i].last);
        g_assert_cmphex(got->entry, ==, ranges[i].entry);
    }
}

static void
expect(World *w, const MakeMapleRange *ranges, guint n)
{
    g_autoptr(GError) error = NULL;

    walk_of(w, MAX, &error);
    g_assert_no_error(error);
    check_told(w, ranges, n);
}

static void
expect_error(World *w, int code, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(walk_of(w, MAX, &error));
    g_assert_error(error, MOSE_ERROR, code);
    g_assert_nonnull(strstr(error->message, words));
}

/* --- whole trees --- */

static void
test_root(void)
{
    static const MakeMapleRange one = { 0, 0, 0xffff888000001230 };
    g_auto(World) w = { 0 };

    world_init(&w);
    expect(&w, NULL, 0);
    vmi_world_put(w.world, TREE + 8, one.entry, 8);
    expect(&w, &one, 1);
    /* XA_ZERO_ENTRY */
    vmi_world_put(w.world, TREE + 8, 257 << 2 | 2, 8);
    expect(&w, NULL, 0);
}

/* @n ranges with gaps of each kind, also none. */
static MakeMapleRange *
make_ranges(guint n, guint64 begin)
{
    MakeMapleRange *ranges = g_new(MakeMapleRange, n);
    guint64 at = begin;

    for (guint i = 0; i < n; i++) {
        ranges[i] = (MakeMapleRange){ at, at + i * 37 % 5000, KERNEL + 8 + 64 * i };
        at = ranges[i].last + 1 + (i % 3 == 0 ? 0 : i * 11 % 700);
    }
    return ranges;
}

/* Nodes filled in all ways, in which the end is told in one way or another. */
static void
test_levels(void)
{
    static const guint counts[] = { 1, 2, 15, 16, 17, 300 };

    for (guint fill = 2; fill <= 16; fill++)
        for (guint i = 0; i < G_N_ELEMENTS(counts); i++)
            for (guint alloc = 0; alloc < 2; alloc++) {
                g_autofree MakeMapleRange *ranges = make_ranges(counts[i], i % 2 * 77);
                g_auto(World) w = { 0 };

                world_init(&w);
                make_maple(w.world, TREE, NODES, ranges, counts[i], alloc, fill);
                expect(&w, ranges, counts[i]);
            }
}

/* To the last number, and an entry that is reserved on the way. */
static void
test_ends(void)
{
    static const MakeMapleRange ranges[] = {
        { 0, 0, 0x1230 },
        { 1, 5, 257 << 2 | 2 },
        { 6, G_MAXUINT64 - 1, 0x4560 },
        { G_MAXUINT64, G_MAXUINT64, 0x7890 },
    };
    const MakeMapleRange told[] = { ranges[0], ranges[2], ranges[3] };
    g_auto(World) w = { 0 };

    world_init(&w);
    make_maple(w.world, TREE, NODES, ranges, G_N_ELEMENTS(ranges), TRUE, 4);
    expect(&w, told, G_N_ELEMENTS(told));
}

static void
test_dense(void)
{
    static const MakeMapleRange told[] = { { 3, 3, 0x1230 }, { 30, 30, 0x4560 } };
    g_auto(World) w = { 0 };

    world_init(&w);
    vmi_world_put(w.world, TREE + 8, make_maple_enode(NODES, MAKE_MAPLE_DENSE) | 2, 8);
    vmi_world_put(w.world, NODES, TREE | 1, 8);
    vmi_world_put(w.world, NODES + 8 + 3 * 8, 0x1230, 8);
    vmi_world_put(w.world, NODES + 8 + 30 * 8, 0x4560, 8);
    expect(&w, told, G_N_ELEMENTS(told));
}

static void
test_stop(void)
{
    g_autofree MakeMapleRange *ranges = make_ranges(100, 0);
    g_autoptr(GError) error = NULL;
    g_auto(World) w = { 0 };

    world_init(&w);
    make_maple(w.world, TREE, NODES, ranges, 100, TRUE, 8);
    w.stop = 42;
    expect(&w, ranges, 42);
    w.fails = TRUE;
    g_assert_false(walk_of(&w, MAX, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

/* --- broken ones --- */

/* 40 entries: leaves at NODES, NODES + 256, ...; the root is the last node. */
static guint64
make_broken(World *w)
{
    g_autofree MakeMapleRange *ranges = make_ranges(40, 0x1000);

    world_init(w);
    return make_maple(w->world, TREE, NODES, ranges, 40, TRUE, 8) - 256;
}

static void
test_parents(void)
{
    g_auto(World) cycle = { 0 }, dead = { 0 }, slot = { 0 }, hole = { 0 }, root = { 0 };
    guint64 top = make_broken(&cycle);

    vmi_world_put(cycle.world, top + 80 + 8, make_maple_enode(top, MAKE_MAPLE_ARANGE),
                  8);
    expect_error(&cycle, MOSE_ERROR_AGAIN, "changed");
    make_broken(&dead);
    vmi_world_put(dead.world, NODES + 256, NODES + 256, 8);
    expect_error(&dead, MOSE_ERROR_AGAIN, "changed");
    /* A node that another slot leads to. */
    make_broken(&slot);
    vmi_world_put(slot.world, top + 80 + 8, make_maple_enode(NODES, MAKE_MAPLE_LEAF),
                  8);
    expect_error(&slot, MOSE_ERROR_AGAIN, "changed");
    make_broken(&hole);
    vmi_world_put(hole.world, top + 80,
                  make_maple_enode(KERNEL + MAPPED, MAKE_MAPLE_LEAF), 8);
    expect_error(&hole, MOSE_ERROR_AGAIN, "changed");
    make_broken(&root);
    vmi_world_put(root.world, top, TREE + 64, 8);
    expect_error(&root, MOSE_ERROR_AGAIN, "changed");
}

static void
test_numbers(void)
{
    g_auto(World) falls = { 0 }, rises = { 0 }, type = { 0 }, end = { 0 };
    guint64 top = make_broken(&falls);

    vmi_world_put(falls.world, NODES + 8 + 3 * 8, 1, 8);
    expect_error(&falls, MOSE_ERROR_INVALID, "pivots");
    /* Beyond what the parent gives it. */
    make_broken(&rises);
    vmi_world_put(rises.world, NODES + 8 + 3 * 8, G_MAXUINT64 - 1, 8);
    expect_error(&rises, MOSE_ERROR_INVALID, "pivots");
    make_broken(&type);
    vmi_world_put(type.world, top + 80, make_maple_enode(NODES, 4), 8);
    expect_error(&type, MOSE_ERROR_INVALID, "type");
    make_broken(&end);
    vmi_world_put(end.world, top + 240, 10, 1);
    expect_error(&end, MOSE_ERROR_INVALID, "slots");
}

/* Each leads to the next one, as it should. */
static void
test_depth(void)
{
    g_auto(World) w = { 0 };

    world_init(&w);
    vmi_world_put(w.world, TREE + 8, make_maple_enode(NODES, MAKE_MAPLE_ARANGE) | 2, 8);
    vmi_world_put(w.world, NODES, TREE | 1, 8);
    for (guint i = 0; i < 100; i++) {
        guint64 at = NODES + 256 * i;

        vmi_world_put(w.world, at + 80, make_maple_enode(at + 256, MAKE_MAPLE_ARANGE),
                      8);
        vmi_world_put(w.world, at + 256, at | 6, 8);
    }
    expect_error(&w, MOSE_ERROR_INVALID, "deep");
}

static void
test_many(void)
{
    g_autofree MakeMapleRange *ranges = make_ranges(100, 0);
    g_autoptr(GError) error = NULL;
    g_auto(World) w = { 0 };

    world_init(&w);
    make_maple(w.world, TREE, NODES, ranges, 100, FALSE, 5);
    g_assert_true(walk_of(&w, 100, &error));
    g_assert_no_error(error);
    g_assert_false(walk_of(&w, 99, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "too many"));
}

/* --- such as change --- */

typedef struct {
    VmiWorld *world;
    guint at; /* the number of the read before which it changes */
} Change;

/* The last entry of the first leaf that is not the last slot. */
static void
change(gpointer data, guint n)
{
    const Change *c = data;

    if (n == c->at)
        c->world->ram[NODES - KERNEL + 128 + 8] ^= 0x80;
}

/* At whatever moment: it is noticed, or all is told as it was, or as it is then. */
static void
test_changes(void)
{
    guint noticed = 0, before = 0, after = 0;

    for (guint at = 1; at < 60; at++) {
        g_autoptr(GError) error = NULL;
        g_auto(World) w = { 0 };
        Change c;
        guint64 old, entry;

        make_broken(&w);
        g_assert_true(walk_of(&w, MAX, NULL));
        old = g_array_index(w.told, MakeMapleRange, 0).entry;
        c = (Change){ w.world, w.world->reads + at };
        w.world->before_read = change;
        w.world->data = &c;
        if (!walk_of(&w, MAX, &error)) {
            g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
            noticed++;
            continue;
        }
        entry = g_array_index(w.told, MakeMapleRange, 0).entry;
        g_assert_true(entry == old || entry == (old ^ 0x80));
        entry == old ? before++ : after++;
    }
    g_assert_cmpuint(noticed, >, 0);
    g_assert_cmpuint(before, >, 0);
    g_assert_cmpuint(after, >, 0);
}

/* What @func says of an entry that was freed meanwhile counts for nothing. */
static void
test_change_explains(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(World) w = { 0 };
    Change c;

    make_broken(&w);
    w.stop = 7;
    w.fails = TRUE;
    g_assert_false(walk_of(&w, MAX, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_clear_error(&error);
    /* After the first leaf was read: when the nodes are looked at again. */
    c = (Change){ w.world, w.world->reads + 4 };
    w.world->before_read = change;
    w.world->data = &c;
    g_assert_false(walk_of(&w, MAX, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/maple/root", test_root);
    g_test_add_func("/maple/levels", test_levels);
    g_test_add_func("/maple/ends", test_ends);
    g_test_add_func("/maple/dense", test_dense);
    g_test_add_func("/maple/stop", test_stop);
    g_test_add_func("/maple/parents", test_parents);
    g_test_add_func("/maple/numbers", test_numbers);
    g_test_add_func("/maple/depth", test_depth);
    g_test_add_func("/maple/many", test_many);
    g_test_add_func("/maple/changes", test_changes);
    g_test_add_func("/maple/change-explains", test_change_explains);
    return g_test_run();
}

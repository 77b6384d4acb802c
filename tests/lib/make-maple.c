/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maple trees, from their leaves up. See make-maple.h. */
#include "lib/make-maple.h"

#define NODE 256

const MoseMapleLayout make_maple_layout = {
    .root = 8,
    .size = NODE,
    .parent = 0,
    .dense = 8,
    .n_dense = 31,
    .range = { .pivots = 8, .n_pivots = 15, .slots = 128, .n_slots = 16, .end = 248 },
    .arange = { .pivots = 8, .n_pivots = 9, .slots = 80, .n_slots = 10, .end = 240 },
};

guint64
make_maple_enode(guint64 address, guint type)
{
    return address | type << 3 | 4;
}

/* What becomes a slot: an entry, or a node of the level below. */
typedef struct {
    guint64 slot, last;
} Part;

/* All numbers, with the gaps in between. */
static GArray *
to_parts(const MakeMapleRange *ranges, guint n)
{
    GArray *parts = g_array_new(FALSE, FALSE, sizeof(Part));
    guint64 next = 0;

    for (guint i = 0; i < n; i++) {
        Part gap = { 0, ranges[i].first - 1 },
             part = { ranges[i].entry, ranges[i].last };

        if (ranges[i].first > next)
            g_array_append_val(parts, gap);
        g_array_append_val(parts, part);
        next = ranges[i].last + 1;
    }
    if (next != 0 || n == 0) {
        Part rest = { 0, G_MAXUINT64 };

        g_array_append_val(parts, rest);
    }
    return parts;
}

/* lib/maple_tree.c:ma_data_end is how the end is found again. */
static void
put_node(VmiWorld *world, guint64 at, guint type, const Part *parts, guint n)
{
    const MoseMapleNode *arrays = type == MAKE_MAPLE_ARANGE ? &make_maple_layout.arange
                                                            : &make_maple_layout.range;
    gboolean has_end = type == MAKE_MAPLE_ARANGE || n < arrays->n_pivots;

    for (guint i = 0; i < n; i++) {
        vmi_world_put(world, at + arrays->slots + 8 * i, parts[i].slot, 8);
        if (i < arrays->n_pivots && (i + 1 < n || !has_end))
            vmi_world_put(world, at + arrays->pivots + 8 * i, parts[i].last, 8);
        if (type != MAKE_MAPLE_LEAF)
            vmi_world_put(world, (parts[i].slot & ~(guint64)255), at | i << 3 | 6, 8);
    }
    if (has_end)
        vmi_world_put(world, at + arrays->end, n - 1, 1);
}

/* The nodes of one level. */
static GArray *
put_level(VmiWorld *world, guint64 *nodes, GArray *below, guint type, guint fill)
{
    GArray *level = g_array_new(FALSE, FALSE, sizeof(Part));

    for (guint i = 0; i < below->len; i += fill) {
        guint n = MIN(fill, below->len - i);
        Part part = { make_maple_enode(*nodes, type),
                      g_array_index(below, Part, i + n - 1).last };

        put_node(world, *nodes, type, &g_array_index(below, Part, i), n);
        g_array_append_val(level, part);
        *nodes += NODE;
    }
    g_array_unref(below);
    return level;
}

guint64
make_maple(VmiWorld *world, guint64 tree, guint64 nodes, const MakeMapleRange *ranges,
           guint n, gboolean alloc, guint fill)
{
    guint type = alloc ? MAKE_MAPLE_ARANGE : MAKE_MAPLE_RANGE;
    guint inner = alloc ? MIN(fill, make_maple_layout.arange.n_slots) : fill;
    GArray *level =
        put_level(world, &nodes, to_parts(ranges, n), MAKE_MAPLE_LEAF, fill);
    guint64 root;

    while (level->len > 1)
        level = put_level(world, &nodes, level, type, inner);
    root = g_array_index(level, Part, 0).slot;
    g_array_unref(level);
    vmi_world_put(world, root & ~(guint64)255, tree | 1, 8);
    vmi_world_put(world, tree + make_maple_layout.root, root | 2, 8);
    return nodes;
}

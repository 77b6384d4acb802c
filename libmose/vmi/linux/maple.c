/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks of maple trees. See maple.h. */
#include "vmi/linux/maple.h"

#include <string.h>

#include "util/error.h"

/* MAPLE_HEIGHT_MAX, Linux include/linux/maple_tree.h */
#define MAX_DEPTH 31
#define MAX_NODE 256

enum { DENSE, LEAF, RANGE, ARANGE, N_TYPES }; /* enum maple_type */

#define NODE_MASK G_GUINT64_CONSTANT(255)
#define TYPE_OF(enode) ((guint)((enode) >> 3 & 15))

/* --- where the parts are --- */

static gboolean
find_member(MoseLinux *kernel, const char *type, const char *path, guint *ret,
            gsize *ret_size, GError **error)
{
    guint64 offset;

    if (!mose_object_offset(kernel, type, path, &offset, ret_size, error))
        return FALSE;
    *ret = MIN(offset, G_MAXUINT);
    return TRUE;
}

static gboolean
find_arrays(MoseLinux *kernel, const char *type, MoseMapleNode *ret, GError **error)
{
    gsize pivots, slots, end;

    if (!find_member(kernel, type, "pivot", &ret->pivots, &pivots, error) ||
        !find_member(kernel, type, "slot", &ret->slots, &slots, error) ||
        !find_member(kernel, type, "meta.end", &ret->end, &end, error))
        return FALSE;
    ret->n_pivots = MIN(pivots / 8, G_MAXUINT);
    ret->n_slots = MIN(slots / 8, G_MAXUINT);
    return TRUE;
}

static gboolean
lies_within(guint at, guint n, guint unit, guint size)
{
    return at <= size && n <= (size - at) / unit;
}

static gboolean
arrays_fit(const MoseMapleNode *node, guint size)
{
    return node->n_slots >= 2 && node->n_pivots == node->n_slots - 1 &&
           lies_within(node->pivots, node->n_pivots, 8, size) &&
           lies_within(node->slots, node->n_slots, 8, size) &&
           lies_within(node->end, 1, 1, size);
}

/* Types are the guest's, too. */
static gboolean
check_layout(const MoseMapleLayout *layout, GError **error)
{
    if (layout->size >= 16 && layout->size <= MAX_NODE &&
        lies_within(layout->parent, 1, 8, layout->size) &&
        lies_within(layout->dense, layout->n_dense, 8, layout->size) &&
        arrays_fit(&layout->range, layout->size) &&
        arrays_fit(&layout->arange, layout->size))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the kernel's types tell of no maple tree that could be: nodes of %u "
                "bytes",
                layout->size);
    return FALSE;
}

gboolean
mose_maple_layout(MoseLinux *kernel, MoseMapleLayout *ret, GError **error)
{
    gsize size, slots;
    gint64 whole;

    *ret = (MoseMapleLayout){ 0 };
    if (!find_member(kernel, "maple_tree", "ma_root", &ret->root, &size, error) ||
        !find_member(kernel, "maple_node", "parent", &ret->parent, &size, error) ||
        !find_member(kernel, "maple_node", "slot", &ret->dense, &slots, error) ||
        !find_arrays(kernel, "maple_range_64", &ret->range, error) ||
        !find_arrays(kernel, "maple_arange_64", &ret->arange, error))
        return FALSE;
    whole =
        mose_types_size(kernel->types, mose_types_find(kernel->types, "maple_node"));
    ret->size = CLAMP(whole, 0, MAX_NODE + 1);
    ret->n_dense = MIN(slots / 8, G_MAXUINT);
    return check_layout(ret, error);
}

/* --- nodes, kept as they were read --- */

typedef struct {
    guint64 address;
    guint8 bytes[MAX_NODE];
} Node;

typedef struct {
    guint node; /* its place among the walk's nodes */
    guint type;
    guint slot, end; /* the next one, and the last one that is in use */
    guint64 min, max;
} Level;

typedef struct {
    MoseSpace *space;
    const MoseMapleLayout *layout;
    guint64 tree, root;
    guint max, n_entries;
    MoseMapleFunc func;
    gpointer data;
    GArray *nodes; /* of Node */
    Level levels[MAX_DEPTH];
    guint depth;
    gboolean ended; /* by @func */
} Walk;

static guint64
word_at(const Node *node, guint offset)
{
    guint64 word;

    memcpy(&word, node->bytes + offset, 8);
    return GUINT64_FROM_LE(word);
}

static gboolean
has_changed(const Walk *walk, guint64 at, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the maple tree at 0x%" G_GINT64_MODIFIER
                "x changed while it was read, at 0x%" G_GINT64_MODIFIER "x",
                walk->tree, at);
    return FALSE;
}

static gboolean
is_broken(const Walk *walk, guint64 at, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the maple tree at 0x%" G_GINT64_MODIFIER
                "x is broken at 0x%" G_GINT64_MODIFIER "x: %s",
                walk->tree, at, what);
    return FALSE;
}

static gboolean
read_root(const Walk *walk, guint64 *ret, GError **error)
{
    return mose_space_read_number(walk->space, walk->tree + walk->layout->root, 8, ret,
                                  error);
}

/* Whether all that was read is as it was. */
static gboolean
is_unchanged(const Walk *walk, GError **error)
{
    guint64 root;

    if (!read_root(walk, &root, error))
        return FALSE;
    if (root != walk->root)
        return has_changed(walk, walk->tree, error);
    for (guint i = 0; i < walk->nodes->len; i++) {
        const Node *node = &g_array_index(walk->nodes, Node, i);
        guint8 now[MAX_NODE];

        if (!mose_space_read(walk->space, node->address, now, walk->layout->size, NULL,
                             NULL) ||
            memcmp(now, node->bytes, walk->layout->size) != 0)
            return has_changed(walk, node->address, error);
    }
    return TRUE;
}

static const MoseMapleNode *
arrays_of(const Walk *walk, guint type)
{
    return type == ARANGE ? &walk->layout->arange : &walk->layout->range;
}

/* The last slot in use: lib/maple_tree.c:ma_data_end. */
static guint
find_end(const Walk *walk, const Node *node, guint type, guint64 max)
{
    const MoseMapleNode *arrays = arrays_of(walk, type);
    guint64 last;

    if (type == DENSE)
        return walk->layout->n_dense - 1;
    last = word_at(node, arrays->pivots + 8 * (arrays->n_pivots - 1));
    if (type == ARANGE || last == 0)
        return node->bytes[arrays->end];
    return last == max ? arrays->n_pivots - 1 : arrays->n_pivots;
}

/* --- down --- */

static gboolean
check_node(const Walk *walk, guint64 address, guint type, guint end, GError **error)
{
    if (type != DENSE && end >= arrays_of(walk, type)->n_slots)
        return is_broken(walk, address, "it has more slots than a node can have",
                         error);
    return TRUE;
}

/* @from is what its parent pointer must be, but for what bits 0 to 2 say. */
static gboolean
enter(Walk *walk, guint64 enode, guint64 from, guint64 min, guint64 max, GError **error)
{
    Node node = { .address = enode & ~NODE_MASK };
    guint type = TYPE_OF(enode), end;
    guint64 parent;

    if (type >= N_TYPES || (type == DENSE && walk->layout->n_dense == 0))
        return is_broken(walk, node.address, "a node of a type that is not known",
                         error);
    if (walk->depth == MAX_DEPTH)
        return is_broken(walk, node.address, "it is too deep", error);
    if (walk->nodes->len > (guint64)walk->max + MAX_DEPTH)
        return is_broken(walk, node.address, "it has too many nodes", error);
    if (!mose_space_read(walk->space, node.address, node.bytes, walk->layout->size,
                         NULL, NULL))
        return has_changed(walk, node.address, error);
    parent = word_at(&node, walk->layout->parent);
    if ((parent & ~NODE_MASK) == node.address || (parent & ~(guint64)7) != from)
        return has_changed(walk, node.address, error);
    end = find_end(walk, &node, type, max);
    if (!check_node(walk, node.address, type, end, error))
        return FALSE;
    g_array_append_val(walk->nodes, node);
    walk->levels[walk->depth++] =
        (Level){ walk->nodes->len - 1, type, 0, end, min, max };
    return TRUE;
}

/* Reserved ones, such as XA_ZERO_ENTRY: include/linux/maple_tree.h:mt_is_reserved */
static gboolean
is_reserved(guint64 entry)
{
    return entry < 4096 && (entry & 3) == 2;
}

static gboolean
tell(Walk *walk, guint64 first, guint64 last, guint64 entry, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (entry == 0 || is_reserved(entry))
        return TRUE;
    if (walk->n_entries++ == walk->max)
        return is_broken(walk, walk->tree, "it has too many entries", error);
    if (walk->func(first, last, entry, walk->data, &cause))
        return TRUE;
    walk->ended = TRUE;
    if (!cause)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* --- one slot after the other --- */

/* The numbers of the next slot; @level->min is where it begins. */
static gboolean
find_last(const Walk *walk, const Level *level, const Node *node, guint64 *ret,
          GError **error)
{
    *ret = level->max;
    if (level->type == DENSE)
        *ret = level->min;
    else if (level->slot < level->end)
        *ret = word_at(node, arrays_of(walk, level->type)->pivots + 8 * level->slot);
    if (*ret >= level->min && *ret <= level->max)
        return TRUE;
    return is_broken(walk, node->address, "its pivots do not ascend", error);
}

static gboolean
step(Walk *walk, GError **error)
{
    Level *level = &walk->levels[walk->depth - 1];
    const Node *node = &g_array_index(walk->nodes, Node, level->node);
    guint slots = level->type == DENSE ? walk->layout->dense
                                       : arrays_of(walk, level->type)->slots;
    guint64 first = level->min, last, entry, from;

    if (!find_last(walk, level, node, &last, error))
        return FALSE;
    entry = word_at(node, slots + 8 * level->slot);
    from = node->address | (guint64)level->slot << 3;
    /* This one's end comes before what is below it, which moves the nodes. */
    if (level->slot++ == level->end || last == level->max)
        level->slot = G_MAXUINT;
    level->min = last + 1;
    if (level->type == DENSE || level->type == LEAF)
        return tell(walk, first, last, entry, error);
    return enter(walk, entry, from, first, last, error);
}

static gboolean
walk_nodes(Walk *walk, GError **error)
{
    if (!enter(walk, walk->root, walk->tree & ~(guint64)7, 0, G_MAXUINT64, error))
        return FALSE;
    while (walk->depth > 0 && !walk->ended) {
        if (walk->levels[walk->depth - 1].slot == G_MAXUINT)
            walk->depth--;
        else if (!step(walk, error))
            return FALSE;
    }
    return TRUE;
}

/* xa_is_node(), include/linux/xarray.h; else the root is the entry of 0 alone
 * (lib/maple_tree.c:mas_start) */
static gboolean
walk_tree(Walk *walk, GError **error)
{
    if ((walk->root & 3) == 2 && walk->root > 4096)
        return walk_nodes(walk, error);
    return tell(walk, 0, 0, walk->root, error);
}

gboolean
mose_maple_walk(MoseSpace *space, const MoseMapleLayout *layout, guint64 tree,
                guint max, MoseMapleFunc func, gpointer data, GError **error)
{
    g_autoptr(GArray) nodes = g_array_new(FALSE, FALSE, sizeof(Node));
    g_autoptr(GError) cause = NULL;
    Walk walk = { .space = space,
                  .layout = layout,
                  .tree = tree,
                  .max = max,
                  .func = func,
                  .data = data,
                  .nodes = nodes };
    gboolean good;

    if (!read_root(&walk, &walk.root, error))
        return FALSE;
    good = walk_tree(&walk, &cause);
    if (!is_unchanged(&walk, error))
        return FALSE;
    if (!good)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks of red-black trees. See rbtree.h. */
#include "vmi/linux/rbtree.h"

#include <string.h>

#include "util/error.h"

/* The longest way is twice the shortest, so with 2^32 nodes it is 64. */
#define MAX_DEPTH 64

/* In this order in struct rb_node; the parent's lowest two bits are the colour. */
enum { PARENT, RIGHT, LEFT, N_WORDS };

typedef struct {
    guint64 address;
    guint64 words[N_WORDS];
} Node;

typedef struct {
    MoseLinux *kernel;
    guint64 root, first; /* the rb_root, and what it said */
    GArray *nodes;       /* of Node: all that were read */
    guint path[MAX_DEPTH];
    guint depth;
} Walk;

static gboolean
has_changed(const Walk *walk, guint64 at, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the tree at 0x%" G_GINT64_MODIFIER
                "x changed while it was read, at 0x%" G_GINT64_MODIFIER "x",
                walk->root, at);
    return FALSE;
}

static gboolean
is_too_large(const Walk *walk, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the guest's tree at 0x%" G_GINT64_MODIFIER "x %s", walk->root, what);
    return FALSE;
}

static gboolean
is_unchanged(const Walk *walk, GError **error)
{
    guint64 first;

    if (!mose_space_read_number(walk->kernel->space, walk->root, 8, &first, error))
        return FALSE;
    if (first != walk->first)
        return has_changed(walk, walk->root, error);
    for (guint i = 0; i < walk->nodes->len; i++) {
        const Node *node = &g_array_index(walk->nodes, Node, i);
        guint64 now[N_WORDS];

        if (!mose_space_read(walk->kernel->space, node->address, now, sizeof(now), NULL,
                             NULL) ||
            memcmp(now, node->words, sizeof(now)) != 0)
            return has_changed(walk, node->address, error);
    }
    return TRUE;
}

static guint64
link_of(const Walk *walk, guint node, guint which)
{
    return GUINT64_FROM_LE(g_array_index(walk->nodes, Node, node).words[which]);
}

/* From @address down along the left links. */
static gboolean
descend(Walk *walk, guint64 address, guint64 parent, guint max, GError **error)
{
    while (address != 0) {
        Node node = { .address = address };

        if (walk->nodes->len == max)
            return is_too_large(walk, "has too many nodes", error);
        if (walk->depth == MAX_DEPTH)
            return is_too_large(walk, "is too deep", error);
        if (!mose_space_read(walk->kernel->space, address, node.words,
                             sizeof(node.words), NULL, NULL) ||
            (GUINT64_FROM_LE(node.words[PARENT]) & ~(guint64)3) != parent)
            return has_changed(walk, address, error);
        g_array_append_val(walk->nodes, node);
        walk->path[walk->depth++] = walk->nodes->len - 1;
        parent = address;
        address = GUINT64_FROM_LE(node.words[LEFT]);
    }
    return TRUE;
}

static gboolean
walk_tree(Walk *walk, guint64 offset, guint max, MoseListFunc func, gpointer data,
          GError **error)
{
    if (!descend(walk, walk->first, 0, max, error))
        return FALSE;
    while (walk->depth > 0) {
        guint at = walk->path[--walk->depth];
        guint64 address = g_array_index(walk->nodes, Node, at).address;
        g_autoptr(GError) cause = NULL;

        if (!func(walk->kernel, address - offset, data, &cause)) {
            if (!cause)
                return TRUE;
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        if (!descend(walk, link_of(walk, at, RIGHT), address, max, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
mose_rbtree_walk(MoseLinux *kernel, guint64 root, guint64 offset, guint max,
                 MoseListFunc func, gpointer data, GError **error)
{
    g_autoptr(GArray) nodes = g_array_new(FALSE, FALSE, sizeof(Node));
    g_autoptr(GError) cause = NULL;
    Walk walk = { .kernel = kernel, .root = root, .nodes = nodes };
    gboolean good;

    if (!mose_space_read_number(kernel->space, root, 8, &walk.first, error))
        return FALSE;
    good = walk_tree(&walk, offset, max, func, data, &cause);
    if (!is_unchanged(&walk, error))
        return FALSE;
    if (!good)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}

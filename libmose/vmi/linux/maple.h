/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's maple trees (Linux lib/maple_tree.c, include/linux/maple_tree.h; since
 * 6.1): ranges of numbers, each with an entry. Those of a process's memory are in one,
 * and interrupts. A walk of the guest's bytes: it is bounded, and notices when the tree
 * changes under it.
 *
 * What a node's pointer says besides where it is: bits 3 to 6 are its type, bits 0 to 2
 * are the tree's own. Nodes are aligned to 256 bytes. The parent pointer of each leads
 * back: to the tree, with bit 0, or to the parent, with the slot in bits 3 to 7. That
 * of a node that is in no tree any more leads to itself.
 */
#pragma once

#include "vmi/linux/linux.h"

/* Where the parts of a node are: bytes, and how many there are. */
typedef struct {
    guint pivots, n_pivots;
    guint slots, n_slots;
    guint end; /* of metadata: the byte that is the last slot's number */
} MoseMapleNode;

typedef struct {
    guint root; /* in struct maple_tree */
    guint size; /* of a node; at most 256 */
    guint parent;
    guint dense, n_dense; /* the slots of a node of maple_dense, which has no more */
    MoseMapleNode range;  /* maple_leaf_64 and maple_range_64 */
    MoseMapleNode arange; /* maple_arange_64 */
} MoseMapleLayout;

/* By the kernel's types. NOT_FOUND where it has no maple trees; INVALID for types that
 * cannot be those of one. */
gboolean mose_maple_layout(MoseLinux *kernel, MoseMapleLayout *ret, GError **error);

/* As mose_list_walk(): FALSE ends the walk, with an error or without. Both @first and
 * @last have @entry. */
typedef gboolean (*MoseMapleFunc)(guint64 first, guint64 last, guint64 entry,
                                  gpointer data, GError **error);

/*
 * Walk the struct maple_tree at @tree in ascending order and tell @func of each entry;
 * reserved ones are left out. At most @max entries, else INVALID; INVALID, too, with
 * the node's address, for a tree that is broken and stays as it is. AGAIN where it
 * changed meanwhile: each node leads back to its parent, and at the end all nodes are
 * as they were. An error of @func's in a tree that changed is AGAIN, too: what it saw
 * may have been freed.
 */
gboolean mose_maple_walk(MoseSpace *space, const MoseMapleLayout *layout, guint64 tree,
                         guint max, MoseMapleFunc func, gpointer data, GError **error);

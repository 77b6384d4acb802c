/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's xarrays (Linux include/linux/xarray.h, lib/xarray.c), and the radix
 * trees of before 4.20, which are made in the same way: numbers, each with an entry. A
 * walk of the guest's bytes: it is bounded, and notices when the array changes under
 * it.
 *
 * An entry with 2 in its lowest two bits is internal: a node, if it is above 4096, two
 * bytes behind where that is; else a mark. One with bit 0 set is a value.
 */
#pragma once

#include "vmi/linux/linux.h"

/* Where the parts are: bytes. */
typedef struct {
    guint head; /* in struct xarray */
    guint size; /* of a node; at most MOSE_XARRAY_MAX_NODE */
    guint shift, offset, parent;
    guint slots, n_slots; /* a power of two, 64 at most */
} MoseXarrayLayout;

#define MOSE_XARRAY_MAX_NODE 1024
#define MOSE_XARRAY_MAX_SLOTS 64

/* By the kernel's types. NOT_FOUND where it has neither of the two; INVALID for types
 * that cannot be those of one. */
gboolean mose_xarray_layout(MoseLinux *kernel, MoseXarrayLayout *ret, GError **error);

/* As mose_list_walk(): FALSE ends the walk, with an error or without. @entry is as it
 * is in the array: a value has bit 0. */
typedef gboolean (*MoseXarrayFunc)(guint64 index, guint64 entry, gpointer data,
                                   GError **error);

/*
 * Walk the struct xarray (or radix_tree_root) at @array in ascending order and tell
 * @func of each entry; reserved ones are left out, and one of several numbers is told
 * for its first one. At most @max entries, else INVALID; INVALID, too, with the node's
 * address, for an array that is broken and stays as it is. AGAIN where it changed
 * meanwhile: each node leads back to its parent and says where in it it is, and is as
 * it was once all below it was told.
 */
gboolean mose_xarray_walk(MoseSpace *space, const MoseXarrayLayout *layout,
                          guint64 array, guint max, MoseXarrayFunc func, gpointer data,
                          GError **error);

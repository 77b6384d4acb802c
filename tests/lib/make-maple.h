/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maple trees as Linux 6.1 to 7.3 have them, made for tests. */
#pragma once

#include "lib/vmi-world.h"
#include "vmi/linux/maple.h"

typedef struct {
    guint64 first, last, entry;
} MakeMapleRange;

/* x86-64 */
extern const MoseMapleLayout make_maple_layout;

enum { MAKE_MAPLE_DENSE, MAKE_MAPLE_LEAF, MAKE_MAPLE_RANGE, MAKE_MAPLE_ARANGE };

/* A pointer to the node of @type at @address. */
guint64 make_maple_enode(guint64 address, guint type);

/*
 * Put a struct maple_tree at @tree, with @n ranges, which ascend and do not overlap,
 * and its nodes at @nodes (a multiple of 256) and behind it. @alloc: inner nodes are of
 * maple_arange_64. @fill: as many slots of each node are used, 2 to 16 (an arange has
 * 10 at most). Returns where the nodes end. All must be mapped.
 */
guint64 make_maple(VmiWorld *world, guint64 tree, guint64 nodes,
                   const MakeMapleRange *ranges, guint n, gboolean alloc, guint fill);

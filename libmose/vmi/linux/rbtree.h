/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's red-black trees (Linux include/linux/rbtree_types.h). */
#pragma once

#include "vmi/linux/linux.h"

/*
 * Walk the struct rb_root at @root in its order, and tell @func of each entry: @offset
 * is where its rb_node lies in it. Each node leads back to its parent, and at the end
 * all nodes are as they were: AGAIN where that is not so, also if @func failed in a
 * tree that changed. INVALID after @max entries, or where it is deeper than a tree of
 * that many can be.
 */
gboolean mose_rbtree_walk(MoseLinux *kernel, guint64 root, guint64 offset, guint max,
                          MoseListFunc func, gpointer data, GError **error);

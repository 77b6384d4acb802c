/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of `mose ps` as a tree: children behind their parents. */
#pragma once

#include "cli/ps-columns.h"

/*
 * Order @rows (of MosePsRow) so, with the depth of each. Threads are children of their
 * process. With @wanted (a set of rows; may be NULL) only these and what is below them
 * stay. What a guest makes a circle of stays without depth.
 */
void mose_ps_tree(GPtrArray *rows, GHashTable *wanted);

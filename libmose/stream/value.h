/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a field holds, as text for people and as JSON for programs. */
#pragma once

#include <json-glib/json-glib.h>

#include "stream/walk.h"

/* Whether an element is one integer, by its type's name and size. */
gboolean mose_leaf_is_integer(const MoseLeaf *leaf);

/* "0x1f", "[0x1, 0x2]", "\"running\"", or "00 01 ff ..."; long ones are cut, with how
 * long they are, unless @whole. */
char *mose_leaf_text(const MoseLeaf *leaf, gboolean whole);

/* "uint64", "uint32[8]" */
char *mose_leaf_type(const MoseLeaf *leaf);

/*
 * Add the members "type", "size" (bytes of an element), "count", "offset" and
 * "value" to the object that @builder has open. A value is a string: "0x1f" for an
 * integer, "0001ff" for bytes; of an array of integers, an array of these.
 */
void mose_leaf_json(const MoseLeaf *leaf, JsonBuilder *builder);

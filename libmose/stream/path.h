/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a path such as "env.regs[3]" or "timer.expiry" to bytes of a section.
 *
 * At each level, from the outside in:
 *
 *  1. A field's whole name is tried first, the longest that fits before the rest.
 *     QEMU's names are C expressions, so dots and brackets may belong to the name
 *     ("env.tsc", and "unused[0]" where one struct has the name twice). Such a
 *     name hides an element of an array that would be called the same.
 *  2. "name[i]" is element i, counted over all fields of that name in a row:
 *     QEMU writes an array in one piece ("array_len") or element by element
 *     ("index"), and a null pointer in it as a piece of its own.
 *  3. What follows a dot is a path inside that element's struct.
 *
 * "name" alone is the whole array, or the one field. A struct inside an array has
 * to be reached by its index. Subsections are no part of a path.
 */
#pragma once

#include "stream/vmdesc.h"

typedef struct {
    const MoseField *field;
    gsize start; /* in the bytes of the section at the top */
    gsize len;
    guint64 count; /* elements in it: more than 1 for a whole array */
} MosePlace;

/* FALSE when there is no such field. */
gboolean mose_path_find(const MoseSection *section, const char *path, MosePlace *ret);

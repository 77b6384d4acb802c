/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values in a kernel, and the layout of its types, as text like C's and as JSON. What a
 * guest's bytes and types say goes out printable and within limits.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "vmi/linux/type-expr.h"

typedef struct {
    guint depth;      /* structs within structs; deeper ones are "{ ... }" */
    guint elements;   /* of an array, alike ones counted once; then "..." */
    gboolean nonzero; /* members that are all zero are left out */
} MoseTypePrint;

#define MOSE_TYPE_PRINT_DEFAULT ((MoseTypePrint){ .depth = 4, .elements = 64 })

/* Structs are not read beyond this; INVALID says so. */
#define MOSE_TYPE_PRINT_MAX_SIZE (1u << 20)

/*
 * Append @value's text to @to, without a newline at its end; @indent: of the lines
 * after the first. What is in pages that cannot be read is said in its place; FALSE
 * (NOT_FOUND) only if that is all of it.
 */
gboolean mose_type_print(const MoseTypeSource *source, const MoseTypeValue *value,
                         const MoseTypePrint *how, guint indent, GString *to,
                         GError **error);

/*
 * The same as JSON: an object for a struct, an array, a number, a string; pointers and
 * numbers beyond 2^53 are strings "0x...". What cannot be read is an object with the
 * member "unreadable".
 */
JsonNode *mose_type_to_json(const MoseTypeSource *source, const MoseTypeValue *value,
                            const MoseTypePrint *how, GError **error);

/*
 * Append the layout of @type, or of its member @path (may be NULL): offset, size and
 * declaration of each member, holes, and the size of all.
 */
gboolean mose_type_layout(const MoseTypeRef *type, const char *path, GString *to,
                          GError **error);
JsonObject *mose_type_layout_json(const MoseTypeRef *type, const char *path,
                                  GError **error);

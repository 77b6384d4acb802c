/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A value's bytes as they were at one moment, and the scalars in them. Shared by
 * type-print.c and type-json.c. */
#pragma once

#include "vmi/linux/type-print.h"

typedef struct {
    guint8 *bytes;
    gsize size;
    gboolean *bad; /* of each page's share of it: cannot be read */
    guint first;   /* bytes before the second page */
    char *reason;  /* of the first bad one; NULL: all is there */
} MoseTypeBytes;

/* FALSE where nothing of it can be read. */
gboolean mose_type_bytes_read(const MoseTypeSource *source, const MoseTypeValue *value,
                              MoseTypeBytes *ret, GError **error);
void mose_type_bytes_clear(MoseTypeBytes *bytes);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MoseTypeBytes, mose_type_bytes_clear)

/* Whether all of @size bytes at @offset could be read; whether all of them are 0. */
gboolean mose_type_bytes_has(const MoseTypeBytes *bytes, gsize offset, gsize size);
gboolean mose_type_bytes_are_zero(const MoseTypeBytes *bytes, gsize offset, gsize size);

typedef enum {
    MOSE_SCALAR_NONE, /* a struct, an array, or nothing that has a value */
    MOSE_SCALAR_SIGNED,
    MOSE_SCALAR_UNSIGNED,
    MOSE_SCALAR_BOOL,
    MOSE_SCALAR_CHAR,
    MOSE_SCALAR_ENUM,
    MOSE_SCALAR_POINTER,
    MOSE_SCALAR_FLOAT,
} MoseScalarKind;

MoseScalarKind mose_scalar_kind(const MoseTypeRef *type);

/* The number at @bytes, extended by its sign if it has one. */
guint64 mose_scalar_number(const MoseTypeRef *type, const guint8 *bytes, gsize size,
                           guint bit, guint bits);

/* "MODULE_STATE_LIVE"; "A | B" where each enumerator is one bit; NULL: none. */
char *mose_scalar_enum_name(const MoseTypeRef *type, guint64 number);

/* "schedule+0x10" of a number that looks like an address of the kernel's, or NULL. */
char *mose_scalar_symbol(const MoseTypeSource *source, guint64 number);

/* A scalar as text, without the type of a pointer; as JSON. */
char *mose_scalar_text(const MoseTypeSource *source, const MoseTypeRef *type,
                       guint64 number);
JsonNode *mose_scalar_json(const MoseTypeRef *type, guint64 number);

/* "0x..." of a number of more than 8 bytes, as __int128 is. */
char *mose_scalar_wide_text(const guint8 *bytes, gsize size);

/* Whether elements of that type in an array are text; the text, quoted for C. */
gboolean mose_scalar_is_text(const MoseTypeRef *element);
char *mose_scalar_quote(const guint8 *text, gsize max);

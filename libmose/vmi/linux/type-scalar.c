/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes of values, and the numbers, pointers, enums and texts among them. */
#include "vmi/linux/type-scalar.h"

#include <string.h>

#include <bpf/btf.h>

#include "util/error.h"

#define PAGE 4096
/* Numbers that JSON's readers take for themselves. */
#define JSON_MAX (1LL << 53)
/* Enumerators that are looked at for one value. */
#define MAX_ENUMERATORS 4096

/* --- bytes --- */

static guint
page_of(const MoseTypeBytes *bytes, gsize offset)
{
    return offset < bytes->first ? 0 : 1 + (offset - bytes->first) / PAGE;
}

/* Where the share after @page begins. */
static gsize
page_end(const MoseTypeBytes *bytes, guint page)
{
    return MIN(bytes->size, bytes->first + (gsize)page * PAGE);
}

static gboolean
read_pages(const MoseTypeSource *source, guint64 address, MoseTypeBytes *bytes,
           GError **error)
{
    gsize at = 0, got_any = 0;

    while (at < bytes->size) {
        g_autoptr(GError) reason = NULL;
        gsize got = 0;

        if (source->read(source->data, address + at, bytes->bytes + at,
                         bytes->size - at, &got, &reason))
            return TRUE;
        got = MIN(got, bytes->size - at - 1);
        got_any += got;
        if (!bytes->reason)
            bytes->reason = g_strdup(reason->message);
        bytes->bad[page_of(bytes, at + got)] = TRUE;
        at = page_end(bytes, page_of(bytes, at + got));
    }
    if (got_any)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "%s", bytes->reason);
    return FALSE;
}

gboolean
mose_type_bytes_read(const MoseTypeSource *source, const MoseTypeValue *value,
                     MoseTypeBytes *ret, GError **error)
{
    g_autofree char *name = NULL;

    *ret = (MoseTypeBytes){ .size = value->size };
    if (value->size > MOSE_TYPE_PRINT_MAX_SIZE) {
        name = mose_type_ref_declare(&value->type, "");
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: its %zu bytes are more than are shown (%u); take a member or "
                    "a slice of it",
                    name, value->size, MOSE_TYPE_PRINT_MAX_SIZE);
        return FALSE;
    }
    ret->bytes = g_malloc0(value->size + 1);
    ret->first = PAGE - value->address % PAGE;
    ret->bad = g_new0(gboolean, value->size / PAGE + 3);
    if (value->in_memory)
        return !value->size || read_pages(source, value->address, ret, error);
    memcpy(ret->bytes, &value->number, MIN(value->size, sizeof(value->number)));
    return TRUE;
}

void
mose_type_bytes_clear(MoseTypeBytes *bytes)
{
    g_free(bytes->bytes);
    g_free(bytes->bad);
    g_free(bytes->reason);
    *bytes = (MoseTypeBytes){ 0 };
}

gboolean
mose_type_bytes_has(const MoseTypeBytes *bytes, gsize offset, gsize size)
{
    if (!size || !bytes->reason)
        return TRUE;
    for (guint page = page_of(bytes, offset); page <= page_of(bytes, offset + size - 1);
         page++)
        if (bytes->bad[page])
            return FALSE;
    return TRUE;
}

gboolean
mose_type_bytes_are_zero(const MoseTypeBytes *bytes, gsize offset, gsize size)
{
    const guint8 *at = bytes->bytes + offset;

    return mose_type_bytes_has(bytes, offset, size) &&
           (!size || (at[0] == 0 && memcmp(at, at + 1, size - 1) == 0));
}

/* --- scalars --- */

MoseScalarKind
mose_scalar_kind(const MoseTypeRef *type)
{
    const struct btf_type *bare = mose_type_ref_bare(type);

    if (type->stars || (bare && btf_is_ptr(bare)))
        return MOSE_SCALAR_POINTER;
    if (!bare || mose_type_ref_size(type) > 8)
        return MOSE_SCALAR_NONE;
    if (btf_is_any_enum(bare))
        return MOSE_SCALAR_ENUM;
    if (btf_is_float(bare))
        return MOSE_SCALAR_FLOAT;
    if (!btf_is_int(bare))
        return MOSE_SCALAR_NONE;
    if (btf_int_encoding(bare) & BTF_INT_BOOL)
        return MOSE_SCALAR_BOOL;
    /* gcc's BTF does not mark char as such. */
    if (bare->size == 1 &&
        strcmp(mose_types_string(type->types, bare->name_off), "char") == 0)
        return MOSE_SCALAR_CHAR;
    return mose_types_is_signed(type->types, type->id) ? MOSE_SCALAR_SIGNED
                                                       : MOSE_SCALAR_UNSIGNED;
}

guint64
mose_scalar_number(const MoseTypeRef *type, const guint8 *bytes, gsize size, guint bit,
                   guint bits)
{
    guint64 number = 0;
    guint width;

    size = MIN(size, sizeof(number));
    memcpy(&number, bytes, size);
    width = bits ? bits : size * 8;
    number >>= bit;
    if (width == 0 || width >= 64)
        return number;
    number &= (1ULL << width) - 1;
    if (!type->stars && mose_types_is_signed(type->types, type->id))
        number = (guint64)((gint64)(number << (64 - width)) >> (64 - width));
    return number;
}

static const char *
enumerator_name(const MoseTypeRef *type, const struct btf_type *bare, guint i)
{
    return mose_types_string(type->types, btf_is_enum(bare)
                                              ? btf_enum(bare)[i].name_off
                                              : btf_enum64(bare)[i].name_off);
}

/* The flags of a value that is no enumerator itself: only if all enumerators but 0 are
 * single bits. */
static char *
flag_names(const MoseTypeRef *type, const struct btf_type *bare, guint64 number)
{
    g_autoptr(GString) names = g_string_new(NULL);
    guint n = MIN(btf_vlen(bare), 64);

    for (guint i = 0; i < n; i++) {
        gint64 flag;

        if (!mose_types_enumerator_value(type->types, type->id, i, &flag) ||
            (flag & (flag - 1)))
            return NULL;
        if (!flag || !(number & (guint64)flag))
            continue;
        number &= ~(guint64)flag;
        g_string_append_printf(names, "%s%s", names->len ? " | " : "",
                               enumerator_name(type, bare, i));
    }
    return number || !names->len ? NULL : g_string_free(g_steal_pointer(&names), FALSE);
}

char *
mose_scalar_enum_name(const MoseTypeRef *type, guint64 number)
{
    const struct btf_type *bare = mose_type_ref_bare(type);
    char *name = NULL;

    if (!bare || !btf_is_any_enum(bare))
        return NULL;
    for (guint i = 0; i < btf_vlen(bare) && i < MAX_ENUMERATORS && !name; i++) {
        gint64 one;

        if (mose_types_enumerator_value(type->types, type->id, i, &one) &&
            (guint64)one == number)
            name = g_strdup(enumerator_name(type, bare, i));
    }
    if (!name)
        name = flag_names(type, bare, number);
    for (char *c = name; c && *c; c++)
        if (!g_ascii_isprint(*c))
            *c = '?';
    return name;
}

char *
mose_scalar_symbol(const MoseTypeSource *source, guint64 number)
{
    /* The kernel's image and its modules (Linux Documentation/arch/x86/x86_64/mm.rst);
     * nothing else has symbols. */
    if (number < 0xffffffff80000000 || number >= 0xffffffffff000000)
        return NULL;
    return source->address_name ? source->address_name(source->data, number) : NULL;
}

/* Numbers as programmers read them: small ones decimal, large ones as what they are
 * likely to be, a set of bits or an address. */
static char *
unsigned_text(const MoseTypeSource *source, guint64 number)
{
    g_autofree char *symbol = mose_scalar_symbol(source, number);

    if (symbol)
        return g_strdup_printf("0x%" G_GINT64_MODIFIER "x (%s)", number, symbol);
    if (number >= 1ULL << 48)
        return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", number);
    if (number >= 1 << 16)
        return g_strdup_printf("%" G_GUINT64_FORMAT " (0x%" G_GINT64_MODIFIER "x)",
                               number, number);
    return g_strdup_printf("%" G_GUINT64_FORMAT, number);
}

char *
mose_scalar_text(const MoseTypeSource *source, const MoseTypeRef *type, guint64 number)
{
    g_autofree char *name = NULL;

    switch (mose_scalar_kind(type)) {
    case MOSE_SCALAR_BOOL:
        return number > 1 ? g_strdup_printf("true (%" G_GUINT64_FORMAT ")", number)
                          : g_strdup(number ? "true" : "false");
    case MOSE_SCALAR_ENUM:
        name = mose_scalar_enum_name(type, number);
        return name ? g_steal_pointer(&name)
                    : g_strdup_printf("%" G_GINT64_FORMAT, (gint64)number);
    case MOSE_SCALAR_CHAR:
        if ((gint64)number >= ' ' && number < 127)
            return g_strdup_printf("'%c'", (char)number);
        return g_strdup_printf("%" G_GINT64_FORMAT, (gint64)number);
    case MOSE_SCALAR_SIGNED:
        return g_strdup_printf("%" G_GINT64_FORMAT, (gint64)number);
    case MOSE_SCALAR_POINTER:
        if (!number)
            return g_strdup("NULL");
        name = mose_scalar_symbol(source, number);
        return g_strdup_printf("0x%" G_GINT64_MODIFIER "x%s%s%s", number,
                               name ? " (" : "", name ? name : "", name ? ")" : "");
    case MOSE_SCALAR_FLOAT:
        return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", number);
    default:
        return unsigned_text(source, number);
    }
}

JsonNode *
mose_scalar_json(const MoseTypeRef *type, guint64 number)
{
    MoseScalarKind kind = mose_scalar_kind(type);
    gboolean has_sign = kind == MOSE_SCALAR_SIGNED || kind == MOSE_SCALAR_CHAR ||
                        kind == MOSE_SCALAR_ENUM;
    g_autofree char *text = NULL;
    JsonNode *node = json_node_alloc();

    if (kind == MOSE_SCALAR_BOOL)
        return json_node_init_boolean(node, number != 0);
    if (kind == MOSE_SCALAR_ENUM)
        text = mose_scalar_enum_name(type, number);
    if (!text && kind != MOSE_SCALAR_POINTER && kind != MOSE_SCALAR_FLOAT &&
        (gint64)number <= JSON_MAX && (gint64)number >= (has_sign ? -JSON_MAX : 0))
        return json_node_init_int(node, (gint64)number);
    if (!text)
        text = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", number);
    return json_node_init_string(node, text);
}

char *
mose_scalar_wide_text(const guint8 *bytes, gsize size)
{
    GString *text = g_string_new("0x");

    for (gsize i = MIN(size, 64); i > 0; i--)
        g_string_append_printf(text, "%02x", bytes[i - 1]);
    return g_string_free(text, FALSE);
}

/* --- text --- */

gboolean
mose_scalar_is_text(const MoseTypeRef *element)
{
    return mose_scalar_kind(element) == MOSE_SCALAR_CHAR;
}

char *
mose_scalar_quote(const guint8 *text, gsize max)
{
    GString *quoted = g_string_new("\"");
    gsize len = strnlen((const char *)text, max);

    for (gsize i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            g_string_append_printf(quoted, "\\%c", text[i]);
        else if (text[i] == '\n')
            g_string_append(quoted, "\\n");
        else if (g_ascii_isprint(text[i]))
            g_string_append_c(quoted, (char)text[i]);
        else
            g_string_append_printf(quoted, "\\x%02x", text[i]);
    }
    g_string_append_c(quoted, '"');
    return g_string_free(quoted, FALSE);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Integers by their type's name, all else as bytes. */
#include "stream/value.h"

#include <string.h>

#include "stream/wire.h"

#define SHOWN_ELEMENTS 8
#define SHOWN_BYTES 16

/* QEMU's types of one integer, all big-endian: migration/vmstate-types.c, where "int32
 * le" means less or equal. */
gboolean
mose_leaf_is_integer(const MoseLeaf *leaf)
{
    static const char *const begins[] = { "int", "uint", "bool", "timer" };
    gboolean named = FALSE;

    for (gsize i = 0; i < G_N_ELEMENTS(begins); i++)
        named = named || g_str_has_prefix(leaf->type, begins[i]);
    return named && (leaf->element_size == 1 || leaf->element_size == 2 ||
                     leaf->element_size == 4 || leaf->element_size == 8);
}

static guint64
element(const MoseLeaf *leaf, guint64 i)
{
    return mose_wire_get(leaf->bytes + i * leaf->element_size, leaf->element_size);
}

/* A string in a buffer: printable, and nothing but NULs behind it. */
static gboolean
is_string(const guint8 *bytes, gsize len)
{
    gsize n = 0;

    while (n < len && g_ascii_isprint(bytes[n]))
        n++;
    for (gsize i = n; i < len; i++) {
        if (bytes[i] != 0)
            return FALSE;
    }
    return n > 1;
}

static void
append_integers(GString *text, const MoseLeaf *leaf, gboolean whole)
{
    guint64 shown = whole ? leaf->count : MIN(leaf->count, SHOWN_ELEMENTS);

    if (leaf->count > 1)
        g_string_append_c(text, '[');
    for (guint64 i = 0; i < shown; i++)
        g_string_append_printf(text, "%s0x%" G_GINT64_MODIFIER "x", i > 0 ? ", " : "",
                               element(leaf, i));
    if (shown < leaf->count)
        g_string_append_printf(text, ", ... %" G_GUINT64_FORMAT " in all", leaf->count);
    if (leaf->count > 1)
        g_string_append_c(text, ']');
}

static void
append_bytes(GString *text, const guint8 *bytes, gsize len, gboolean whole)
{
    gsize shown = whole ? len : MIN(len, SHOWN_BYTES);

    if (is_string(bytes, len)) {
        g_autofree char *string = g_strndup((const char *)bytes, len);
        g_autofree char *escaped = g_strescape(string, NULL);

        g_string_append_printf(text, "\"%s\"", escaped);
        return;
    }
    for (gsize i = 0; i < shown; i++)
        g_string_append_printf(text, i > 0 ? " %02x" : "%02x", bytes[i]);
    if (shown < len)
        g_string_append_printf(text, " ... %zu bytes", len);
}

char *
mose_leaf_text(const MoseLeaf *leaf, gboolean whole)
{
    GString *text = g_string_new(NULL);

    if (mose_leaf_is_integer(leaf))
        append_integers(text, leaf, whole);
    else
        append_bytes(text, leaf->bytes, leaf->element_size * leaf->count, whole);
    return g_string_free(text, FALSE);
}

char *
mose_leaf_type(const MoseLeaf *leaf)
{
    if (leaf->count > 1)
        return g_strdup_printf("%s[%" G_GUINT64_FORMAT "]", leaf->type, leaf->count);
    return g_strdup(leaf->type);
}

static void
add_integer(JsonBuilder *builder, guint64 value)
{
    g_autofree char *text = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value);

    json_builder_add_string_value(builder, text);
}

static void
add_value(const MoseLeaf *leaf, JsonBuilder *builder)
{
    gsize len = leaf->element_size * leaf->count;
    g_autoptr(GString) hex = NULL;

    if (mose_leaf_is_integer(leaf) && leaf->count == 1) {
        add_integer(builder, element(leaf, 0));
    } else if (mose_leaf_is_integer(leaf)) {
        json_builder_begin_array(builder);
        for (guint64 i = 0; i < leaf->count; i++)
            add_integer(builder, element(leaf, i));
        json_builder_end_array(builder);
    } else {
        hex = g_string_sized_new(2 * len);
        for (gsize i = 0; i < len; i++)
            g_string_append_printf(hex, "%02x", leaf->bytes[i]);
        json_builder_add_string_value(builder, hex->str);
    }
}

void
mose_leaf_json(const MoseLeaf *leaf, JsonBuilder *builder)
{
    json_builder_set_member_name(builder, "type");
    json_builder_add_string_value(builder, leaf->type);
    json_builder_set_member_name(builder, "size");
    json_builder_add_int_value(builder, (gint64)leaf->element_size);
    json_builder_set_member_name(builder, "count");
    json_builder_add_int_value(builder, (gint64)leaf->count);
    json_builder_set_member_name(builder, "offset");
    json_builder_add_int_value(builder, (gint64)leaf->offset);
    json_builder_set_member_name(builder, "value");
    add_value(leaf, builder);
}

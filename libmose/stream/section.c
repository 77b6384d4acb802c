/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields and subsections of a section: read, change, drop, add. */
#include <string.h>

#include "stream/doc-private.h"
#include "stream/format.h"
#include "stream/layout.h"
#include "stream/path.h"
#include "stream/wire.h"
#include "util/error.h"

const char *
mose_section_name(const MoseSection *section)
{
    return section->name;
}

guint32
mose_section_instance(const MoseSection *section)
{
    return mose_section_top(section)->instance;
}

guint32
mose_section_version(const MoseSection *section)
{
    return section->version;
}

gboolean
mose_section_has(const MoseSection *section, const char *path)
{
    MosePlace place;

    return mose_path_find(section, path, &place);
}

static gboolean
find(const MoseSection *section, const char *path, MosePlace *ret, GError **error)
{
    g_autofree char *where = NULL;

    if (mose_path_find(section, path, ret))
        return TRUE;
    where = mose_section_where(section, NULL);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "%s, stream offset 0x%" G_GINT64_MODIFIER "x: no field '%s'", where,
                mose_section_top(section)->offset + section->start, path);
    return FALSE;
}

static void G_GNUC_PRINTF(6, 7)
    fail(const MoseSection *section, const char *path, const MosePlace *place, int code,
         GError **error, const char *format, ...)
{
    g_autofree char *where = mose_section_where(section, NULL);
    g_autofree char *reason = NULL;
    va_list args;

    va_start(args, format);
    reason = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, MOSE_ERROR, code,
                "%s, field '%s', stream offset 0x%" G_GINT64_MODIFIER "x: %s", where,
                path, mose_section_top(section)->offset + place->start, reason);
}

/* A field that is one integer of 1, 2, 4 or 8 bytes. */
static gboolean
find_integer(const MoseSection *section, const char *path, MosePlace *ret,
             GError **error)
{
    if (!find(section, path, ret, error))
        return FALSE;
    if (ret->count != 1)
        fail(section, path, ret, MOSE_ERROR_STREAM, error,
             "an array of %" G_GUINT64_FORMAT ", not an integer", ret->count);
    else if (ret->field->inner)
        fail(section, path, ret, MOSE_ERROR_STREAM, error, "a struct, not an integer");
    else if (ret->len != 1 && ret->len != 2 && ret->len != 4 && ret->len != 8)
        fail(section, path, ret, MOSE_ERROR_STREAM, error,
             "%zu bytes of type %s, not an integer", ret->len, ret->field->type);
    else
        return TRUE;
    return FALSE;
}

gboolean
mose_section_get(const MoseSection *section, const char *path, guint64 *ret,
                 GError **error)
{
    MosePlace place;

    if (!find_integer(section, path, &place, error))
        return FALSE;
    *ret =
        mose_wire_get(mose_section_top(section)->bytes->data + place.start, place.len);
    return TRUE;
}

gboolean
mose_section_set(MoseSection *section, const char *path, guint64 value, GError **error)
{
    MosePlace place;

    if (!find_integer(section, path, &place, error))
        return FALSE;
    if (place.len < 8 && value >> (8 * place.len) != 0) {
        fail(section, path, &place, MOSE_ERROR_INVALID, error,
             "0x%" G_GINT64_MODIFIER "x does not fit in %zu bytes", value, place.len);
        return FALSE;
    }
    mose_wire_put(mose_section_top(section)->bytes->data + place.start, place.len,
                  value);
    return TRUE;
}

const guint8 *
mose_section_bytes(const MoseSection *section, const char *path, gsize *ret_len,
                   GError **error)
{
    MosePlace place;

    if (!find(section, path, &place, error))
        return NULL;
    *ret_len = place.len;
    if (place.len == 0)
        return (const guint8 *)"";
    return mose_section_top(section)->bytes->data + place.start;
}

gboolean
mose_section_set_bytes(MoseSection *section, const char *path, const void *data,
                       gsize len, GError **error)
{
    MosePlace place;

    if (!find(section, path, &place, error))
        return FALSE;
    /* A struct may have subsections in it, whose headers only the tree may change. */
    if (place.field->inner) {
        fail(section, path, &place, MOSE_ERROR_INVALID, error, "a struct, not bytes");
        return FALSE;
    }
    if (place.len != len) {
        fail(section, path, &place, MOSE_ERROR_INVALID, error,
             "%zu bytes do not fit in a field of %zu", len, place.len);
        return FALSE;
    }
    if (len > 0)
        memcpy(mose_section_top(section)->bytes->data + place.start, data, len);
    return TRUE;
}

void
mose_section_append(MoseSection *section, const char *field, const char *type,
                    gsize size, guint64 value)
{
    GStringChunk *strings = mose_section_top(section)->doc->vmdesc->strings;
    guint8 bytes[8];
    MoseField *node;
    gsize at = section->start;

    g_return_if_fail(size == 1 || size == 2 || size == 4 || size == 8);
    g_return_if_fail(section->vmsd_name && !section->owner);
    /* Behind the last field, before the first subsection. */
    for (guint i = 0; i < section->fields->len; i++) {
        const MoseField *other = section->fields->pdata[i];

        at = other->start + other->size * other->count;
    }
    node = mose_field_node_new(section, g_string_chunk_insert(strings, field));
    node->type = g_string_chunk_insert(strings, type);
    node->size = size;
    mose_wire_put(bytes, size, value);
    mose_section_node_touch(section);
    mose_layout_splice(section, at, 0, bytes, size);
}

static MoseSection *
find_subsection(MoseSection *section, const char *name)
{
    MoseSection *found = NULL;

    for (guint i = 0; i < section->fields->len && !found; i++) {
        MoseField *field = section->fields->pdata[i];

        if (field->inner)
            found = find_subsection(field->inner, name);
    }
    for (guint i = 0; i < section->subsections->len && !found; i++) {
        MoseSection *sub = section->subsections->pdata[i];

        found = strcmp(sub->name, name) == 0 ? sub : find_subsection(sub, name);
    }
    return found;
}

MoseSection *
mose_section_subsection(MoseSection *section, const char *name)
{
    return find_subsection(section, name);
}

/* Bytes of 0x05, length, name and version before the first field of @sub. */
static gsize
header_len(const MoseSection *sub)
{
    return 2 + strlen(sub->vmsd_name) + 4;
}

void
mose_section_drop_subsection(MoseSection *section, const char *name)
{
    MoseSection *sub = find_subsection(section, name);
    MoseSection *parent;
    gsize start, len;

    if (!sub)
        return;
    parent = sub->parent;
    start = sub->start - header_len(sub);
    len = sub->end - start;
    g_ptr_array_remove(parent->subsections, sub);
    mose_section_node_touch(parent);
    mose_layout_splice(parent, start, len, NULL, 0);
}

MoseSection *
mose_section_add_subsection(MoseSection *section, const char *name, guint32 version)
{
    GStringChunk *strings = mose_section_top(section)->doc->vmdesc->strings;
    g_autoptr(GByteArray) header = g_byte_array_new();
    MoseSection *sub;

    g_return_val_if_fail(*name && strlen(name) <= 255, NULL);
    sub = mose_section_node_new(section, g_string_chunk_insert(strings, name));
    sub->vmsd_name = sub->name;
    sub->version = version;
    mose_wire_append(header, 1, MOSE_VM_SUBSECTION);
    mose_wire_append(header, 1, strlen(name));
    g_byte_array_append(header, (const guint8 *)name, (guint)strlen(name));
    mose_wire_append(header, 4, version);
    g_ptr_array_add(section->subsections, sub);
    mose_section_node_touch(section);
    mose_layout_splice(section, section->end, 0, header->data, header->len);
    return sub;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Placing nodes in bytes; as deep as the description, which is limited. */
#include "stream/layout.h"

#include <string.h>

#include "stream/format.h"
#include "stream/wire.h"
#include "util/error.h"

typedef struct {
    const guint8 *data;
    guint64 offset; /* in the stream of @data */
    gsize at;
} Cursor;

static gboolean place(MoseSection *section, Cursor *cursor, gsize end, GError **error);

static gboolean G_GNUC_PRINTF(5, 6)
    fail(const MoseSection *section, const MoseField *field, const Cursor *cursor,
         GError **error, const char *format, ...)
{
    g_autofree char *where = mose_section_where(section, field);
    g_autofree char *reason = NULL;
    va_list args;

    va_start(args, format);
    reason = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                "%s, stream offset 0x%" G_GINT64_MODIFIER "x: %s", where,
                cursor->offset + cursor->at, reason);
    return FALSE;
}

static gboolean
has_subsections(const MoseSection *section)
{
    gboolean found = section->subsections->len > 0;

    for (guint i = 0; i < section->fields->len && !found; i++) {
        const MoseField *field = section->fields->pdata[i];

        found = field->inner && has_subsections(field->inner);
    }
    return found;
}

/* The struct inside @field must fill one element. */
static gboolean
place_inner(MoseField *field, Cursor *cursor, GError **error)
{
    Cursor inner = *cursor;

    if (!place(field->inner, &inner, cursor->at + field->size, error))
        return FALSE;
    if (inner.at - cursor->at != field->size)
        return fail(field->section, field, cursor, error,
                    "described as %" G_GUINT64_FORMAT " bytes, but its fields take %zu",
                    field->size, inner.at - cursor->at);
    /* vmstate.c:vmsd_can_compress never lets this happen. */
    if (field->count > 1 && has_subsections(field->inner))
        return fail(field->section, field, cursor, error,
                    "an array in one piece whose elements have subsections");
    return TRUE;
}

static gboolean
place_field(MoseField *field, Cursor *cursor, gsize end, GError **error)
{
    guint64 total = field->size * field->count; /* both at most 2^26 */

    field->start = cursor->at;
    if (total > end - cursor->at)
        return fail(field->section, field, cursor, error,
                    "takes %" G_GUINT64_FORMAT " bytes, but %zu are left", total,
                    end - cursor->at);
    if (field->count > 1 && field->size == 0)
        return fail(field->section, field, cursor, error,
                    "an array of %" G_GUINT64_FORMAT " elements of no size",
                    field->count);
    if (field->inner && !place_inner(field, cursor, error))
        return FALSE;
    cursor->at += total;
    return TRUE;
}

/* Step over 0x05, length, name, version: they must be those of @sub. */
static gboolean
place_subsection(MoseSection *sub, Cursor *cursor, gsize end, GError **error)
{
    gsize len = strlen(sub->vmsd_name);
    const guint8 *head = cursor->data + cursor->at;

    if (end - cursor->at < 2 + len + 4)
        return fail(sub, NULL, cursor, error,
                    "its header does not fit in what is left");
    if (head[0] != MOSE_VM_SUBSECTION || head[1] != len ||
        memcmp(head + 2, sub->vmsd_name, len) != 0)
        return fail(sub, NULL, cursor, error, "described, but not there");
    if (mose_wire_get(head + 2 + len, 4) != sub->version)
        return fail(sub, NULL, cursor, error, "version %u described, but %u there",
                    sub->version, (guint)mose_wire_get(head + 2 + len, 4));
    cursor->at += 2 + len + 4;
    return place(sub, cursor, end, error);
}

static gboolean
place(MoseSection *section, Cursor *cursor, gsize end, GError **error)
{
    section->start = cursor->at;
    for (guint i = 0; i < section->fields->len; i++) {
        if (!place_field(section->fields->pdata[i], cursor, end, error))
            return FALSE;
    }
    for (guint i = 0; i < section->subsections->len; i++) {
        if (!place_subsection(section->subsections->pdata[i], cursor, end, error))
            return FALSE;
    }
    section->end = cursor->at;
    return TRUE;
}

gboolean
mose_layout_place(MoseSection *section, const guint8 *data, gsize len, gsize *ret_used,
                  GError **error)
{
    Cursor cursor = { .data = data, .offset = section->offset };

    if (!place(section, &cursor, len, error))
        return FALSE;
    *ret_used = cursor.at;
    return TRUE;
}

void
mose_layout_splice(MoseSection *section, gsize at, gsize old_len, const guint8 *data,
                   gsize len)
{
    MoseSection *top = mose_section_top(section);
    g_autoptr(GByteArray) bytes = top->bytes;
    gsize used;
    gboolean placed;

    top->bytes = g_byte_array_sized_new((guint)(bytes->len + len - old_len) + 1);
    g_byte_array_append(top->bytes, bytes->data, (guint)at);
    g_byte_array_append(top->bytes, data, (guint)len);
    g_byte_array_append(top->bytes, bytes->data + at + old_len,
                        (guint)(bytes->len - at - old_len));
    for (; section; section = section->parent) {
        if (section->owner)
            section->owner->size += len - old_len;
    }
    placed = mose_layout_place(top, top->bytes->data, top->bytes->len, &used, NULL);
    g_warn_if_fail(placed && used == top->bytes->len);
}

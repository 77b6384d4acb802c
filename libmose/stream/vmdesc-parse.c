/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the description's text to the tree. Nesting is limited, so the two
 * functions that call each other (struct in field, subsection in section) do not
 * go deeper than MOSE_MAX_VMDESC_DEPTH.
 */
#include "stream/vmdesc.h"

#include <string.h>

#include "stream/format.h"
#include "stream/scan.h"
#include "util/error.h"

typedef struct {
    MoseScan scan;
    GStringChunk *strings;
    guint n_fields;
    int depth;
} Parser;

static gboolean parse_body_key(Parser *parser, MoseSection *section, const char *key,
                               gboolean *ret_known, GError **error);

static gboolean
fail(const Parser *parser, const MoseSection *section, const MoseField *field,
     const char *reason, GError **error)
{
    g_autofree char *where = mose_section_where(section, field);

    g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM, "description, byte %zu: %s: %s",
                mose_scan_position(&parser->scan), where, reason);
    return FALSE;
}

/* Calls @member for each key of an object; it must take the value. */
typedef gboolean (*MemberFunc)(Parser *parser, gpointer node, const char *key,
                               GError **error);

static gboolean
parse_object(Parser *parser, MemberFunc member, gpointer node, MoseText *ret_text,
             GError **error)
{
    gboolean more;
    const char *first;

    mose_scan_space(&parser->scan);
    first = parser->scan.at;
    if (!mose_scan_enter(&parser->scan, '{', error))
        return FALSE;
    for (gboolean start = TRUE;; start = FALSE) {
        const char *key;

        if (!mose_scan_more(&parser->scan, '}', start, &more, error))
            return FALSE;
        if (!more)
            break;
        key = mose_scan_key(&parser->scan, parser->strings, error);
        if (!key || !member(parser, node, key, error))
            return FALSE;
    }
    *ret_text = (MoseText){ first, (gsize)(parser->scan.at - first) };
    return TRUE;
}

static gboolean
parse_string(Parser *parser, const char **ret, GError **error)
{
    *ret = mose_scan_string(&parser->scan, parser->strings, error);
    return *ret != NULL;
}

static gboolean
parse_u32(Parser *parser, guint32 *ret, GError **error)
{
    guint64 value;

    if (!mose_scan_integer(&parser->scan, G_MAXUINT32, &value, error))
        return FALSE;
    *ret = (guint32)value;
    return TRUE;
}

static gboolean
struct_member(Parser *parser, gpointer node, const char *key, GError **error)
{
    gboolean known;

    if (!parse_body_key(parser, node, key, &known, error))
        return FALSE;
    return known || mose_scan_skip(&parser->scan, error);
}

/* The struct of @field, made when its first key is met. */
static MoseSection *
field_inner(MoseField *field)
{
    if (!field->inner) {
        field->inner = mose_section_node_new(field->section, NULL);
        field->inner->owner = field;
    }
    return field->inner;
}

static gboolean
parse_struct(Parser *parser, MoseField *field, GError **error)
{
    MoseSection *inner;

    if (field->inner)
        return fail(parser, field->section, field, "two structs", error);
    inner = field_inner(field);
    field->nested_key = TRUE;
    return parse_object(parser, struct_member, inner, &inner->text, error);
}

/* Fields of these types have their struct's keys among their own. */
static gboolean
has_keys_inline(const MoseField *field)
{
    return g_strcmp0(field->type, "tmp") == 0 || g_strcmp0(field->type, "vstruct") == 0;
}

static gboolean
field_member(Parser *parser, gpointer node, const char *key, GError **error)
{
    MoseField *field = node;
    guint64 index;
    gboolean known;

    if (strcmp(key, "name") == 0)
        return parse_string(parser, &field->name, error);
    if (strcmp(key, "type") == 0)
        return parse_string(parser, &field->type, error);
    if (strcmp(key, "size") == 0)
        return mose_scan_integer(&parser->scan, MOSE_MAX_DEVICE_PART, &field->size,
                                 error);
    if (strcmp(key, "array_len") == 0) {
        field->array = TRUE;
        return mose_scan_integer(&parser->scan, MOSE_MAX_DEVICE_PART, &field->count,
                                 error);
    }
    if (strcmp(key, "index") == 0) {
        if (!mose_scan_integer(&parser->scan, MOSE_MAX_DEVICE_PART, &index, error))
            return FALSE;
        field->index = (gint64)index;
        return TRUE;
    }
    if (strcmp(key, "struct") == 0)
        return parse_struct(parser, field, error);
    if (has_keys_inline(field)) {
        if (!parse_body_key(parser, field_inner(field), key, &known, error))
            return FALSE;
        if (known)
            return TRUE;
    }
    return mose_scan_skip(&parser->scan, error);
}

static gboolean
parse_field(Parser *parser, MoseSection *section, GError **error)
{
    MoseField *field;

    if (++parser->n_fields > MOSE_MAX_FIELDS)
        return fail(parser, section, NULL, "too many fields", error);
    field = mose_field_node_new(section, NULL);
    if (!parse_object(parser, field_member, field, &field->text, error))
        return FALSE;
    if (!field->name || !field->type)
        return fail(parser, section, field, "a field without name or type", error);
    if (field->count == 0)
        return fail(parser, section, field, "an array of no elements", error);
    if (field->inner && !field->nested_key && !has_keys_inline(field))
        return fail(parser, section, field, "two types", error);
    if (field->inner && !field->inner->vmsd_name)
        return fail(parser, section, field, "a struct without vmsd_name", error);
    return TRUE;
}

static gboolean
parse_subsection(Parser *parser, MoseSection *section, GError **error)
{
    MoseSection *sub = mose_section_node_new(section, NULL);

    g_ptr_array_add(section->subsections, sub);
    if (!parse_object(parser, struct_member, sub, &sub->text, error))
        return FALSE;
    if (!sub->vmsd_name || !*sub->vmsd_name || strlen(sub->vmsd_name) > 255)
        return fail(parser, section, NULL,
                    "a subsection without a name of 1 to 255 bytes", error);
    return TRUE;
}

typedef gboolean (*ElementFunc)(Parser *parser, MoseSection *section, GError **error);

static gboolean
parse_array(Parser *parser, MoseSection *section, ElementFunc element, GError **error)
{
    gboolean more = TRUE;

    if (++parser->depth > MOSE_MAX_VMDESC_DEPTH)
        return fail(parser, section, NULL, "nested too deep", error);
    if (!mose_scan_enter(&parser->scan, '[', error))
        return FALSE;
    for (gboolean start = TRUE; more; start = FALSE) {
        if (!mose_scan_more(&parser->scan, ']', start, &more, error))
            return FALSE;
        if (more && !element(parser, section, error))
            return FALSE;
    }
    parser->depth--;
    return TRUE;
}

/* The keys that a section, a subsection and a struct have in common. */
static gboolean
parse_body_key(Parser *parser, MoseSection *section, const char *key,
               gboolean *ret_known, GError **error)
{
    *ret_known = TRUE;
    if (strcmp(key, "vmsd_name") == 0) {
        if (!parse_string(parser, &section->vmsd_name, error))
            return FALSE;
        if (!section->name)
            section->name = section->vmsd_name;
        return TRUE;
    }
    if (strcmp(key, "version") == 0)
        return parse_u32(parser, &section->version, error);
    if (strcmp(key, "fields") == 0)
        return parse_array(parser, section, parse_field, error);
    if (strcmp(key, "subsections") == 0)
        return parse_array(parser, section, parse_subsection, error);
    *ret_known = FALSE;
    return TRUE;
}

static gboolean
section_member(Parser *parser, gpointer node, const char *key, GError **error)
{
    MoseSection *section = node;

    if (strcmp(key, "name") == 0)
        return parse_string(parser, &section->name, error);
    if (strcmp(key, "instance_id") == 0)
        return parse_u32(parser, &section->instance, error);
    return struct_member(parser, section, key, error);
}

static gboolean
parse_sections(Parser *parser, MoseVmdesc *vmdesc, GError **error)
{
    gboolean more = TRUE;

    if (!mose_scan_enter(&parser->scan, '[', error))
        return FALSE;
    vmdesc->head = (MoseText){ vmdesc->text, mose_scan_position(&parser->scan) };
    for (gboolean start = TRUE; more; start = FALSE) {
        MoseSection *section;

        vmdesc->tail.at = parser->scan.at;
        if (!mose_scan_more(&parser->scan, ']', start, &more, error))
            return FALSE;
        if (!more)
            break;
        section = mose_section_node_new(NULL, NULL);
        g_ptr_array_add(vmdesc->sections, section);
        if (!parse_object(parser, section_member, section, &section->text, error))
            return FALSE;
        if (!section->name || !*section->name || strlen(section->name) > 255)
            return fail(parser, section, NULL,
                        "a section without a name of 1 to 255 bytes", error);
    }
    return TRUE;
}

static gboolean
vmdesc_member(Parser *parser, gpointer node, const char *key, GError **error)
{
    MoseVmdesc *vmdesc = node;
    guint64 page_size;

    if (strcmp(key, "devices") == 0) {
        if (!vmdesc->tail.at)
            return parse_sections(parser, vmdesc, error);
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                    "description, byte %zu: \"devices\" twice",
                    mose_scan_position(&parser->scan));
        return FALSE;
    }
    if (strcmp(key, "page_size") == 0)
        return mose_scan_integer(&parser->scan, G_MAXUINT32, &page_size, error);
    return mose_scan_skip(&parser->scan, error);
}

MoseVmdesc *
mose_vmdesc_parse(const char *text, gsize len, GError **error)
{
    g_autoptr(MoseVmdesc) vmdesc = mose_vmdesc_new();
    Parser parser = { .strings = vmdesc->strings };
    MoseText whole;

    if (len > MOSE_MAX_VMDESC) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                    "description: %zu bytes, more than the limit of %u", len,
                    MOSE_MAX_VMDESC);
        return NULL;
    }
    vmdesc->text = g_strndup(text, len);
    vmdesc->len = len;
    vmdesc->tail.at = NULL;
    parser.scan = (MoseScan){ vmdesc->text, vmdesc->text, vmdesc->text + len };
    if (!parse_object(&parser, vmdesc_member, vmdesc, &whole, error) ||
        !mose_scan_finish(&parser.scan, error))
        return NULL;
    if (!vmdesc->tail.at) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                    "description: no \"devices\" in it");
        return NULL;
    }
    vmdesc->n_parsed = vmdesc->sections->len;
    vmdesc->tail.len = (gsize)(vmdesc->text + len - vmdesc->tail.at);
    return g_steal_pointer(&vmdesc);
}

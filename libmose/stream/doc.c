/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The document: its sections from bytes and back. Fields are section.c's. */
#include "stream/doc.h"

#include <string.h>

#include "stream/doc-private.h"
#include "stream/format.h"
#include "stream/layout.h"
#include "stream/wire.h"
#include "util/error.h"

static MoseDoc *
doc_from_vmdesc(MoseVmdesc *vmdesc)
{
    MoseDoc *doc = g_new0(MoseDoc, 1);

    doc->vmdesc = vmdesc;
    for (guint i = 0; i < vmdesc->sections->len; i++)
        mose_doc_section(doc, i)->doc = doc;
    return doc;
}

MoseDoc *
mose_doc_new(void)
{
    return doc_from_vmdesc(mose_vmdesc_new());
}

void
mose_doc_free(MoseDoc *doc)
{
    if (!doc)
        return;
    mose_vmdesc_free(doc->vmdesc);
    g_free(doc);
}

/* Bytes of the device part, from its begin in the stream on. */
typedef struct {
    const guint8 *data;
    gsize len;
    gsize at;
    guint64 offset;
} Input;

static gboolean
input_fail(const Input *input, const MoseSection *section, const char *reason,
           GError **error)
{
    g_autofree char *where = mose_section_where(section, NULL);

    g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                "%s, stream offset 0x%" G_GINT64_MODIFIER "x: %s", where,
                input->offset + input->at, reason);
    return FALSE;
}

/* The header on the wire must be that of the section described here. */
static gboolean
parse_header(Input *input, MoseSection *section, GError **error)
{
    gsize len = strlen(section->name);
    const guint8 *head = input->data + input->at;

    if (input->len - input->at < 1 + 4 + 1 + len + 4 + 4)
        return input_fail(input, section, "described, but the device part is over",
                          error);
    if (head[0] != MOSE_VM_SECTION_FULL)
        return input_fail(input, section, "no section begins here", error);
    if (head[5] != len || memcmp(head + 6, section->name, len) != 0)
        return input_fail(input, section, "another section is here", error);
    section->id = (guint32)mose_wire_get(head + 1, 4);
    head += 6 + len;
    if (mose_wire_get(head, 4) != section->instance)
        return input_fail(input, section, "another instance is here", error);
    if (section->vmsd_name && mose_wire_get(head + 4, 4) != section->version)
        return input_fail(input, section, "another version is here than described",
                          error);
    section->version = (guint32)mose_wire_get(head + 4, 4);
    input->at += 1 + 4 + 1 + len + 4 + 4;
    return TRUE;
}

static gboolean
parse_footer(Input *input, const MoseSection *section, GError **error)
{
    const guint8 *foot = input->data + input->at;

    if (input->len - input->at < 5 || foot[0] != MOSE_VM_FOOTER)
        return input_fail(input, section, "no footer where its fields end", error);
    if (mose_wire_get(foot + 1, 4) != section->id)
        return input_fail(input, section, "the footer is that of another section",
                          error);
    input->at += 5;
    return TRUE;
}

static gboolean
parse_section(Input *input, MoseSection *section, GError **error)
{
    const guint8 *body;
    gsize used;

    if (!parse_header(input, section, error))
        return FALSE;
    section->offset = input->offset + input->at;
    body = input->data + input->at;
    if (!mose_layout_place(section, body, input->len - input->at, &used, error))
        return FALSE;
    input->at += used;
    section->bytes = g_byte_array_sized_new((guint)used + 1);
    g_byte_array_append(section->bytes, body, (guint)used);
    return parse_footer(input, section, error);
}

MoseDoc *
mose_doc_parse(const guint8 *data, gsize len, gsize description, guint64 offset,
               GError **error)
{
    g_autoptr(MoseDoc) doc = NULL;
    MoseVmdesc *vmdesc;
    Input input = { data, 0, 0, offset };

    if (len > MOSE_MAX_DEVICE_PART || description < 1 || description + 5 > len ||
        data[description - 1] != MOSE_VM_EOF ||
        data[description] != MOSE_VM_DESCRIPTION ||
        mose_wire_get(data + description + 1, 4) != len - description - 5) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                    "stream offset 0x%" G_GINT64_MODIFIER "x: no description",
                    offset + description);
        return NULL;
    }
    vmdesc = mose_vmdesc_parse((const char *)data + description + 5,
                               len - description - 5, error);
    if (!vmdesc)
        return NULL;
    doc = doc_from_vmdesc(vmdesc);
    input.len = description - 1;
    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        if (!parse_section(&input, mose_doc_section(doc, i), error))
            return NULL;
    }
    if (input.at != input.len) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_STREAM,
                    "stream offset 0x%" G_GINT64_MODIFIER
                    "x: %zu bytes behind the last section described",
                    offset + input.at, input.len - input.at);
        return NULL;
    }
    return g_steal_pointer(&doc);
}

static void
write_section(const MoseSection *section, GByteArray *out)
{
    gsize len = strlen(section->name);

    mose_wire_append(out, 1, MOSE_VM_SECTION_FULL);
    mose_wire_append(out, 4, section->id);
    mose_wire_append(out, 1, len);
    g_byte_array_append(out, (const guint8 *)section->name, (guint)len);
    mose_wire_append(out, 4, section->instance);
    mose_wire_append(out, 4, section->version);
    g_byte_array_append(out, section->bytes->data, section->bytes->len);
    mose_wire_append(out, 1, MOSE_VM_FOOTER);
    mose_wire_append(out, 4, section->id);
}

void
mose_doc_write(const MoseDoc *doc, GByteArray *out)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < mose_doc_n_sections(doc); i++)
        write_section(mose_doc_section(doc, i), out);
    mose_vmdesc_write(doc->vmdesc, text);
    mose_wire_append(out, 1, MOSE_VM_EOF);
    mose_wire_append(out, 1, MOSE_VM_DESCRIPTION);
    mose_wire_append(out, 4, text->len);
    g_byte_array_append(out, (const guint8 *)text->str, (guint)text->len);
}

guint
mose_doc_n_sections(const MoseDoc *doc)
{
    return doc->vmdesc->sections->len;
}

MoseSection *
mose_doc_section(const MoseDoc *doc, guint i)
{
    return i < doc->vmdesc->sections->len ? doc->vmdesc->sections->pdata[i] : NULL;
}

MoseSection *
mose_doc_find(const MoseDoc *doc, const char *name, guint32 instance)
{
    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        MoseSection *section = mose_doc_section(doc, i);

        if (section->instance == instance && strcmp(section->name, name) == 0)
            return section;
    }
    return NULL;
}

void
mose_doc_drop(MoseDoc *doc, MoseSection *section)
{
    g_ptr_array_remove(doc->vmdesc->sections, section);
}

void
mose_doc_reserve_id(MoseDoc *doc, guint32 id)
{
    doc->reserved_id = MAX(doc->reserved_id, id);
}

/* Ids are small numbers that QEMU counts up; the stream chooses them all the same,
 * so one above the highest may not exist. */
static guint32
unused_id(const MoseDoc *doc)
{
    guint32 id = doc->reserved_id;
    gboolean used = TRUE;

    for (guint i = 0; i < mose_doc_n_sections(doc); i++)
        id = MAX(id, mose_doc_section(doc, i)->id);
    while (used) {
        id++;
        used = id == doc->reserved_id;
        for (guint i = 0; i < mose_doc_n_sections(doc); i++)
            used = used || mose_doc_section(doc, i)->id == id;
    }
    return id;
}

MoseSection *
mose_doc_add(MoseDoc *doc, const char *name, guint32 instance, guint32 version)
{
    MoseSection *section =
        mose_section_node_new(NULL, g_string_chunk_insert(doc->vmdesc->strings, name));

    section->vmsd_name = section->name;
    section->instance = instance;
    section->version = version;
    section->id = unused_id(doc);
    section->bytes = g_byte_array_sized_new(1);
    section->doc = doc;
    g_ptr_array_add(doc->vmdesc->sections, section);
    return section;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The description of a stream (vmdesc) as a tree: section, field, subsection.
 *
 * It reads and writes the JSON of QEMU's migration/vmstate.c
 * (vmstate_save_state_v, vmsd_desc_field_start, vmstate_subsection_save). What
 * the tree describes, the bytes of the sections, is doc.c's matter.
 *
 *   {"configuration": {...}, "page_size": 4096, "devices": [
 *     {"name": "apic", "instance_id": 0, "vmsd_name": "apic", "version": 3,
 *      "fields": [
 *        {"name": "isr", "array_len": 8, "type": "uint32", "size": 4},
 *        {"name": "dev", "type": "struct", "struct": {
 *            "vmsd_name": ..., "version": ..., "fields": [...]}, "size": 17}],
 *      "subsections": [{"vmsd_name": "apic/x", "version": 1, "fields": [...]}]},
 *     ...]}
 *
 * What QEMU means by it:
 *  - "size" is what one element takes on the wire, all that is nested in it
 *    included; "array_len" elements of that size follow each other, and the
 *    description is that of the first.
 *  - An array whose elements may differ is written element by element, with
 *    "index", which the last element lacks (max_elems is then 1).
 *  - A name that one struct uses twice becomes "name[0]", "name[1]".
 *  - Null pointers in an array are elements of type "nullptr", one byte long.
 *  - Types "tmp" and "vstruct" have the struct's keys in the field itself.
 *  - A section without vmsd_name is old style: one field "data", type "buffer".
 *  - Lists and trees ("QTAILQ", "gtree", "QLIST") repeat the keys of their
 *    elements and have bytes between these that nothing describes: their fields
 *    are bytes here.
 *
 * Each node keeps its place in the text. Only nodes with a changed shape are
 * written anew; the others' text is copied.
 */
#pragma once

#include <glib.h>

#include "stream/doc.h"

typedef struct MoseField MoseField;

/* A part of the description's text; NULL for a node that was made or changed. */
typedef struct {
    const char *at;
    gsize len;
} MoseText;

struct MoseField {
    const char *name;
    const char *type;
    guint64 size;  /* bytes of one element */
    guint64 count; /* elements: array_len, or 1 */
    gint64 index;  /* of an array that is written element by element, or -1 */
    gboolean array;
    gboolean nested_key;  /* @inner stands under "struct", not in the field itself */
    MoseSection *inner;   /* what one element consists of, or NULL */
    MoseSection *section; /* the section or struct whose field this is */
    gsize start;          /* of the first element in the section's bytes */
    MoseText text;
};

/* A section, a subsection, or the inside of a struct. */
struct MoseSection {
    const char *name;      /* of the section; of a subsection or struct its vmsd_name */
    const char *vmsd_name; /* NULL: old style */
    guint32 version;
    guint32 instance;
    GPtrArray *fields;      /* MoseField */
    GPtrArray *subsections; /* MoseSection */
    gsize start;            /* of the first field in the section's bytes */
    gsize end;              /* of the last field or subsection */
    MoseText text;

    MoseSection *parent; /* what contains it; NULL for a section */
    MoseField *owner;    /* the field whose inside this is, or NULL */

    /* Of a section alone, filled in by the document. */
    MoseDoc *doc;
    guint32 id;
    guint64 offset;    /* in the stream of the first field */
    GByteArray *bytes; /* its data is never NULL */
};

typedef struct {
    char *text; /* owned; the tree points into it */
    gsize len;
    MoseText head;         /* up to and with the '[' of "devices" */
    MoseText tail;         /* from its ']' on */
    GPtrArray *sections;   /* MoseSection, owned */
    guint n_parsed;        /* how many there were */
    GStringChunk *strings; /* the names and types of the tree */
} MoseVmdesc;

/* A description without sections. */
MoseVmdesc *mose_vmdesc_new(void);

/*
 * Read the @len bytes at @text, which are copied. Limits: format.h. Errors are
 * STREAM and name the byte, section and field.
 */
MoseVmdesc *mose_vmdesc_parse(const char *text, gsize len, GError **error);
void mose_vmdesc_free(MoseVmdesc *vmdesc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseVmdesc, mose_vmdesc_free)

/* Append the JSON of the tree to @out: the very text that was read where nothing
 * has changed. */
void mose_vmdesc_write(const MoseVmdesc *vmdesc, GString *out);

/* Nodes for the document. They belong to what they are added to; the strings must
 * live as long. */
MoseSection *mose_section_node_new(MoseSection *parent, const char *name);
void mose_section_node_free(MoseSection *section);
MoseField *mose_field_node_new(MoseSection *section, const char *name);

/* The shape of @section has changed: its text and that of all it stands in is to be
 * written anew. */
void mose_section_node_touch(MoseSection *section);

/* The section at the top of @section, which holds the bytes. */
MoseSection *mose_section_top(const MoseSection *section);

/* "section 'cpu' 0, subsection 'cpu/x', field 'timer.expiry'"; @field may be NULL. */
char *mose_section_where(const MoseSection *section, const MoseField *field);

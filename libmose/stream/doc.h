/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device part of one migration stream as a document that rules change.
 *
 * A document holds the device sections (QEMU_VM_SECTION_FULL and
 * what follows RAM) of one stream, parsed by the JSON description (vmdesc) at
 * its end. It does no I/O. An untouched document is written as the
 * very bytes it was parsed from; a changed one has a description that is true.
 *
 * Fields are named by path: "env.tsc", "env.regs[3]", and "timer.expiry" for the
 * field "expiry" of the struct in the field "timer" (all of it in path.h). A
 * path stays inside one section or one subsection. Integers are big-endian on
 * the wire; get and set convert.
 */
#pragma once

#include <glib.h>

typedef struct MoseDoc MoseDoc;
typedef struct MoseSection MoseSection;

/* A document without sections: for tests, and for streams made by hand. */
MoseDoc *mose_doc_new(void);

/*
 * Parse the device part of a stream (format.h): FULL sections, EOF, description.
 * @description is where in @data the description's 0x06 stands, @offset where in
 * the stream @data does. Strict: each header, subsection header, struct size and
 * footer must be what the description says, and nothing may be left over. Errors
 * are STREAM and name section, field and stream offset.
 */
MoseDoc *mose_doc_parse(const guint8 *data, gsize len, gsize description,
                        guint64 offset, GError **error);
void mose_doc_free(MoseDoc *doc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseDoc, mose_doc_free)

/* Append to @out what mose_doc_parse() takes. */
void mose_doc_write(const MoseDoc *doc, GByteArray *out);

/* The section id @id is taken by a section that is not in the document (RAM). */
void mose_doc_reserve_id(MoseDoc *doc, guint32 id);

/* Device sections in stream order. Pointers stay valid until the section is
 * dropped or the document freed. */
guint mose_doc_n_sections(const MoseDoc *doc);
MoseSection *mose_doc_section(const MoseDoc *doc, guint i);

/* The section @name with @instance, or NULL. */
MoseSection *mose_doc_find(const MoseDoc *doc, const char *name, guint32 instance);

/* Take a section out of the stream and its description. */
void mose_doc_drop(MoseDoc *doc, MoseSection *section);

/*
 * Add a section at the end of the device part with an unused section id and no
 * fields yet; returns it (owned by @doc).
 */
MoseSection *mose_doc_add(MoseDoc *doc, const char *name, guint32 instance,
                          guint32 version);

const char *mose_section_name(const MoseSection *section);
guint32 mose_section_instance(const MoseSection *section);
guint32 mose_section_version(const MoseSection *section);

/* Whether the field at @path exists. Subsection fields:
 * mose_section_subsection() first, then the same calls on what it returns. */
gboolean mose_section_has(const MoseSection *section, const char *path);

/*
 * Unsigned value of the field at @path (size 1, 2, 4 or 8 bytes; a signed field
 * is not sign-extended). Errors: NOT_FOUND, STREAM (size), each naming section,
 * path and stream offset.
 */
gboolean mose_section_get(const MoseSection *section, const char *path, guint64 *ret,
                          GError **error);
/* Set it. A value that does not fit the field's size is an INVALID error. */
gboolean mose_section_set(MoseSection *section, const char *path, guint64 value,
                          GError **error);

/* Bytes of a field of any size, or of a whole array (borrowed until the next change).
 */
const guint8 *mose_section_bytes(const MoseSection *section, const char *path,
                                 gsize *ret_len, GError **error);
/* Replace them by as many others: another length, or a struct, is an INVALID error. */
gboolean mose_section_set_bytes(MoseSection *section, const char *path,
                                const void *data, gsize len, GError **error);

/* Append a field to a section made by mose_doc_add() or
 * mose_section_add_subsection(); @size is 1, 2, 4 or 8. @type is QEMU's name
 * for it in the vmdesc ("uint64", "bool", ...). */
void mose_section_append(MoseSection *section, const char *field, const char *type,
                         gsize size, guint64 value);

/*
 * The subsection @name ("cpu/tsc_khz") anywhere in @section, the first where
 * several structs have it ("fdrive/media_rate" of two drives), or NULL. It is
 * read and changed with the mose_section_*() calls of fields.
 */
MoseSection *mose_section_subsection(MoseSection *section, const char *name);
void mose_section_drop_subsection(MoseSection *section, const char *name);
/* Add an empty subsection at the end of @section. */
MoseSection *mose_section_add_subsection(MoseSection *section, const char *name,
                                         guint32 version);

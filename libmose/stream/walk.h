/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All fields of a section in the order of the wire, each with its path and bytes:
 * for listing and comparing. It changes nothing.
 */
#pragma once

#include "stream/doc.h"

/* A field without a struct in it, or the begin of a subsection. */
typedef struct {
    const char *subsection; /* in which the field is; NULL: in the section itself */
    const char *path;       /* as in doc.h, within the subsection; NULL: it begins */
    const char *type;       /* QEMU's name: "uint64", "buffer" */
    gsize element_size;     /* bytes */
    guint64 count;          /* elements in one piece */
    const guint8 *bytes;    /* element_size * count */
    guint64 offset;         /* in the stream that was parsed */
} MoseLeaf;

typedef void (*MoseLeafFunc)(const MoseLeaf *leaf, gpointer data);

/* Call @func for each leaf; what @leaf points to is valid during the call. */
void mose_section_walk(const MoseSection *section, MoseLeafFunc func, gpointer data);

/* Bytes of the fields and subsections of @section, and where in the stream that was
 * parsed they begin. */
gsize mose_section_size(const MoseSection *section);
guint64 mose_section_offset(const MoseSection *section);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The walk; as deep as the description, which is limited. */
#include "stream/walk.h"

#include <string.h>

#include "stream/vmdesc.h"

typedef struct {
    const MoseSection *top;
    const char *subsection;
    GString *path;
    MoseLeafFunc func;
    gpointer data;
} Walk;

static void walk_section(Walk *walk, const MoseSection *section, gsize base);

static void
emit(Walk *walk, const MoseField *field, gsize start, guint64 count)
{
    MoseLeaf leaf = {
        .subsection = walk->subsection,
        .path = walk->path->str,
        .type = field->type,
        .element_size = field->size,
        .count = count,
        .bytes = field->size * count > 0 ? walk->top->bytes->data + start
                                         : (const guint8 *)"",
        .offset = walk->top->offset + start,
    };

    walk->func(&leaf, walk->data);
}

/* One element: a leaf, or the struct in it. */
static void
walk_element(Walk *walk, const MoseField *field, gsize start)
{
    gsize len = walk->path->len;

    if (!field->inner) {
        emit(walk, field, start, 1);
        return;
    }
    g_string_append_c(walk->path, '.');
    walk_section(walk, field->inner, start - field->start);
    g_string_truncate(walk->path, len);
}

/* @first is how many elements of the same array came before this field; @alone tells
 * that the field is the whole array. */
static void
walk_field(Walk *walk, const MoseField *field, gsize base, guint64 first,
           gboolean alone)
{
    gsize len = walk->path->len;

    g_string_append(walk->path, field->name);
    if (alone && !field->inner) {
        emit(walk, field, base + field->start, field->count);
        g_string_truncate(walk->path, len);
        return;
    }
    for (guint64 i = 0; i < field->count; i++) {
        gsize name_len = walk->path->len;

        if (!alone || field->count > 1)
            g_string_append_printf(walk->path, "[%" G_GUINT64_FORMAT "]", first + i);
        walk_element(walk, field, base + field->start + i * field->size);
        g_string_truncate(walk->path, name_len);
    }
    g_string_truncate(walk->path, len);
}

static gboolean
same_name(const GPtrArray *fields, guint i, guint j)
{
    const MoseField *a = fields->pdata[i], *b = fields->pdata[j];

    return strcmp(a->name, b->name) == 0;
}

static void
walk_subsection(Walk *walk, const MoseSection *sub)
{
    Walk inner = *walk;
    MoseLeaf leaf = { .subsection = sub->name,
                      .offset = walk->top->offset + sub->start,
                      .bytes = (const guint8 *)"" };
    g_autoptr(GString) path = g_string_new(NULL);

    inner.subsection = sub->name;
    inner.path = path;
    walk->func(&leaf, walk->data);
    walk_section(&inner, sub, 0);
}

/* @base is how far the bytes are from those of the first element of the array in which
 * @section is; subsections are in no such array (layout.c). */
static void
walk_section(Walk *walk, const MoseSection *section, gsize base)
{
    const GPtrArray *fields = section->fields;
    guint64 first = 0;

    for (guint i = 0; i < fields->len; i++) {
        const MoseField *field = fields->pdata[i];
        gboolean begins = i == 0 || !same_name(fields, i - 1, i);
        gboolean ends = i + 1 == fields->len || !same_name(fields, i, i + 1);

        first = begins ? 0 : first;
        walk_field(walk, field, base, first, begins && ends);
        first += field->count;
    }
    for (guint i = 0; i < section->subsections->len; i++)
        walk_subsection(walk, section->subsections->pdata[i]);
}

void
mose_section_walk(const MoseSection *section, MoseLeafFunc func, gpointer data)
{
    g_autoptr(GString) path = g_string_new(NULL);
    Walk walk = {
        .top = mose_section_top(section), .path = path, .func = func, .data = data
    };

    walk_section(&walk, section, 0);
}

gsize
mose_section_size(const MoseSection *section)
{
    return section->end - section->start;
}

guint64
mose_section_offset(const MoseSection *section)
{
    return mose_section_top(section)->offset + section->start;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Streams as text. Columns are as wide as what stands in them. */
#include "stream/show.h"

#include <string.h>

#include "stream/value.h"
#include "stream/walk.h"

typedef struct {
    GString *out;
    int width; /* of the widest path, for the second walk */
    int type_width;
} Listing;

/* All sizes of RAM are multiples of 4 KiB. */
static char *
size_text(guint64 bytes)
{
    static const char units[] = "KMG";
    guint64 size = bytes >> 10;
    guint unit = 0;

    for (; size > 0 && size % 1024 == 0 && units[unit + 1]; unit++)
        size /= 1024;
    return g_strdup_printf("%" G_GUINT64_FORMAT " %ciB", size, units[unit]);
}

static void
show_blocks(const MoseStreamInfo *info, GString *out)
{
    int width = 0;

    for (guint i = 0; i < info->blocks->len; i++) {
        const MoseRamBlock *block = info->blocks->pdata[i];

        width = MAX(width, (int)strlen(block->name));
    }
    for (guint i = 0; i < info->blocks->len; i++) {
        const MoseRamBlock *block = info->blocks->pdata[i];
        g_autofree char *size = size_text(block->length);

        g_string_append_printf(out, "  %-*s  %8s", width, block->name, size);
        if (block->address)
            g_string_append_printf(out, "  at 0x%" G_GINT64_MODIFIER "x",
                                   block->address);
        if (block->page_size)
            g_string_append_printf(out, "  pages of 0x%" G_GINT64_MODIFIER "x",
                                   block->page_size);
        g_string_append_c(out, '\n');
    }
}

static void
show_records(const MoseRamCount *count, GString *out)
{
    const struct {
        const char *name;
        guint64 n;
    } rows[] = {
        { "zero pages", count->zero },
        { "whole pages", count->page },
        { "xbzrle pages", count->xbzrle },
        { "multifd flushes", count->multifd_flush },
        { "bytes of mapped RAM", count->mapped_bytes },
    };
    const char *separator = "  ";

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].n == 0)
            continue;
        g_string_append_printf(out, "%s%" G_GUINT64_FORMAT " %s", separator, rows[i].n,
                               rows[i].name);
        separator = ", ";
    }
    g_string_append(out, *separator == ',' ? "\n" : "  no page is in the stream\n");
}

static void
show_sections(const MoseDoc *doc, GString *out)
{
    int width = strlen("section");

    for (guint i = 0; i < mose_doc_n_sections(doc); i++)
        width = MAX(width, (int)strlen(mose_section_name(mose_doc_section(doc, i))));
    g_string_append_printf(out, "  %-*s  instance  version   bytes  offset\n", width,
                           "section");
    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        const MoseSection *section = mose_doc_section(doc, i);

        g_string_append_printf(
            out, "  %-*s  %8u  %7u  %6zu  0x%" G_GINT64_MODIFIER "x\n", width,
            mose_section_name(section), mose_section_instance(section),
            mose_section_version(section), mose_section_size(section),
            mose_section_offset(section));
    }
}

void
mose_show_stream(const MoseReader *reader, GString *out)
{
    const MoseStreamInfo *info = mose_reader_info(reader);
    const MoseDoc *doc = mose_reader_doc(reader);
    g_autofree char *ram = size_text(info->ram_total);

    g_string_append_printf(out, "machine %s, %" G_GUINT64_FORMAT " bytes",
                           info->machine, info->length);
    for (guint i = 0; i < info->capabilities->len; i++)
        g_string_append_printf(out, "%s %s", i > 0 ? "," : "; capabilities:",
                               (const char *)info->capabilities->pdata[i]);
    g_string_append_printf(out, "\n\nRAM: %s in %u blocks\n", ram, info->blocks->len);
    show_records(&info->count, out);
    show_blocks(info, out);
    g_string_append_printf(
        out, "\ndevices: %u sections, from 0x%" G_GINT64_MODIFIER "x on\n",
        mose_doc_n_sections(doc), info->device_offset);
    show_sections(doc, out);
}

/* The fields of one section. */

static void
measure_leaf(const MoseLeaf *leaf, gpointer data)
{
    Listing *listing = data;
    g_autofree char *type = mose_leaf_type(leaf);

    if (!leaf->path)
        return;
    listing->width = MAX(listing->width, (int)strlen(leaf->path));
    listing->type_width = MAX(listing->type_width, (int)strlen(type));
}

static void
list_leaf(const MoseLeaf *leaf, gpointer data)
{
    Listing *listing = data;
    g_autofree char *type = leaf->path ? mose_leaf_type(leaf) : NULL;
    g_autofree char *text = leaf->path ? mose_leaf_text(leaf, FALSE) : NULL;

    if (leaf->path)
        g_string_append_printf(listing->out, "  %-*s  %-*s  %s\n", listing->width,
                               leaf->path, listing->type_width, type, text);
    else
        g_string_append_printf(listing->out, " subsection %s\n", leaf->subsection);
}

gboolean
mose_show_section(const MoseReader *reader, const char *name, GString *out)
{
    const MoseDoc *doc = mose_reader_doc(reader);
    gboolean found = FALSE;

    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        const MoseSection *section = mose_doc_section(doc, i);
        Listing listing = { .out = out };

        if (strcmp(mose_section_name(section), name) != 0)
            continue;
        found = TRUE;
        g_string_append_printf(
            out, "section %s %u, version %u, %zu bytes at 0x%" G_GINT64_MODIFIER "x\n",
            name, mose_section_instance(section), mose_section_version(section),
            mose_section_size(section), mose_section_offset(section));
        mose_section_walk(section, measure_leaf, &listing);
        mose_section_walk(section, list_leaf, &listing);
    }
    return found;
}

/* "section cpu 0", "subsection cpu/tsc_khz"; NULL for what is no section. */
static char *
difference_heading(const MoseDifference *difference)
{
    if (!difference->section)
        return g_strdup("configuration and RAM");
    if (difference->subsection)
        return g_strdup_printf("section %s %u, subsection %s", difference->section,
                               difference->instance, difference->subsection);
    return g_strdup_printf("section %s %u", difference->section, difference->instance);
}

void
mose_show_differences(const GPtrArray *differences, GString *out)
{
    g_autofree char *last = NULL;

    for (guint i = 0; i < differences->len; i++) {
        const MoseDifference *difference = differences->pdata[i];
        g_autofree char *heading = difference_heading(difference);
        const char *what = difference->field        ? difference->field
                           : difference->subsection ? "the subsection"
                                                    : "the section";

        if (g_strcmp0(heading, last) != 0)
            g_string_append_printf(out, "%s\n", heading);
        g_string_append_printf(out, "  %s\n    - %s\n    + %s\n", what,
                               difference->a ? difference->a : "(not there)",
                               difference->b ? difference->b : "(not there)");
        g_free(last);
        last = g_steal_pointer(&heading);
    }
}

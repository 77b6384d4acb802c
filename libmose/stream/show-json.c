/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Streams as JSON. */
#include <string.h>

#include "stream/show.h"
#include "stream/value.h"
#include "stream/walk.h"

static void
add_string(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value)
        json_builder_add_string_value(builder, value);
    else
        json_builder_add_null_value(builder);
}

static void
add_int(JsonBuilder *builder, const char *name, guint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, (gint64)value);
}

static void
add_ram(const MoseStreamInfo *info, JsonBuilder *builder)
{
    json_builder_set_member_name(builder, "ram");
    json_builder_begin_object(builder);
    add_int(builder, "bytes", info->ram_total);
    add_int(builder, "zero-pages", info->count.zero);
    add_int(builder, "whole-pages", info->count.page);
    add_int(builder, "xbzrle-pages", info->count.xbzrle);
    add_int(builder, "multifd-flushes", info->count.multifd_flush);
    add_int(builder, "mapped-bytes", info->count.mapped_bytes);
    json_builder_set_member_name(builder, "blocks");
    json_builder_begin_array(builder);
    for (guint i = 0; i < info->blocks->len; i++) {
        const MoseRamBlock *block = info->blocks->pdata[i];

        json_builder_begin_object(builder);
        add_string(builder, "name", block->name);
        add_int(builder, "bytes", block->length);
        add_int(builder, "page-size", block->page_size);
        add_int(builder, "address", block->address);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}

static void
add_leaf(const MoseLeaf *leaf, gpointer data)
{
    JsonBuilder *builder = data;

    if (!leaf->path)
        return;
    json_builder_begin_object(builder);
    add_string(builder, "subsection", leaf->subsection);
    add_string(builder, "name", leaf->path);
    mose_leaf_json(leaf, builder);
    json_builder_end_object(builder);
}

static void
add_section(const MoseSection *section, gboolean fields, JsonBuilder *builder)
{
    json_builder_begin_object(builder);
    add_string(builder, "name", mose_section_name(section));
    add_int(builder, "instance", mose_section_instance(section));
    add_int(builder, "version", mose_section_version(section));
    add_int(builder, "bytes", mose_section_size(section));
    add_int(builder, "offset", mose_section_offset(section));
    if (fields) {
        json_builder_set_member_name(builder, "fields");
        json_builder_begin_array(builder);
        mose_section_walk(section, add_leaf, builder);
        json_builder_end_array(builder);
    }
    json_builder_end_object(builder);
}

void
mose_show_json(const MoseReader *reader, const char *name, JsonBuilder *builder)
{
    const MoseStreamInfo *info = mose_reader_info(reader);
    const MoseDoc *doc = mose_reader_doc(reader);

    add_string(builder, "machine", info->machine);
    add_int(builder, "bytes", info->length);
    json_builder_set_member_name(builder, "capabilities");
    json_builder_begin_array(builder);
    for (guint i = 0; i < info->capabilities->len; i++)
        json_builder_add_string_value(builder, info->capabilities->pdata[i]);
    json_builder_end_array(builder);
    add_ram(info, builder);
    json_builder_set_member_name(builder, "sections");
    json_builder_begin_array(builder);
    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        const MoseSection *section = mose_doc_section(doc, i);
        gboolean named = name && strcmp(mose_section_name(section), name) == 0;

        if (!name || named)
            add_section(section, named, builder);
    }
    json_builder_end_array(builder);
}

void
mose_show_differences_json(const GPtrArray *differences, JsonBuilder *builder)
{
    json_builder_set_member_name(builder, "differences");
    json_builder_begin_array(builder);
    for (guint i = 0; i < differences->len; i++) {
        const MoseDifference *difference = differences->pdata[i];

        json_builder_begin_object(builder);
        add_string(builder, "section", difference->section);
        add_int(builder, "instance", difference->instance);
        add_string(builder, "subsection", difference->subsection);
        add_string(builder, "field", difference->field);
        add_string(builder, "a", difference->a);
        add_string(builder, "b", difference->b);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

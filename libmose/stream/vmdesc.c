/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree's nodes, and what a node is called in an error. */
#include "stream/vmdesc.h"

#include "stream/format.h"

static void
field_node_free(gpointer data)
{
    MoseField *field = data;

    mose_section_node_free(field->inner);
    g_free(field);
}

MoseSection *
mose_section_node_new(MoseSection *parent, const char *name)
{
    MoseSection *section = g_new0(MoseSection, 1);

    section->name = name;
    section->parent = parent;
    section->fields = g_ptr_array_new_with_free_func(field_node_free);
    section->subsections =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_section_node_free);
    return section;
}

void
mose_section_node_free(MoseSection *section)
{
    if (!section)
        return;
    g_ptr_array_unref(section->fields);
    g_ptr_array_unref(section->subsections);
    if (section->bytes)
        g_byte_array_unref(section->bytes);
    g_free(section);
}

MoseField *
mose_field_node_new(MoseSection *section, const char *name)
{
    MoseField *field = g_new0(MoseField, 1);

    field->name = name;
    field->count = 1;
    field->index = -1;
    field->section = section;
    g_ptr_array_add(section->fields, field);
    return field;
}

MoseVmdesc *
mose_vmdesc_new(void)
{
    static const char head[] = "{\"configuration\": {\"vmsd_name\": \"configuration\", "
                               "\"version\": 1, \"fields\": []}, \"page_size\": 4096, "
                               "\"devices\": [";
    MoseVmdesc *vmdesc = g_new0(MoseVmdesc, 1);

    vmdesc->sections =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_section_node_free);
    vmdesc->strings = g_string_chunk_new(4096);
    vmdesc->head = (MoseText){ head, sizeof(head) - 1 };
    vmdesc->tail = (MoseText){ "]}", 2 };
    return vmdesc;
}

void
mose_vmdesc_free(MoseVmdesc *vmdesc)
{
    if (!vmdesc)
        return;
    g_ptr_array_unref(vmdesc->sections);
    g_string_chunk_free(vmdesc->strings);
    g_free(vmdesc->text);
    g_free(vmdesc);
}

void
mose_section_node_touch(MoseSection *section)
{
    for (; section; section = section->parent) {
        section->text = (MoseText){ NULL, 0 };
        if (section->owner)
            section->owner->text = (MoseText){ NULL, 0 };
    }
}

MoseSection *
mose_section_top(const MoseSection *section)
{
    while (section->parent)
        section = section->parent;
    return (MoseSection *)section;
}

/* The field of @section within which @node lies, dotted: "dev.timer.expiry". */
static void
prepend_field(GString *path, const MoseField *field)
{
    if (path->len > 0)
        g_string_prepend_c(path, '.');
    if (field->index >= 0) {
        g_autofree char *index =
            g_strdup_printf("[%" G_GINT64_FORMAT "]", field->index);

        g_string_prepend(path, index);
    }
    g_string_prepend(path, field->name ? field->name : "?");
}

char *
mose_section_where(const MoseSection *section, const MoseField *field)
{
    g_autoptr(GString) path = g_string_new(NULL);
    g_autoptr(GString) where = g_string_new(NULL);
    const MoseSection *top = mose_section_top(section);

    if (field)
        prepend_field(path, field);
    for (; section->owner; section = section->parent)
        prepend_field(path, section->owner);
    g_string_printf(where, "section '%s' %u", top->name ? top->name : "?",
                    top->instance);
    if (section != top)
        g_string_append_printf(where, ", subsection '%s'",
                               section->name ? section->name : "?");
    if (path->len > 0)
        g_string_append_printf(where, ", field '%s'", path->str);
    return g_string_free(g_steal_pointer(&where), FALSE);
}

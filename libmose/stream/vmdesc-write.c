/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the tree back to text, in the order of keys and with the spacing of QEMU's
 * qobject/json-writer.c. A node that still has its text is copied.
 */
#include "stream/vmdesc.h"

static void write_body(const MoseSection *section, GString *out);

static void
write_string(const char *string, GString *out)
{
    g_string_append_c(out, '"');
    for (const char *p = string; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c == '"' || c == '\\')
            g_string_append_printf(out, "\\%c", (char)c);
        else if (c > 0xffff)
            g_string_append_printf(out, "\\u%04X\\u%04X",
                                   0xd800 + ((c - 0x10000) >> 10),
                                   0xdc00 + ((c - 0x10000) & 0x3ff));
        else if (c < 0x20 || c >= 0x7f)
            g_string_append_printf(out, "\\u%04X", c);
        else
            g_string_append_c(out, (char)c);
    }
    g_string_append_c(out, '"');
}

static void
write_field(const MoseField *field, GString *out)
{
    g_string_append(out, "{\"name\": ");
    write_string(field->name, out);
    if (field->array)
        g_string_append_printf(out, ", \"array_len\": %" G_GUINT64_FORMAT,
                               field->count);
    if (field->index >= 0)
        g_string_append_printf(out, ", \"index\": %" G_GINT64_FORMAT, field->index);
    g_string_append(out, ", \"type\": ");
    write_string(field->type, out);
    if (field->inner) {
        g_string_append(out, field->nested_key ? ", \"struct\": {" : ", ");
        write_body(field->inner, out);
        if (field->nested_key)
            g_string_append_c(out, '}');
    }
    g_string_append_printf(out, ", \"size\": %" G_GUINT64_FORMAT "}", field->size);
}

static void
write_fields(const GPtrArray *fields, GString *out)
{
    g_string_append(out, "\"fields\": [");
    for (guint i = 0; i < fields->len; i++) {
        const MoseField *field = fields->pdata[i];

        if (i > 0)
            g_string_append(out, ", ");
        if (field->text.at)
            g_string_append_len(out, field->text.at, (gssize)field->text.len);
        else
            write_field(field, out);
    }
    g_string_append_c(out, ']');
}

static void
write_subsections(const GPtrArray *subsections, GString *out)
{
    g_string_append(out, ", \"subsections\": [");
    for (guint i = 0; i < subsections->len; i++) {
        const MoseSection *sub = subsections->pdata[i];

        if (i > 0)
            g_string_append(out, ", ");
        if (sub->text.at) {
            g_string_append_len(out, sub->text.at, (gssize)sub->text.len);
            continue;
        }
        g_string_append_c(out, '{');
        write_body(sub, out);
        g_string_append_c(out, '}');
    }
    g_string_append_c(out, ']');
}

/* The keys without the braces: they may stand in a field's own object. */
static void
write_body(const MoseSection *section, GString *out)
{
    if (section->vmsd_name) {
        g_string_append(out, "\"vmsd_name\": ");
        write_string(section->vmsd_name, out);
        g_string_append_printf(out, ", \"version\": %u, ", section->version);
    } else {
        g_string_append_printf(out, "\"size\": %zu, ", section->end - section->start);
    }
    write_fields(section->fields, out);
    if (section->subsections->len > 0)
        write_subsections(section->subsections, out);
}

static void
write_section(const MoseSection *section, GString *out)
{
    if (section->text.at) {
        g_string_append_len(out, section->text.at, (gssize)section->text.len);
        return;
    }
    g_string_append(out, "{\"name\": ");
    write_string(section->name, out);
    g_string_append_printf(out, ", \"instance_id\": %u, ", section->instance);
    write_body(section, out);
    g_string_append_c(out, '}');
}

static gboolean
is_untouched(const MoseVmdesc *vmdesc)
{
    gboolean untouched = vmdesc->text && vmdesc->sections->len == vmdesc->n_parsed;

    for (guint i = 0; i < vmdesc->sections->len && untouched; i++) {
        const MoseSection *section = vmdesc->sections->pdata[i];

        untouched = section->text.at != NULL;
    }
    return untouched;
}

void
mose_vmdesc_write(const MoseVmdesc *vmdesc, GString *out)
{
    /* With whatever white space there was between the sections. */
    if (is_untouched(vmdesc)) {
        g_string_append_len(out, vmdesc->text, (gssize)vmdesc->len);
        return;
    }
    g_string_append_len(out, vmdesc->head.at, (gssize)vmdesc->head.len);
    for (guint i = 0; i < vmdesc->sections->len; i++) {
        if (i > 0)
            g_string_append(out, ", ");
        write_section(vmdesc->sections->pdata[i], out);
    }
    g_string_append_len(out, vmdesc->tail.at, (gssize)vmdesc->tail.len);
}

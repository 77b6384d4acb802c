/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables for people and programs. See table.h. */
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"

#define GAP 2

struct MoseTable {
    const MoseColumn *columns;
    JsonArray *rows;
};

MoseTable *
mose_table_new(const MoseColumn *columns)
{
    MoseTable *table = g_new0(MoseTable, 1);

    table->columns = columns;
    table->rows = json_array_new();
    return table;
}

void
mose_table_free(MoseTable *table)
{
    if (!table)
        return;
    json_array_unref(table->rows);
    g_free(table);
}

void
mose_table_add(MoseTable *table, JsonObject *row)
{
    json_array_add_object_element(table->rows, row);
}

guint
mose_table_count(const MoseTable *table)
{
    return json_array_get_length(table->rows);
}

/* --- as text --- */

static char *
array_text(JsonArray *array)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(array); i++)
        g_string_append_printf(text, "%s%s", i ? "," : "",
                               json_array_get_string_element(array, i));
    return g_strdup(text->len ? text->str : "-");
}

static char *
cell_text(JsonObject *row, const char *member)
{
    JsonNode *node = json_object_get_member(row, member);

    if (!node || JSON_NODE_HOLDS_NULL(node))
        return g_strdup("-");
    if (JSON_NODE_HOLDS_ARRAY(node))
        return array_text(json_node_get_array(node));
    switch (json_node_get_value_type(node)) {
    case G_TYPE_INT64:
        return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
    case G_TYPE_DOUBLE:
        return g_strdup_printf("%.6f", json_node_get_double(node));
    case G_TYPE_BOOLEAN:
        return g_strdup(json_node_get_boolean(node) ? "yes" : "no");
    default:
        return g_strdup(json_node_get_string(node));
    }
}

static gboolean
is_number(JsonObject *row, const char *member)
{
    JsonNode *node = json_object_get_member(row, member);

    return node && JSON_NODE_HOLDS_VALUE(node) &&
           json_node_get_value_type(node) != G_TYPE_STRING;
}

static gsize
width_of(const char *text)
{
    return g_utf8_strlen(text, -1);
}

static void
measure(const MoseTable *table, gsize *widths)
{
    for (guint c = 0; table->columns[c].member; c++)
        widths[c] = width_of(table->columns[c].title);
    for (guint i = 0; i < mose_table_count(table); i++)
        for (guint c = 0; table->columns[c].member; c++) {
            JsonObject *row = mose_json_element(table->rows, i);
            g_autofree char *text = cell_text(row, table->columns[c].member);

            widths[c] = MAX(widths[c], width_of(text));
        }
}

/* The last one has no blanks behind it. */
static void
print_cell(const char *text, gsize width, gboolean right, gboolean last)
{
    int blanks = (int)(width - width_of(text));

    if (right)
        printf("%*s%s", blanks, "", text);
    else if (last)
        fputs(text, stdout);
    else
        printf("%s%*s", text, blanks, "");
    fputs(last ? "\n" : "  ", stdout);
}

static void
print_text(const MoseTable *table)
{
    gsize widths[MOSE_TABLE_MAX_COLUMNS];
    JsonObject *first =
        mose_table_count(table) ? mose_json_element(table->rows, 0) : NULL;

    measure(table, widths);
    for (guint c = 0; table->columns[c].member; c++)
        print_cell(table->columns[c].title, widths[c],
                   first && is_number(first, table->columns[c].member),
                   !table->columns[c + 1].member);
    for (guint i = 0; i < mose_table_count(table); i++)
        for (guint c = 0; table->columns[c].member; c++) {
            JsonObject *row = mose_json_element(table->rows, i);
            g_autofree char *text = cell_text(row, table->columns[c].member);

            print_cell(text, widths[c], is_number(row, table->columns[c].member),
                       !table->columns[c + 1].member);
        }
}

void
mose_table_print(MoseTable *table, const char *name, JsonObject *more)
{
    g_autoptr(JsonObject) object = more ? more : json_object_new();
    g_autofree char *text = NULL;

    if (!mose_cli_json()) {
        print_text(table);
        return;
    }
    json_object_set_array_member(object, name, json_array_ref(table->rows));
    text = mose_json_text(object, TRUE);
    puts(text);
}

void
mose_table_set_hex(JsonObject *row, const char *member, guint64 value)
{
    g_autofree char *text = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value);

    json_object_set_string_member(row, member, text);
}

JsonObject *
mose_table_retries(guint retries)
{
    if (retries > 0 && !mose_cli_json())
        fprintf(stderr,
                "%s: it changed while it was read, and was read %u times more\n",
                g_get_prgname(), retries);
    return mose_json_object("retries", "i", (gint64)retries, NULL);
}

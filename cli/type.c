/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose type: structs of a guest's kernel, by type and path. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "util/json.h"
#include "vmi/linux/object.h"
#include "vmi/linux/type-print.h"
#include "vmi/linux/type-source.h"

#define MAX_ROWS 1000000

static int max_rows = 1000, depth = 4, elements = 64;
static gboolean nonzero;

static const GOptionEntry entries[] = {
    { "max", 0, 0, G_OPTION_ARG_INT, &max_rows, "values of one expression (1000)",
      "N" },
    { "depth", 0, 0, G_OPTION_ARG_INT, &depth, "structs within structs (4)", "N" },
    { "elements", 0, 0, G_OPTION_ARG_INT, &elements, "elements of an array (64)", "N" },
    { "nonzero", 0, 0, G_OPTION_ARG_NONE, &nonzero, "without members that are all zero",
      NULL },
    { NULL },
};

/* One expression, and what it came to. */
typedef struct {
    const MoseTypeExpr *expr;
    MoseTypeSource source;
    MoseTypePrint how;
    GString *text;
    JsonArray *rows;
    gboolean more;
} Job;

/* --- rows --- */

static gboolean
add_text(Job *job, const MoseTypeColumn *column, gboolean labelled, GError **error)
{
    g_autoptr(GError) reason = NULL;

    if (column->name)
        g_string_append_printf(job->text, "%s = ", column->name);
    if (!column->value)
        g_string_append_printf(job->text, "<%s>", column->error);
    else if (!mose_type_print(&job->source, column->value, &job->how, 0, job->text,
                              &reason)) {
        if (!labelled && !column->name) {
            g_propagate_error(error, g_steal_pointer(&reason));
            return FALSE;
        }
        g_string_append_printf(job->text, "<%s>", reason->message);
    }
    return TRUE;
}

static gboolean
text_row(const char *label, const MoseTypeColumn *columns, guint n, gpointer data,
         GError **error)
{
    Job *job = data;

    if (*label)
        g_string_append_printf(job->text, "%s: ", label);
    for (guint i = 0; i < n; i++) {
        if (i)
            g_string_append(job->text, ", ");
        if (!add_text(job, &columns[i], *label != '\0', error))
            return FALSE;
    }
    g_string_append_c(job->text, '\n');
    return TRUE;
}

static gboolean
column_json(Job *job, const MoseTypeColumn *column, gboolean labelled, JsonObject *to,
            GError **error)
{
    const MoseTypeValue *value = column->value;
    g_autoptr(GError) reason = NULL;
    JsonNode *node = NULL;

    if (value) {
        g_autofree char *type =
            value->typed ? mose_type_ref_declare(&value->type, "") : NULL;
        g_autofree char *address =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value->address);

        if (type)
            json_object_set_string_member(to, "type", type);
        if (value->in_memory)
            json_object_set_string_member(to, "address", address);
        node = mose_type_to_json(&job->source, value, &job->how, &reason);
    }
    if (node) {
        json_object_set_member(to, "value", node);
    } else if (labelled || column->name) {
        json_object_set_string_member(to, "unreadable",
                                      reason ? reason->message : column->error);
    } else {
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    return TRUE;
}

static gboolean
json_row(const char *label, const MoseTypeColumn *columns, guint n, gpointer data,
         GError **error)
{
    Job *job = data;
    JsonObject *row = json_object_new();
    JsonObject *members = NULL;

    json_array_add_object_element(job->rows, row);
    if (*label)
        json_object_set_string_member(row, "label", label);
    if (n == 1 && !columns[0].name)
        return column_json(job, &columns[0], *label != '\0', row, error);
    members = json_object_new();
    json_object_set_object_member(row, "members", members);
    for (guint i = 0; i < n; i++) {
        JsonObject *one = json_object_new();

        json_object_set_object_member(members, columns[i].name, one);
        if (!column_json(job, &columns[i], TRUE, one, error))
            return FALSE;
    }
    return TRUE;
}

/* From the beginning, whenever a list changed under us. */
static gboolean
evaluate(MoseLinux *kernel, gpointer data, GError **error)
{
    Job *job = data;

    g_string_truncate(job->text, 0);
    g_clear_pointer(&job->rows, json_array_unref);
    job->rows = json_array_new();
    return mose_type_expr_eval(job->expr, &job->source, max_rows,
                               mose_cli_json() ? json_row : text_row, job, &job->more,
                               error);
}

/* --- one expression --- */

static gboolean
lay_out(const MoseTypeRef *type, const char *path, JsonObject *to, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    JsonObject *layout;

    if (!mose_cli_json()) {
        if (!mose_type_layout(type, path, text, error))
            return FALSE;
        fputs(text->str, stdout);
        return TRUE;
    }
    layout = mose_type_layout_json(type, path, error);
    if (layout)
        json_object_set_object_member(to, "layout", layout);
    return layout != NULL;
}

static gboolean
show_values(MoseLinux *kernel, Job *job, JsonObject *to, GError **error)
{
    if (!mose_linux_retry(kernel, evaluate, job, NULL, error))
        return FALSE;
    if (mose_cli_json()) {
        json_object_set_array_member(to, "values", json_array_ref(job->rows));
        json_object_set_boolean_member(to, "more", job->more);
        return TRUE;
    }
    fputs(job->text->str, stdout);
    if (job->more)
        printf("... more than %d; --max N shows more\n", max_rows);
    return TRUE;
}

static gboolean
show(MoseLinux *kernel, const MoseTypeSource *source, const char *text, JsonArray *list,
     GError **error)
{
    g_autoptr(MoseTypeExpr) expr = mose_type_expr_parse(text, error);
    g_autoptr(GString) out = g_string_new(NULL);
    JsonObject *object = mose_json_object("expression", "s", text, NULL);
    g_autofree char *path = NULL;
    MoseTypeRef type;
    Job job = { .expr = expr,
                .source = *source,
                .how = { depth, elements, nonzero },
                .text = out };
    gboolean good = FALSE;

    json_array_add_object_element(list, object);
    if (expr && mose_type_expr_is_layout(expr, &job.source, &type, &path))
        good = lay_out(&type, path, object, error);
    else if (expr)
        good = show_values(kernel, &job, object, error);
    g_clear_pointer(&job.rows, json_array_unref);
    if (!good)
        g_prefix_error(error, "%s: ", text);
    return good;
}

static gboolean
show_all(MoseLinux *kernel, const char *const *texts, JsonArray *list, GError **error)
{
    MoseTypeSource source = mose_linux_type_source(kernel);
    gboolean good = TRUE;

    for (; *texts && good; texts++)
        good = show(kernel, &source, *texts, list, error);
    mose_linux_type_source_clear(&source);
    return good;
}

static gboolean
options_are_good(void)
{
    const char *wrong = max_rows < 1 || max_rows > MAX_ROWS ? "--max: 1 to 1000000"
                        : depth < 0 || depth > 32           ? "--depth: 0 to 32"
                        : elements < 1 || elements > 1 << 20
                            ? "--elements: 1 to 1048576"
                            : NULL;

    if (wrong)
        fprintf(stderr, "mose type: %s\n", wrong);
    return wrong == NULL;
}

int
mose_cmd_type(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    JsonArray *list = json_array_new();
    g_autoptr(JsonObject) object = mose_json_object("expressions", "a", list, NULL);
    g_autofree char *text = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 2, -1, &ret))
        return ret;
    if (!options_are_good())
        return MOSE_EXIT_USAGE;
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !mose_linux_need_types(look.kernel, &error))
        return mose_look_fail(&look, error);
    if (!show_all(look.kernel, (const char *const *)argv + 2, list, &error))
        return mose_cli_fail(error, NULL);
    if (mose_cli_json()) {
        text = mose_json_text(object, TRUE);
        puts(text);
    }
    return MOSE_EXIT_DONE;
}

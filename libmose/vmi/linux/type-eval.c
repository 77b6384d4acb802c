/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expressions evaluated: each node of the tree takes the values of the one below it and
 * hands what it makes of them on, so that a walk's elements go one by one through all
 * that follows it. Rows and reads are counted.
 */
#include <string.h>

#include <bpf/btf.h>

#include "util/error.h"
#include "vmi/linux/type-expr-priv.h"

static gboolean eval_node(MoseExprEval *eval, const MoseExprNode *node,
                          MoseExprFunc func, gpointer data, GError **error);

/* --- what an expression begins with --- */

static gboolean
find_symbol(MoseExprEval *eval, const char *name, guint64 *ret, GError **error)
{
    const char *colon = strchr(name, ':');
    g_autofree char *module = colon ? g_strndup(name, colon - name) : NULL;

    return eval->source->symbol(eval->source->data, module, colon ? colon + 1 : name,
                                ret, error);
}

/* A symbol, with its type if BTF has it. */
static gboolean
eval_name(MoseExprEval *eval, const MoseExprNode *node, MoseExprFunc func,
          gpointer data, GError **error)
{
    MoseTypeValue value = { .in_memory = TRUE };
    MoseTypeRef type = { .types = eval->source->types };
    guint64 address;

    if (!find_symbol(eval, node->name, &address, error))
        return FALSE;
    type.id = mose_types_variable(eval->source->types, node->name);
    value = mose_expr_value_at(&type, address);
    value.typed = type.id != 0;
    return func(eval, &value, data, error);
}

static gboolean
eval_leaf(MoseExprEval *eval, const MoseExprNode *node, MoseExprFunc func,
          gpointer data, GError **error)
{
    MoseTypeValue number = { .number = node->number,
                             .type = { .types = eval->source->types } };

    switch (node->kind) {
    case NODE_SELF: /* within braces alone */
        return eval->self && func(eval, eval->self, data, error);
    case NODE_NUMBER:
        return func(eval, &number, data, error);
    case NODE_NAME:
        return eval_name(eval, node, func, data, error);
    default:
        return mose_expr_senseless(
            error, "a type has no value; TYPE@SYMBOL or TYPE@ADDRESS has", node->type);
    }
}

/* --- rows --- */

gboolean
mose_expr_emit(MoseExprEval *eval, const MoseTypeColumn *columns, guint n,
               GError **error)
{
    if (eval->rows >= eval->max) {
        eval->more = TRUE;
        return FALSE;
    }
    eval->rows++;
    return eval->func(eval->label->str, columns, n, eval->data, error);
}

static gboolean
emit_value(MoseExprEval *eval, const MoseTypeValue *value, gpointer data,
           GError **error)
{
    const MoseTypeColumn column = { .value = value };

    if (!value->typed && value->in_memory)
        return mose_expr_senseless(error, "its type is not known; say TYPE@SYMBOL",
                                   "the symbol");
    return mose_expr_emit(eval, &column, 1, error);
}

static gboolean
keep_value(MoseExprEval *eval, const MoseTypeValue *value, gpointer data,
           GError **error)
{
    *(MoseTypeValue *)data = *value;
    return TRUE;
}

/* One of the braces' paths; where that cannot be read, the others may be. */
static gboolean
select_one(MoseExprEval *eval, const MoseExprNode *path, MoseTypeValue *value,
           MoseTypeColumn *column, char **ret_reason, GError **error)
{
    g_autoptr(GError) reason = NULL;

    if (eval_node(eval, path, keep_value, value, &reason)) {
        column->value = value;
        return TRUE;
    }
    if (!eval->unreadable || !reason) {
        if (reason)
            g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    eval->unreadable = FALSE;
    *ret_reason = g_strdup(reason->message);
    column->error = *ret_reason;
    return TRUE;
}

static gboolean
step_select(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
            GError **error)
{
    guint n = step->node->paths->len;
    g_autofree MoseTypeColumn *columns = g_new0(MoseTypeColumn, n);
    g_autofree MoseTypeValue *values = g_new0(MoseTypeValue, n);
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);
    gboolean good = TRUE;

    eval->self = value;
    for (guint i = 0; i < n && good; i++) {
        char *reason = NULL;

        columns[i].name = step->node->texts->pdata[i];
        good = select_one(eval, step->node->paths->pdata[i], &values[i], &columns[i],
                          &reason, error);
        g_ptr_array_add(reasons, reason);
    }
    eval->self = NULL;
    return good && mose_expr_emit(eval, columns, n, error);
}

/* --- the tree --- */

static gboolean
take_step(MoseExprEval *eval, const MoseTypeValue *value, gpointer data, GError **error)
{
    const MoseExprStep *step = data;

    return step->node->kind == NODE_SELECT ? step_select(eval, value, step, error)
                                           : mose_expr_step(eval, value, step, error);
}

static gboolean
eval_node(MoseExprEval *eval, const MoseExprNode *node, MoseExprFunc func,
          gpointer data, GError **error)
{
    MoseExprStep step = { node, func, data };

    return node->child ? eval_node(eval, node->child, take_step, &step, error)
                       : eval_leaf(eval, node, func, data, error);
}

gboolean
mose_type_expr_eval(const MoseTypeExpr *expr, const MoseTypeSource *source, guint max,
                    MoseTypeRowFunc func, gpointer data, gboolean *ret_more,
                    GError **error)
{
    g_autoptr(GString) label = g_string_new(NULL);
    MoseExprEval eval = {
        .source = source, .func = func, .data = data, .max = max, .label = label
    };
    g_autoptr(GError) reason = NULL;

    /* Without an error it was ended because there are enough. */
    if (!eval_node(&eval, expr->root, emit_value, NULL, &reason) && reason) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    *ret_more = eval.more;
    return TRUE;
}

gboolean
mose_type_expr_is_layout(const MoseTypeExpr *expr, const MoseTypeSource *source,
                         MoseTypeRef *ret, char **ret_path)
{
    const MoseExprNode *node = expr->root;
    g_autofree char *path = NULL;

    for (; node->kind == NODE_MEMBER || node->kind == NODE_INDEX; node = node->child) {
        g_autofree char *rest = g_steal_pointer(&path);

        if (node->kind == NODE_INDEX)
            path = g_strdup_printf("[%" G_GUINT64_FORMAT "]%s", node->number,
                                   rest ? rest : "");
        else
            path = g_strdup_printf(".%s%s", node->name, rest ? rest : "");
    }
    if (node->kind != NODE_NAME && node->kind != NODE_TYPE)
        return FALSE;
    if (!mose_expr_find_type(source, node->name ? node->name : node->type, 0, ret,
                             NULL))
        return FALSE;
    *ret_path = path && *path == '.' ? g_strdup(path + 1) : g_steal_pointer(&path);
    return TRUE;
}

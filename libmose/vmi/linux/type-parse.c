/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the text of an expression to its tree, by recursive descent. Each step of an
 * expression is a node, and nodes are counted, so neither parsing nor evaluating can go
 * deeper than that. No types are known here: a name in parentheses is a type exactly if
 * an operand follows.
 */
#include <string.h>

#include "vmi/linux/type-expr-priv.h"
#include "vmi/linux/type-lex.h"

typedef struct {
    MoseTypeExpr *expr;
    MoseExprLexer lexer;
    guint depth;
    gboolean in_braces;
} Parser;

static MoseExprNode *parse_unary(Parser *parser, GError **error);

static MoseExprNode *
make_node(Parser *parser, MoseExprKind kind, MoseExprNode *child, GError **error)
{
    MoseExprNode *node;

    if (parser->expr->n_made >= MOSE_TYPE_EXPR_MAX_STEPS)
        return mose_expr_lex_fail(&parser->lexer, error,
                                  "the expression has too many steps");
    node = g_new0(MoseExprNode, 1);
    node->kind = kind;
    node->child = child;
    node->next_made = parser->expr->made;
    parser->expr->made = node;
    parser->expr->n_made++;
    return node;
}

/* --- what an expression begins with --- */

/* "%N" or "%*", of a symbol or pointer. */
static MoseExprNode *
parse_cpu(Parser *parser, MoseExprNode *child, GError **error)
{
    MoseExprNode *node = make_node(parser, NODE_CPU, child, error);

    if (!node)
        return NULL;
    if (mose_expr_lex_take(&parser->lexer, "*"))
        node->all = TRUE;
    else if (!mose_expr_lex_number(&parser->lexer, &node->number, error))
        return NULL;
    return node;
}

/* Behind "TYPE@": a symbol, a number, or any expression in parentheses. */
static MoseExprNode *
parse_address(Parser *parser, GError **error)
{
    MoseExprNode *node;

    mose_expr_lex_space(&parser->lexer);
    if (mose_expr_lex_take(&parser->lexer, "(")) {
        node = parse_unary(parser, error);
        return node && mose_expr_lex_expect(&parser->lexer, ")", error) ? node : NULL;
    }
    if (g_ascii_isdigit(*parser->lexer.at)) {
        node = make_node(parser, NODE_NUMBER, NULL, error);
        return node && mose_expr_lex_number(&parser->lexer, &node->number, error)
                   ? node
                   : NULL;
    }
    node = make_node(parser, NODE_NAME, NULL, error);
    if (!node)
        return NULL;
    node->name = mose_expr_lex_name(&parser->lexer, TRUE);
    if (!node->name)
        return mose_expr_lex_fail(&parser->lexer, error,
                                  "symbol, number or '(' expected");
    return mose_expr_lex_take(&parser->lexer, "%") ? parse_cpu(parser, node, error)
                                                   : node;
}

/* "(EXPR, TYPE, MEMBER)", or "(EXPR, MEMBER)". The member may be a path. */
static MoseExprNode *
parse_call(Parser *parser, MoseExprKind kind, GError **error)
{
    MoseExprNode *node = make_node(parser, kind, NULL, error);
    gsize len;

    if (!node || !mose_expr_lex_expect(&parser->lexer, "(", error))
        return NULL;
    node->child = parse_unary(parser, error);
    if (!node->child || !mose_expr_lex_expect(&parser->lexer, ",", error))
        return NULL;
    if (kind != NODE_CHAIN) {
        node->type = mose_expr_lex_type(&parser->lexer, error);
        if (!node->type || !mose_expr_lex_expect(&parser->lexer, ",", error))
            return NULL;
    }
    mose_expr_lex_space(&parser->lexer);
    len = strcspn(parser->lexer.at, " \t\n),");
    if (!mose_expr_starts_name(*parser->lexer.at))
        return mose_expr_lex_fail(&parser->lexer, error, "member expected");
    node->name = g_strndup(parser->lexer.at, len);
    parser->lexer.at += len;
    return mose_expr_lex_expect(&parser->lexer, ")", error) ? node : NULL;
}

static MoseExprNode *
parse_word(Parser *parser, GError **error)
{
    static const struct {
        const char *name;
        MoseExprKind kind;
    } calls[] = {
        { "container_of", NODE_CONTAINER_OF },
        { "list", NODE_LIST },
        { "hlist", NODE_HLIST },
        { "rbtree", NODE_RBTREE },
        { "chain", NODE_CHAIN },
    };
    g_autofree char *type = mose_expr_lex_type(&parser->lexer, error);
    MoseExprNode *node;

    if (!type)
        return NULL;
    mose_expr_lex_space(&parser->lexer);
    for (guint i = 0; *parser->lexer.at == '(' && i < G_N_ELEMENTS(calls); i++)
        if (strcmp(type, calls[i].name) == 0)
            return parse_call(parser, calls[i].kind, error);
    if (mose_expr_lex_take(&parser->lexer, "@")) {
        MoseExprNode *address = parse_address(parser, error);

        node = address ? make_node(parser, NODE_AT, address, error) : NULL;
        if (node)
            node->type = g_steal_pointer(&type);
        return node;
    }
    if (strchr(type, ' ') || mose_expr_is_type_word(type)) {
        node = make_node(parser, NODE_TYPE, NULL, error);
        if (node)
            node->type = g_steal_pointer(&type);
        return node;
    }
    node = make_node(parser, NODE_NAME, NULL, error);
    if (node)
        node->name = g_steal_pointer(&type);
    return node;
}

/* --- and how it goes on --- */

static MoseExprNode *parse_postfix(Parser *parser, MoseExprNode *node, GError **error);

static MoseExprNode *
parse_path(Parser *parser, MoseExprNode *select, GError **error)
{
    MoseExprNode *self = make_node(parser, NODE_SELF, NULL, error);
    MoseExprNode *node = self ? make_node(parser, NODE_MEMBER, self, error) : NULL;
    const char *begin;
    char *text;

    if (!node)
        return NULL;
    mose_expr_lex_space(&parser->lexer);
    begin = parser->lexer.at;
    node->name = mose_expr_lex_name(&parser->lexer, FALSE);
    if (!node->name)
        return mose_expr_lex_fail(&parser->lexer, error, "member expected");
    node = parse_postfix(parser, node, error);
    if (!node)
        return NULL;
    g_ptr_array_add(select->paths, node);
    text = g_strndup(begin, parser->lexer.at - begin);
    g_strchomp(text);
    g_ptr_array_add(select->texts, text);
    return node;
}

/* Behind ".{". */
static MoseExprNode *
parse_select(Parser *parser, MoseExprNode *child, GError **error)
{
    MoseExprNode *node;

    if (parser->in_braces)
        return mose_expr_lex_fail(&parser->lexer, error, "braces within braces");
    node = make_node(parser, NODE_SELECT, child, error);
    if (!node)
        return NULL;
    node->paths = g_ptr_array_new();
    node->texts = g_ptr_array_new_with_free_func(g_free);
    parser->in_braces = TRUE;
    do
        if (!parse_path(parser, node, error))
            return NULL;
    while (mose_expr_lex_take(&parser->lexer, ","));
    parser->in_braces = FALSE;
    return mose_expr_lex_expect(&parser->lexer, "}", error) ? node : NULL;
}

/* Behind "[". */
static MoseExprNode *
parse_index(Parser *parser, MoseExprNode *child, GError **error)
{
    MoseExprNode *node = make_node(parser, NODE_INDEX, child, error);

    if (!node || !mose_expr_lex_number(&parser->lexer, &node->number, error))
        return NULL;
    if (mose_expr_lex_take(&parser->lexer, ":")) {
        if (parser->in_braces)
            return mose_expr_lex_fail(&parser->lexer, error,
                                      "no slice can be within braces");
        node->kind = NODE_SLICE;
        if (!mose_expr_lex_number(&parser->lexer, &node->end, error))
            return NULL;
    }
    return mose_expr_lex_expect(&parser->lexer, "]", error) ? node : NULL;
}

static MoseExprNode *
parse_member(Parser *parser, MoseExprKind kind, MoseExprNode *child, GError **error)
{
    MoseExprNode *node = make_node(parser, kind, child, error);

    if (!node)
        return NULL;
    node->name = mose_expr_lex_name(&parser->lexer, FALSE);
    return node->name ? node
                      : mose_expr_lex_fail(&parser->lexer, error, "member expected");
}

static MoseExprNode *
parse_postfix(Parser *parser, MoseExprNode *node, GError **error)
{
    while (node && node->kind != NODE_SELECT) {
        if (mose_expr_lex_take(&parser->lexer, "->"))
            node = parse_member(parser, NODE_ARROW, node, error);
        else if (mose_expr_lex_take(&parser->lexer, ".")) {
            if (mose_expr_lex_take(&parser->lexer, "{"))
                node = parse_select(parser, node, error);
            else
                node = parse_member(parser, NODE_MEMBER, node, error);
        } else if (mose_expr_lex_take(&parser->lexer, "["))
            node = parse_index(parser, node, error);
        else if (!parser->in_braces && mose_expr_lex_take(&parser->lexer, "%"))
            node = parse_cpu(parser, node, error);
        else
            break;
    }
    return node;
}

/* "(TYPE)" with an operand behind; else nothing is taken. */
static gboolean
take_cast(Parser *parser, char **ret_type, guint *ret_stars)
{
    const char *before = parser->lexer.at;
    g_autofree char *type = NULL;

    if (mose_expr_lex_take(&parser->lexer, "(") &&
        (type = mose_expr_lex_type(&parser->lexer, NULL))) {
        *ret_stars = mose_expr_lex_stars(&parser->lexer);
        if (mose_expr_lex_take(&parser->lexer, ")")) {
            mose_expr_lex_space(&parser->lexer);
            if (mose_expr_continues_name(*parser->lexer.at) ||
                (*parser->lexer.at && strchr("(*&\"", *parser->lexer.at))) {
                *ret_type = g_steal_pointer(&type);
                return TRUE;
            }
        }
    }
    parser->lexer.at = before;
    return FALSE;
}

static MoseExprNode *
parse_primary(Parser *parser, GError **error)
{
    MoseExprNode *node;

    mose_expr_lex_space(&parser->lexer);
    if (mose_expr_lex_take(&parser->lexer, "(")) {
        node = parse_unary(parser, error);
        if (!node || !mose_expr_lex_expect(&parser->lexer, ")", error))
            return NULL;
    } else if (g_ascii_isdigit(*parser->lexer.at)) {
        node = make_node(parser, NODE_NUMBER, NULL, error);
        if (!node || !mose_expr_lex_number(&parser->lexer, &node->number, error))
            return NULL;
    } else {
        node = parse_word(parser, error);
    }
    return parse_postfix(parser, node, error);
}

static MoseExprNode *
parse_prefix(Parser *parser, GError **error)
{
    MoseExprKind kind = NODE_CAST;
    char *type = NULL;
    MoseExprNode *node, *child;
    guint stars = 0;

    mose_expr_lex_space(&parser->lexer);
    if (mose_expr_lex_take(&parser->lexer, "*"))
        kind = NODE_DEREF;
    else if (mose_expr_lex_take(&parser->lexer, "&"))
        kind = NODE_ADDRESS;
    else if (!take_cast(parser, &type, &stars))
        return parse_primary(parser, error);
    node = make_node(parser, kind, NULL, error);
    if (!node) {
        g_free(type);
        return NULL;
    }
    node->type = type;
    node->stars = stars;
    child = parse_unary(parser, error);
    node->child = child;
    return child ? node : NULL;
}

static MoseExprNode *
parse_unary(Parser *parser, GError **error)
{
    MoseExprNode *node;

    if (parser->depth >= MOSE_TYPE_EXPR_MAX_STEPS)
        return mose_expr_lex_fail(&parser->lexer, error,
                                  "the expression is nested too deeply");
    parser->depth++;
    node = parse_prefix(parser, error);
    parser->depth--;
    return node;
}

static gboolean
braces_are_last(Parser *parser, GError **error)
{
    for (MoseExprNode *node = parser->expr->made; node; node = node->next_made)
        if (node->child && node->child->kind == NODE_SELECT) {
            mose_expr_lex_fail(&parser->lexer, error,
                               "braces are for the end of the expression");
            return FALSE;
        }
    return TRUE;
}

MoseTypeExpr *
mose_type_expr_parse(const char *text, GError **error)
{
    g_autoptr(MoseTypeExpr) expr = g_new0(MoseTypeExpr, 1);
    Parser parser = { .expr = expr, .lexer = { text, text } };

    if (strlen(text) > MOSE_TYPE_EXPR_MAX_LEN)
        return mose_expr_lex_fail(&parser.lexer, error, "the expression is too long");
    expr->root = parse_unary(&parser, error);
    if (!expr->root)
        return NULL;
    mose_expr_lex_space(&parser.lexer);
    if (*parser.lexer.at)
        return mose_expr_lex_fail(&parser.lexer, error, "end expected");
    return braces_are_last(&parser, error) ? g_steal_pointer(&expr) : NULL;
}

void
mose_type_expr_free(MoseTypeExpr *expr)
{
    if (!expr)
        return;
    while (expr->made) {
        MoseExprNode *node = expr->made;

        expr->made = node->next_made;
        g_free(node->name);
        g_free(node->type);
        g_clear_pointer(&node->paths, g_ptr_array_unref);
        g_clear_pointer(&node->texts, g_ptr_array_unref);
        g_free(node);
    }
    g_free(expr);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks along what kernels link structs with (Linux include/linux/types.h, list.h,
 * rbtree.h): lists, hash lists, red-black trees, and chains of pointers. Links back are
 * checked, so a list that changes meanwhile is noticed, and none goes in circles.
 */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/type-expr-priv.h"

/* A red-black tree of 2^64 nodes is not higher. */
#define MAX_HEIGHT 128

typedef struct {
    MoseExprEval *eval;
    MoseTypeRef type; /* of the elements */
    guint64 offset;   /* of the links in them */
    MoseExprFunc func;
    gpointer data;
} Walk;

static gboolean
changed(GError **error, const char *what, guint64 address)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the %s at 0x%" G_GINT64_MODIFIER "x changed while it was read, or is "
                "broken",
                what, address);
    return FALSE;
}

/* The element whose links are at @link. */
static gboolean
tell(Walk *walk, guint64 link, GError **error)
{
    MoseTypeValue value = mose_expr_value_at(&walk->type, link - walk->offset);
    g_autofree char *label =
        g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value.address);

    return mose_expr_each(walk->eval, label, &value, walk->func, walk->data, error);
}

/* struct list_head is { next, prev }, whichever of both the walk follows. */
static gboolean
walk_list(Walk *walk, guint64 head, GError **error)
{
    guint64 before = head, at, back;

    if (!mose_expr_read(walk->eval, head, 8, &at, error))
        return FALSE;
    while (at != head) {
        guint64 next;

        if (!mose_expr_read(walk->eval, at, 8, &next, error) ||
            !mose_expr_read(walk->eval, at + 8, 8, &back, error))
            return FALSE;
        if (back != before)
            return changed(error, "list", head);
        if (!tell(walk, at, error))
            return FALSE;
        before = at;
        at = next;
    }
    return TRUE;
}

/* hlist_node is { next, pprev }, and hlist_head { first }. An odd address ends lists of
 * <linux/list_nulls.h>, and is a lock in the head of <linux/list_bl.h>'s. */
static gboolean
walk_hlist(Walk *walk, guint64 head, gboolean bit_lock, GError **error)
{
    guint64 link = head, at;

    if (!mose_expr_read(walk->eval, head, 8, &at, error))
        return FALSE;
    if (bit_lock)
        at &= ~1ULL;
    while (at && !(at & 1)) {
        guint64 next, back;

        if (!mose_expr_read(walk->eval, at, 8, &next, error) ||
            !mose_expr_read(walk->eval, at + 8, 8, &back, error))
            return FALSE;
        if (back != link)
            return changed(error, "hash list", head);
        if (!tell(walk, at, error))
            return FALSE;
        link = at;
        at = next;
    }
    return TRUE;
}

/* rb_node is { parent and color, right, left }; rb_root, and rb_root_cached whose first
 * member that is, { rb_node }. In order, with the way down on a stack. */
static gboolean
walk_rbtree(Walk *walk, guint64 root, GError **error)
{
    guint64 stack[MAX_HEIGHT], at, parent = 0;
    guint height = 0;

    if (!mose_expr_read(walk->eval, root, 8, &at, error))
        return FALSE;
    while (at || height) {
        while (at) {
            guint64 up;

            if (!mose_expr_read(walk->eval, at, 8, &up, error))
                return FALSE;
            if ((up & ~3ULL) != parent || height == MAX_HEIGHT)
                return changed(error, "tree", root);
            stack[height++] = parent = at;
            if (!mose_expr_read(walk->eval, at + 16, 8, &at, error))
                return FALSE;
        }
        parent = stack[--height];
        if (!mose_expr_read(walk->eval, parent + 8, 8, &at, error) ||
            !tell(walk, parent, error))
            return FALSE;
    }
    return TRUE;
}

/* The next one of a chain: what member @name of @at points to. */
static gboolean
next_of(Walk *walk, const MoseTypeValue *at, const char *name, guint64 *ret,
        GError **error)
{
    MoseTypeValue link;
    MoseTypeRef type = at->type, target;
    MoseMember member;

    if (!mose_expr_member(&at->type, name, &member, error))
        return FALSE;
    type.id = member.type;
    if (!mose_type_ref_target(&type, &target)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: no pointer", name);
        return FALSE;
    }
    link = mose_expr_value_at(&type, at->address + member.offset);
    return mose_expr_number(walk->eval, &link, ret, error);
}

/* From struct to struct by a pointer, to NULL or to the first one again. */
static gboolean
walk_chain(Walk *walk, const MoseTypeValue *first, const MoseExprNode *node,
           GError **error)
{
    MoseTypeValue at;
    guint64 begin, next;

    if (!mose_expr_follow(walk->eval, first, &at, error))
        return FALSE;
    if (!at.in_memory || !at.typed) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "chain(): it begins with what is no struct");
        return FALSE;
    }
    walk->type = at.type;
    begin = at.address;
    do {
        if (!next_of(walk, &at, node->name, &next, error) ||
            !tell(walk, at.address, error))
            return FALSE;
        at.address = next;
    } while (next && next != begin);
    return TRUE;
}

/* The head is a struct, a pointer to one, or an address in a number. */
static gboolean
walk_linked(Walk *walk, const MoseExprNode *node, const MoseTypeValue *value,
            GError **error)
{
    g_autofree char *name = NULL;
    MoseMember member;
    guint64 head;

    if (!mose_expr_find_type(walk->eval->source, node->type, 0, &walk->type, error) ||
        !mose_expr_member(&walk->type, node->name, &member, error) ||
        !mose_expr_place(walk->eval, value, &head, error))
        return FALSE;
    walk->offset = member.offset;
    if (node->kind == NODE_LIST)
        return walk_list(walk, head, error);
    if (node->kind == NODE_RBTREE)
        return walk_rbtree(walk, head, error);
    name = mose_type_ref_declare(&value->type, "");
    return walk_hlist(walk, head, strstr(name, "hlist_bl_head") != NULL, error);
}

gboolean
mose_expr_walk(MoseExprEval *eval, const MoseExprNode *node, const MoseTypeValue *value,
               MoseExprFunc func, gpointer data, GError **error)
{
    Walk walk = { .eval = eval, .func = func, .data = data };

    if (node->kind != NODE_CHAIN)
        return walk_linked(&walk, node, value, error);
    return walk_chain(&walk, value, node, error);
}

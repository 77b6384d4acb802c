/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree that type-parse.c makes and type-eval.c and type-walk.c go along. */
#pragma once

#include "vmi/linux/type-expr.h"

/* Reads for one expression, however little they lead to. */
#define MOSE_TYPE_MAX_READS (1u << 20)

typedef enum {
    NODE_SELF,         /* in .{}: what is before the braces */
    NODE_NUMBER,       /* number */
    NODE_NAME,         /* name: a symbol, or a type */
    NODE_TYPE,         /* type alone, with its keyword */
    NODE_AT,           /* type @ child */
    NODE_CPU,          /* child % number, or % * with all */
    NODE_MEMBER,       /* child . name */
    NODE_ARROW,        /* child -> name */
    NODE_INDEX,        /* child [ number ] */
    NODE_SLICE,        /* child [ number : end ] */
    NODE_DEREF,        /* * child */
    NODE_ADDRESS,      /* & child */
    NODE_CAST,         /* ( type ) child */
    NODE_CONTAINER_OF, /* container_of(child, type, name) */
    NODE_LIST,         /* list(child, type, name) */
    NODE_HLIST,
    NODE_RBTREE,
    NODE_CHAIN,  /* chain(child, name) */
    NODE_SELECT, /* child .{ paths } */
} MoseExprKind;

typedef struct MoseExprNode MoseExprNode;
struct MoseExprNode {
    MoseExprKind kind;
    MoseExprNode *child;
    char *name;
    char *type; /* "struct task_struct", "unsigned long", "module:struct x" */
    guint stars;
    guint64 number, end;
    gboolean all;
    GPtrArray *paths;        /* of MoseExprNode, ... */
    GPtrArray *texts;        /* ... and as they were written */
    MoseExprNode *next_made; /* of all, for who frees them */
};

struct MoseTypeExpr {
    MoseExprNode *root;
    MoseExprNode *made;
    guint n_made;
};

typedef struct MoseExprEval MoseExprEval;
typedef gboolean (*MoseExprFunc)(MoseExprEval *eval, const MoseTypeValue *value,
                                 gpointer data, GError **error);

struct MoseExprEval {
    const MoseTypeSource *source;
    MoseTypeRowFunc func;
    gpointer data;
    guint rows, max, reads;
    gboolean more;
    gboolean unreadable; /* the error is about memory, not about what was asked */
    const MoseTypeValue *self;
    GString *label;
};

/* "struct x", "unsigned long", "module:x", ... and pointers to it. */
gboolean mose_expr_find_type(const MoseTypeSource *source, const char *name,
                             guint stars, MoseTypeRef *ret, GError **error);

/* A number of @size bytes, counted, and noted if it is not there. */
gboolean mose_expr_read(MoseExprEval *eval, guint64 address, gsize size, guint64 *ret,
                        GError **error);

/* The value as a number; FALSE for structs and the like. */
gboolean mose_expr_number(MoseExprEval *eval, const MoseTypeValue *value, guint64 *ret,
                          GError **error);

/* Where the value is, or, of a pointer or bare number, where that points. */
gboolean mose_expr_place(MoseExprEval *eval, const MoseTypeValue *value, guint64 *ret,
                         GError **error);

/* A value of @type at @address. */
MoseTypeValue mose_expr_value_at(const MoseTypeRef *type, guint64 address);

/* What a pointer points to; a value that is no pointer as it is. */
gboolean mose_expr_follow(MoseExprEval *eval, const MoseTypeValue *value,
                          MoseTypeValue *ret, GError **error);

/* Member @path (of types.h) of struct @type. */
gboolean mose_expr_member(const MoseTypeRef *type, const char *path, MoseMember *ret,
                          GError **error);

/* Tell @func of one of several, which is shown by @label; goes on where that cannot be
 * read. */
gboolean mose_expr_each(MoseExprEval *eval, const char *label,
                        const MoseTypeValue *value, MoseExprFunc func, gpointer data,
                        GError **error);

/* INVALID: "@what: @why". FALSE. */
gboolean mose_expr_senseless(GError **error, const char *why, const char *what);

/* An integer, pointer or enum. */
gboolean mose_expr_is_number(const MoseTypeValue *value);

/* Tell of a row, unless there are enough. */
gboolean mose_expr_emit(MoseExprEval *eval, const MoseTypeColumn *columns, guint n,
                        GError **error);

/* A node under way: who is to be told of what it makes of a value (type-steps.c). */
typedef struct {
    const MoseExprNode *node;
    MoseExprFunc func;
    gpointer data;
} MoseExprStep;

gboolean mose_expr_step(MoseExprEval *eval, const MoseTypeValue *value,
                        const MoseExprStep *step, GError **error);

/* The walks (type-walk.c): @value is where node->child led. */
gboolean mose_expr_walk(MoseExprEval *eval, const MoseExprNode *node,
                        const MoseTypeValue *value, MoseExprFunc func, gpointer data,
                        GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expressions that lead to a value in a kernel, as C programmers write them:
 * "task_struct@init_task.mm->pgd" (docs/man/mose-type.1 has the grammar). They are
 * parsed (type-parse.c), and evaluated with a kernel's types, symbols and memory
 * (type-eval.c), which are reached through a few functions, so that nothing here knows
 * where they come from. The expression is the user's; types and memory are a guest's.
 */
#pragma once

#include <glib.h>

#include "vmi/linux/types.h"

/* Characters of an expression, and steps that follow each other in it. */
#define MOSE_TYPE_EXPR_MAX_LEN 4096
#define MOSE_TYPE_EXPR_MAX_STEPS 128

/* Where values come from. */
typedef struct {
    /* As mose_space_read(). */
    gboolean (*read)(gpointer data, guint64 address, void *to, gsize len,
                     gsize *ret_got, GError **error);
    /* @module may be NULL: the kernel, or whichever module. */
    gboolean (*symbol)(gpointer data, const char *module, const char *name,
                       guint64 *ret, GError **error);
    /* What is to be added to per-CPU addresses for @cpu. */
    gboolean (*cpu_offset)(gpointer data, guint cpu, guint64 *ret, GError **error);
    /* "schedule+0x10"; NULL: it is in no symbol that is known. Free with g_free(). */
    char *(*address_name)(gpointer data, guint64 address);
    /* Of a module; may be NULL. */
    const MoseTypes *(*module_types)(gpointer data, const char *module, GError **error);
    gpointer data;
    const MoseTypes *types; /* the kernel's */
    guint n_cpus;
} MoseTypeSource;

/* A type of BTF, or pointers to it, for which there need not be one. */
typedef struct {
    const MoseTypes *types;
    guint32 id;
    guint stars;
} MoseTypeRef;

typedef struct {
    MoseTypeRef type;
    gboolean in_memory; /* at @address; else it is but @number */
    guint64 address, number;
    gsize size;      /* in memory; 0 where its type has none */
    guint bit, bits; /* types.h: MoseMember */
    gboolean typed;  /* FALSE: a bare number, or a symbol of unknown type */
} MoseTypeValue;

/* One of a row of values: what was asked for, or with .{a, b} one of them. */
typedef struct {
    const char *name;           /* "mm->pgd" as it stands in the braces, or NULL */
    const MoseTypeValue *value; /* NULL: it could not be got */
    const char *error;          /* why */
} MoseTypeColumn;

typedef struct MoseTypeExpr MoseTypeExpr;

/* INVALID says what is wrong at which character. */
MoseTypeExpr *mose_type_expr_parse(const char *text, GError **error);
void mose_type_expr_free(MoseTypeExpr *expr);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTypeExpr, mose_type_expr_free)

/*
 * Whether it is only a type, or a member of one ("task_struct", "struct
 * rq.cfs.nr_running", "virtio_net:virtnet_info"), which needs no memory. *@ret_path is
 * the member's path in it, for mose_types_member() and to be freed with g_free(), or
 * NULL.
 */
gboolean mose_type_expr_is_layout(const MoseTypeExpr *expr,
                                  const MoseTypeSource *source, MoseTypeRef *ret,
                                  char **ret_path);

/*
 * Told of each row of values; @label ("0xffff888003ab0000", "[3]", "cpu 1") tells it
 * from others, "" where there is but one. FALSE with an error ends all.
 */
typedef gboolean (*MoseTypeRowFunc)(const char *label, const MoseTypeColumn *columns,
                                    guint n, gpointer data, GError **error);

/*
 * Evaluate it: at most @max rows, *@ret_more tells whether there would be more. Of many
 * rows one that cannot be read is told of with the reason; of one it is the error
 * (NOT_FOUND). AGAIN: a list that changed under the reader, or is broken; all rows are
 * to be thrown away. INVALID: what is written makes no sense with these types.
 */
gboolean mose_type_expr_eval(const MoseTypeExpr *expr, const MoseTypeSource *source,
                             guint max, MoseTypeRowFunc func, gpointer data,
                             gboolean *ret_more, GError **error);

/* The type behind typedefs; NULL for pointers that are none of BTF's, and void. */
struct btf_type;
const struct btf_type *mose_type_ref_bare(const MoseTypeRef *type);

/* Its size in bytes, or -1; what it points to (FALSE: it is no pointer); its kind. */
gint64 mose_type_ref_size(const MoseTypeRef *type);
gboolean mose_type_ref_target(const MoseTypeRef *type, MoseTypeRef *ret);

/* As C declares @name, which may be "", of that type: "char comm[16]". Printable. */
char *mose_type_ref_declare(const MoseTypeRef *type, const char *name);

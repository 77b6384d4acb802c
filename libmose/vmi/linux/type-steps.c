/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of expressions: members, elements, pointers, casts, CPUs; each makes of a
 * value one or several, and hands them on. */
#include "vmi/linux/type-expr-priv.h"

#include <bpf/btf.h>

#include "util/error.h"

/* Behind '@' a symbol stands for its address, whatever its own type is. */
static gboolean
is_symbol(const MoseExprNode *node)
{
    return node->kind == NODE_NAME ||
           (node->kind == NODE_CPU && node->child->kind == NODE_NAME);
}

static gboolean
step_at(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
        GError **error)
{
    MoseTypeValue made;
    MoseTypeRef type;
    guint64 address = value->address;

    if (!mose_expr_find_type(eval->source, step->node->type, 0, &type, error) ||
        (!is_symbol(step->node->child) &&
         !mose_expr_place(eval, value, &address, error)))
        return FALSE;
    made = mose_expr_value_at(&type, address);
    return step->func(eval, &made, step->data, error);
}

static gboolean
step_member(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
            GError **error)
{
    MoseTypeValue made, of;
    MoseTypeRef target;
    MoseMember member;

    if (!value->typed)
        return mose_expr_senseless(error, "its type is not known; say TYPE@SYMBOL",
                                   step->node->name);
    if (step->node->kind == NODE_ARROW && !mose_type_ref_target(&value->type, &target))
        return mose_expr_senseless(error, "'->' follows what is no pointer",
                                   step->node->name);
    if (!mose_expr_follow(eval, value, &of, error))
        return FALSE;
    if (!of.in_memory)
        return mose_expr_senseless(error, "a number has no members", step->node->name);
    if (!mose_expr_member(&of.type, step->node->name, &member, error))
        return FALSE;
    of.type.id = member.type;
    made = mose_expr_value_at(&of.type, of.address + member.offset);
    made.size = member.size;
    made.bit = member.bit;
    made.bits = member.bits;
    return step->func(eval, &made, step->data, error);
}

/* What [] is applied to: an array's elements, or those behind a pointer. */
static gboolean
elements_of(MoseExprEval *eval, const MoseTypeValue *value, MoseTypeValue *ret,
            guint64 *ret_count, GError **error)
{
    const struct btf_type *bare = mose_type_ref_bare(&value->type);
    MoseTypeRef type = value->type;

    if (value->typed && value->in_memory && bare && btf_is_array(bare)) {
        type.id = btf_array(bare)->type;
        /* A flexible array has no count. */
        *ret_count = btf_array(bare)->nelems ? btf_array(bare)->nelems : G_MAXUINT32;
        *ret = mose_expr_value_at(&type, value->address);
        return TRUE;
    }
    if (!value->typed || !mose_type_ref_target(&value->type, &type))
        return mose_expr_senseless(error, "neither an array nor a pointer", "[]");
    *ret_count = G_MAXUINT32;
    return mose_expr_follow(eval, value, ret, error);
}

static gboolean
step_index(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
           GError **error)
{
    const MoseExprNode *node = step->node;
    gboolean slice = node->kind == NODE_SLICE;
    MoseTypeValue first = { 0 }, made;
    guint64 count, end = slice ? node->end : node->number + 1;

    if (!elements_of(eval, value, &first, &count, error))
        return FALSE;
    if (first.size == 0)
        return mose_expr_senseless(error, "its elements have no size", "[]");
    if (node->number >= count || end > count) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "[%" G_GUINT64_FORMAT "]: the array has %" G_GUINT64_FORMAT
                    " elements",
                    slice ? end : node->number, count);
        return FALSE;
    }
    made = first;
    for (guint64 i = node->number; i < end; i++) {
        g_autofree char *label = g_strdup_printf("[%" G_GUINT64_FORMAT "]", i);

        made.address = first.address + i * first.size;
        if (slice ? !mose_expr_each(eval, label, &made, step->func, step->data, error)
                  : !step->func(eval, &made, step->data, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
step_deref(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
           GError **error)
{
    MoseTypeValue made;
    MoseTypeRef target;

    if (!value->typed || !mose_type_ref_target(&value->type, &target))
        return mose_expr_senseless(error, "no pointer", "*");
    if (!mose_expr_follow(eval, value, &made, error))
        return FALSE;
    return step->func(eval, &made, step->data, error);
}

static gboolean
step_address(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
             GError **error)
{
    MoseTypeValue made = { .type = value->type,
                           .number = value->address,
                           .typed = value->typed };

    if (!value->in_memory || value->bits)
        return mose_expr_senseless(error, "it has no address", "&");
    made.type.stars++;
    return step->func(eval, &made, step->data, error);
}

/* As C does it; of a number narrower than the type it is cast to, unsigned, the upper
 * bits are 0. */
static gboolean
step_cast(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
          GError **error)
{
    MoseTypeValue made = { .typed = TRUE };
    const struct btf_type *from = mose_type_ref_bare(&value->type);
    guint width = value->bits ? value->bits : value->size * 8;
    gint64 size;

    if (!mose_expr_find_type(eval->source, step->node->type, step->node->stars,
                             &made.type, error) ||
        !mose_expr_place(eval, value, &made.number, error))
        return FALSE;
    if (value->in_memory && from &&
        mose_types_is_signed(value->type.types, value->type.id) && width && width < 64)
        made.number = (guint64)((gint64)(made.number << (64 - width)) >> (64 - width));
    size = mose_type_ref_size(&made.type);
    if (!mose_expr_is_number(&made) || size > 8 || size < 1)
        return mose_expr_senseless(
            error, "a value cannot be cast to it; a pointer can: (TYPE *)",
            step->node->type);
    if (size < 8)
        made.number &= (1ULL << size * 8) - 1;
    made.size = size;
    return step->func(eval, &made, step->data, error);
}

static gboolean
step_container_of(MoseExprEval *eval, const MoseTypeValue *value,
                  const MoseExprStep *step, GError **error)
{
    MoseTypeValue made;
    MoseTypeRef type;
    MoseMember member;
    guint64 address;

    if (!mose_expr_find_type(eval->source, step->node->type, 0, &type, error) ||
        !mose_expr_member(&type, step->node->name, &member, error) ||
        !mose_expr_place(eval, value, &address, error))
        return FALSE;
    made = mose_expr_value_at(&type, address - member.offset);
    return step->func(eval, &made, step->data, error);
}

/* A per-CPU variable's copy, or what a per-CPU pointer points to. */
static gboolean
one_cpu(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
        guint64 cpu, MoseTypeValue *ret, GError **error)
{
    MoseTypeRef target;
    guint64 offset;

    *ret = *value;
    if (cpu >= eval->source->n_cpus) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%%%" G_GUINT64_FORMAT ": the kernel has CPUs 0 to %u", cpu,
                    eval->source->n_cpus - 1);
        return FALSE;
    }
    if (step->node->child->kind != NODE_NAME) {
        if (!value->typed || !mose_type_ref_target(&value->type, &target))
            return mose_expr_senseless(
                error, "neither a per-CPU variable nor a pointer to one", "%");
        if (!mose_expr_follow(eval, value, ret, error))
            return FALSE;
    }
    if (!eval->source->cpu_offset(eval->source->data, cpu, &offset, error))
        return FALSE;
    ret->address += offset;
    return TRUE;
}

static gboolean
step_cpu(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
         GError **error)
{
    MoseTypeValue made;

    if (!step->node->all)
        return one_cpu(eval, value, step, step->node->number, &made, error) &&
               step->func(eval, &made, step->data, error);
    for (guint cpu = 0; cpu < eval->source->n_cpus; cpu++) {
        g_autofree char *label = g_strdup_printf("cpu %u", cpu);

        if (!one_cpu(eval, value, step, cpu, &made, error) ||
            !mose_expr_each(eval, label, &made, step->func, step->data, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
mose_expr_step(MoseExprEval *eval, const MoseTypeValue *value, const MoseExprStep *step,
               GError **error)
{
    switch (step->node->kind) {
    case NODE_AT:
        return step_at(eval, value, step, error);
    case NODE_CPU:
        return step_cpu(eval, value, step, error);
    case NODE_MEMBER:
    case NODE_ARROW:
        return step_member(eval, value, step, error);
    case NODE_INDEX:
    case NODE_SLICE:
        return step_index(eval, value, step, error);
    case NODE_DEREF:
        return step_deref(eval, value, step, error);
    case NODE_ADDRESS:
        return step_address(eval, value, step, error);
    case NODE_CAST:
        return step_cast(eval, value, step, error);
    case NODE_CONTAINER_OF:
        return step_container_of(eval, value, step, error);
    default:
        return mose_expr_walk(eval, step->node, value, step->func, step->data, error);
    }
}

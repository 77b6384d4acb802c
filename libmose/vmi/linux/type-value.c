/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values that expressions lead to: read as numbers, followed as pointers, and told of
 * as one of many. Reads are counted. */
#include "vmi/linux/type-expr-priv.h"

#include <bpf/btf.h>

#include "util/error.h"

gboolean
mose_expr_senseless(GError **error, const char *why, const char *what)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: %s", what, why);
    return FALSE;
}

MoseTypeValue
mose_expr_value_at(const MoseTypeRef *type, guint64 address)
{
    gint64 size = mose_type_ref_size(type);

    return (MoseTypeValue){ .type = *type,
                            .in_memory = TRUE,
                            .address = address,
                            .size = size > 0 ? size : 0,
                            .typed = TRUE };
}

gboolean
mose_expr_read(MoseExprEval *eval, guint64 address, gsize size, guint64 *ret,
               GError **error)
{
    if (++eval->reads > MOSE_TYPE_MAX_READS) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "gave up after %u reads: what is walked does not end",
                    MOSE_TYPE_MAX_READS);
        return FALSE;
    }
    *ret = 0;
    if (eval->source->read(eval->source->data, address, ret, size, NULL, error))
        return TRUE;
    eval->unreadable = TRUE;
    return FALSE;
}

gboolean
mose_expr_is_number(const MoseTypeValue *value)
{
    const struct btf_type *bare = mose_type_ref_bare(&value->type);

    return value->type.stars ||
           (bare && (btf_is_ptr(bare) || btf_is_int(bare) || btf_is_any_enum(bare)));
}

gboolean
mose_expr_number(MoseExprEval *eval, const MoseTypeValue *value, guint64 *ret,
                 GError **error)
{
    g_autofree char *name = NULL;

    *ret = value->number;
    if (!value->in_memory)
        return TRUE;
    if (!mose_expr_is_number(value) || value->size > 8) {
        name = mose_type_ref_declare(&value->type, "");
        return mose_expr_senseless(error, "it is no number",
                                   value->typed ? name : "the symbol");
    }
    if (!mose_expr_read(eval, value->address, value->size, ret, error))
        return FALSE;
    *ret >>= value->bit;
    if (value->bits && value->bits < 64)
        *ret &= (1ULL << value->bits) - 1;
    return TRUE;
}

gboolean
mose_expr_place(MoseExprEval *eval, const MoseTypeValue *value, guint64 *ret,
                GError **error)
{
    MoseTypeRef target;

    if (!value->in_memory || mose_type_ref_target(&value->type, &target) ||
        (value->typed && mose_expr_is_number(value)))
        return mose_expr_number(eval, value, ret, error);
    *ret = value->address;
    return TRUE;
}

gboolean
mose_expr_follow(MoseExprEval *eval, const MoseTypeValue *value, MoseTypeValue *ret,
                 GError **error)
{
    MoseTypeRef target;
    guint64 address;

    *ret = *value;
    if (!value->typed || !mose_type_ref_target(&value->type, &target))
        return TRUE;
    if (!mose_expr_number(eval, value, &address, error))
        return FALSE;
    if (address == 0) {
        g_autofree char *name = mose_type_ref_declare(&value->type, "");

        eval->unreadable = TRUE;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "a %s is NULL", name);
        return FALSE;
    }
    *ret = mose_expr_value_at(&target, address);
    return TRUE;
}

gboolean
mose_expr_member(const MoseTypeRef *type, const char *path, MoseMember *ret,
                 GError **error)
{
    g_autofree char *name = NULL;

    if (!type->stars)
        return mose_types_member(type->types, type->id, path, ret, error);
    name = mose_type_ref_declare(type, "");
    return mose_expr_senseless(error, "a pointer has no members", name);
}

gboolean
mose_expr_each(MoseExprEval *eval, const char *label, const MoseTypeValue *value,
               MoseExprFunc func, gpointer data, GError **error)
{
    gsize len = eval->label->len;
    g_autoptr(GError) reason = NULL;
    gboolean good;

    g_string_append_printf(eval->label, "%s%s", len ? " " : "", label);
    good = func(eval, value, data, &reason);
    if (!good && reason && eval->unreadable) {
        const MoseTypeColumn column = { .error = reason->message };

        eval->unreadable = FALSE;
        good = mose_expr_emit(eval, &column, 1, error);
        g_clear_error(&reason);
    }
    g_string_truncate(eval->label, len);
    if (reason)
        g_propagate_error(error, g_steal_pointer(&reason));
    return good;
}

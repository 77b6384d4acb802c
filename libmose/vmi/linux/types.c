/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel's types: made of BTF through libbpf, their sizes and what they are behind
 * typedefs. libbpf has looked at the form only: each id and offset in there may be
 * anything, and types may contain themselves.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/libbpf.h>

#include "util/error.h"
#include "util/fd.h"
#include "vmi/linux/types-priv.h"

/* libbpf writes its complaints to standard error, unless it is told not to. */
static void
silence_libbpf(void)
{
    static gsize done;

    if (g_once_init_enter(&done)) {
        libbpf_set_print(NULL);
        g_once_init_leave(&done, 1);
    }
}

/* The library of libbpf 1.1 lacks btf__new_split(), which its header has; from a file
 * it does the same. */
static struct btf *
new_split(const void *btf, gsize size, struct btf *base, GError **error)
{
    g_auto(MoseFd) fd = memfd_create("mose-btf", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    if (fd < 0) {
        mose_error_set_errno(error, errno, "cannot make a file in memory");
        return NULL;
    }
    if (!mose_fd_write_all(fd, btf, size, "BTF", error))
        return NULL;
    return btf__parse_raw_split(path, base);
}

MoseTypes *
mose_types_new(const void *btf, gsize size, const MoseTypes *base, GError **error)
{
    g_autoptr(MoseTypes) types = NULL;
    g_autoptr(GError) cause = NULL;

    if (!mose_types_check_header(btf, size, error))
        return NULL;
    silence_libbpf();
    types = g_new0(MoseTypes, 1);
    types->base = base;
    types->btf = base ? new_split(btf, size, base->btf, &cause) : btf__new(btf, size);
    if (!types->btf) {
        if (cause)
            g_propagate_error(error, g_steal_pointer(&cause));
        else
            mose_types_explain(btf, size, error);
        return NULL;
    }
    btf__set_pointer_size(types->btf, 8);
    types->first = base ? base->end : 1;
    types->end = btf__type_cnt(types->btf);
    return g_steal_pointer(&types);
}

void
mose_types_free(MoseTypes *types)
{
    if (!types)
        return;
    mose_type_names_free(types->names);
    mose_type_names_free(types->enumerators);
    btf__free(types->btf);
    g_free(types);
}

const struct btf *
mose_types_btf(const MoseTypes *types)
{
    return types->btf;
}

const char *
mose_types_string(const MoseTypes *types, guint32 offset)
{
    const char *text = btf__name_by_offset(types->btf, offset);

    return text && strnlen(text, MOSE_TYPES_MAX_NAME + 1) <= MOSE_TYPES_MAX_NAME ? text
                                                                                 : "";
}

/* Without one layer of names and qualifiers; FALSE: there is none. */
static gboolean
strip_one(const struct btf_type *type, guint32 *id)
{
    if (!btf_is_mod(type) && !btf_is_typedef(type))
        return FALSE;
    *id = type->type;
    return TRUE;
}

guint32
mose_types_strip(const MoseTypes *types, guint32 id)
{
    for (guint i = 0; i <= MOSE_TYPES_MAX_DEPTH; i++) {
        const struct btf_type *type = btf__type_by_id(types->btf, id);

        if (!type)
            return 0;
        if (!strip_one(type, &id))
            return id;
    }
    return 0;
}

gint64
mose_types_size(const MoseTypes *types, guint32 id)
{
    gint64 count = 1, size = -1;

    for (guint i = 0; i <= MOSE_TYPES_MAX_DEPTH && size < 0; i++) {
        const struct btf_type *type = btf__type_by_id(types->btf, id);

        if (!type)
            return -1;
        if (strip_one(type, &id))
            continue;
        if (btf_is_array(type)) {
            if (__builtin_mul_overflow(count, (gint64)btf_array(type)->nelems, &count))
                return -1;
            id = btf_array(type)->type;
        } else if (btf_is_var(type)) {
            id = type->type;
        } else if (btf_is_ptr(type)) {
            size = 8;
        } else if (btf_is_int(type) || btf_is_float(type) || btf_is_composite(type) ||
                   btf_is_any_enum(type)) {
            size = type->size;
        } else {
            return -1;
        }
    }
    return size < 0 || __builtin_mul_overflow(count, size, &size) ? -1 : size;
}

gboolean
mose_types_is_signed(const MoseTypes *types, guint32 id)
{
    const struct btf_type *type =
        btf__type_by_id(types->btf, mose_types_strip(types, id));

    if (!type)
        return FALSE;
    /* Before Linux 6.1's pahole the flag of enums is not set, whatever they have. */
    return btf_is_int(type) ? btf_int_encoding(type) & BTF_INT_SIGNED
                            : btf_is_any_enum(type) && btf_kflag(type);
}

gboolean
mose_types_enumerator_value(const MoseTypes *types, guint32 id, guint index,
                            gint64 *ret)
{
    const struct btf_type *type =
        btf__type_by_id(types->btf, mose_types_strip(types, id));

    if (!type || !btf_is_any_enum(type) || index >= btf_vlen(type))
        return FALSE;
    if (btf_is_enum64(type))
        *ret = (gint64)btf_enum64_value(&btf_enum64(type)[index]);
    else if (btf_kflag(type))
        *ret = btf_enum(type)[index].val;
    else
        *ret = (guint32)btf_enum(type)[index].val;
    return TRUE;
}

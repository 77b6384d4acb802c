/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outer form of BTF: its header, and, where libbpf would not take it, words for
 * why (libbpf has but a number). References between types are checked where they are
 * followed.
 */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/types-priv.h"

static gboolean
invalid(GError **error, const char *what)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "BTF: %s", what);
    return FALSE;
}

/* All sums here are of 64 bits, for numbers of 32 that a stranger has chosen. */
static gboolean
check_sections(const struct btf_header *header, gsize size, GError **error)
{
    guint64 type_end = (guint64)header->type_off + header->type_len;
    guint64 str_end = (guint64)header->str_off + header->str_len;

    if (header->type_off % 4)
        return invalid(error, "its types are not aligned");
    if (type_end > header->str_off)
        return invalid(error, "its types reach into its strings");
    if (str_end + header->hdr_len > size)
        return invalid(error, "its strings reach behind its end");
    if (header->str_len && header->str_len - 1 > G_MAXINT32)
        return invalid(error, "its strings are too long");
    return TRUE;
}

gboolean
mose_types_check_header(const guint8 *btf, gsize size, GError **error)
{
    struct btf_header header;

    if (size > MOSE_TYPES_MAX_SIZE)
        return invalid(error, "more than 64 MB");
    if (size < sizeof(header))
        return invalid(error, "shorter than its header");
    memcpy(&header, btf, sizeof(header));
    if (GUINT16_FROM_LE(header.magic) == GUINT16_SWAP_LE_BE(BTF_MAGIC))
        return invalid(error, "of a big-endian machine");
    if (header.magic != BTF_MAGIC)
        return invalid(error, "no magic number at its beginning");
    if (header.version != BTF_VERSION) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "BTF: of version %u, and %u is known", header.version, BTF_VERSION);
        return FALSE;
    }
    /* Newer kernels may append to the header. */
    if (header.hdr_len < sizeof(header) || header.hdr_len > size || header.hdr_len % 4)
        return invalid(error, "its header has no sensible length");
    return check_sections(&header, size, error);
}

/* How many bytes follow the struct btf_type; -1: an unknown kind. */
static gint64
extra_size(guint kind, guint vlen)
{
    switch (kind) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
        return 4;
    case BTF_KIND_ARRAY:
        return sizeof(struct btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_DATASEC:
    case BTF_KIND_ENUM64:
        return (gint64)vlen * 12;
    case BTF_KIND_ENUM:
    case BTF_KIND_FUNC_PROTO:
        return (gint64)vlen * 8;
    case BTF_KIND_PTR:
    case BTF_KIND_FWD:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case BTF_KIND_FLOAT:
    case BTF_KIND_TYPE_TAG:
        return 0;
    default:
        return -1;
    }
}

/* The first type that is wrong; FALSE when none is. */
static gboolean
explain_types(const guint8 *at, gsize left, GError **error)
{
    struct btf_type type;

    for (guint n = 1; left >= sizeof(type); n++) {
        gint64 extra;

        memcpy(&type, at, sizeof(type));
        extra = extra_size(BTF_INFO_KIND(type.info), BTF_INFO_VLEN(type.info));
        if (extra < 0)
            g_set_error(
                error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "BTF: its type %u is of kind %u, which is not known here: it is "
                "of a newer kernel, or broken",
                n, BTF_INFO_KIND(type.info));
        else if ((guint64)extra > left - sizeof(type))
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "BTF: its type %u reaches behind the end of the types", n);
        if (extra < 0 || (guint64)extra > left - sizeof(type))
            return TRUE;
        at += sizeof(type) + extra;
        left -= sizeof(type) + extra;
    }
    if (left)
        invalid(error, "bytes are left over behind its types");
    return left > 0;
}

void
mose_types_explain(const guint8 *btf, gsize size, GError **error)
{
    struct btf_header header;
    const guint8 *body;

    memcpy(&header, btf, sizeof(header));
    body = btf + header.hdr_len;
    if (explain_types(body + header.type_off, header.type_len, error))
        return;
    if (!header.str_len || body[header.str_off + header.str_len - 1])
        invalid(error, "its strings do not end");
    else
        invalid(error, "libbpf does not take it");
}

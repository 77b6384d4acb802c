/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members of structs and unions by their path. All that a path leads to lies within
 * the struct it began with, or it is refused; and hostile BTF, whose anonymous structs
 * contain themselves or each other thousandfold, is searched within limits.
 */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/types-priv.h"

/* Anonymous structs within each other, and members looked at for one name. */
#define MAX_NESTED 16
#define MAX_LOOKED_AT (1 << 18)

char *
mose_types_name(const MoseTypes *types, guint32 id)
{
    const struct btf_type *type = btf__type_by_id(types->btf, id);
    const char *name = type ? mose_types_string(types, type->name_off) : "";
    const char *keyword = !type                   ? ""
                          : btf_is_struct(type)   ? "struct "
                          : btf_is_union(type)    ? "union "
                          : btf_is_any_enum(type) ? "enum "
                                                  : "";

    return g_strconcat(keyword, *name ? name : "(anonymous)", NULL);
}

/*
 * A bit field's bytes are those of its type's alignment where these hold it all and lie
 * within the struct, as compilers read it; else, of a packed struct, the fewest.
 */
static gboolean
place_bits(guint64 container, guint64 bit_offset, MoseMember *member)
{
    guint64 unit = member->size ? bit_offset / (member->size * 8) * member->size : 0;

    if (!member->size || member->size > 8 || member->bits > member->size * 8)
        return FALSE;
    if (bit_offset - unit * 8 + member->bits > member->size * 8 ||
        unit + member->size > container) {
        unit = bit_offset / 8;
        member->size = (bit_offset % 8 + member->bits + 7) / 8;
    }
    member->offset = unit;
    member->bit = bit_offset - unit * 8;
    return member->size <= 8;
}

gboolean
mose_types_nth_member(const MoseTypes *types, guint32 id, guint n, MoseMember *ret,
                      const char **ret_name)
{
    const struct btf_type *type =
        btf__type_by_id(types->btf, mose_types_strip(types, id));
    const struct btf_type *inner;
    guint64 bit_offset;
    gint64 size;

    if (!type || !btf_is_composite(type) || n >= btf_vlen(type))
        return FALSE;
    *ret = (MoseMember){ .type = btf_members(type)[n].type,
                         .bits = btf_member_bitfield_size(type, n) };
    *ret_name = mose_types_string(types, btf_members(type)[n].name_off);
    bit_offset = btf_member_bit_offset(type, n);
    size = mose_types_size(types, ret->type);
    if (size < 0 || size > type->size)
        return FALSE;
    ret->size = size;
    ret->offset = bit_offset / 8;
    /* Of old, the type has how many bits there are. */
    inner = btf__type_by_id(types->btf, mose_types_strip(types, ret->type));
    if (!ret->bits && btf_is_int(inner) && btf_int_bits(inner) != inner->size * 8) {
        ret->bits = btf_int_bits(inner);
        bit_offset += btf_int_offset(inner);
    }
    if (ret->bits ? !place_bits(type->size, bit_offset, ret) : bit_offset % 8 != 0)
        return FALSE;
    return ret->offset + ret->size <= type->size;
}

typedef struct {
    const MoseTypes *types;
    const char *name;
    gsize len;
    guint looked_at;
    gboolean broken; /* a member by that name is where it cannot be */
} Search;

/* In composite @id, which lies at @offset. */
static gboolean
search_member(Search *search, guint32 id, guint64 offset, guint depth, MoseMember *ret)
{
    const MoseTypes *types = search->types;
    const struct btf_type *type =
        btf__type_by_id(types->btf, mose_types_strip(types, id));

    if (!type || !btf_is_composite(type) || depth > MAX_NESTED)
        return FALSE;
    for (guint n = 0; n < btf_vlen(type); n++) {
        const char *name = mose_types_string(types, btf_members(type)[n].name_off);
        gboolean is_it =
            strncmp(name, search->name, search->len) == 0 && !name[search->len];

        if (++search->looked_at > MAX_LOOKED_AT)
            return FALSE;
        if (!is_it && *name)
            continue;
        if (!mose_types_nth_member(types, id, n, ret, &name)) {
            search->broken |= is_it;
            continue;
        }
        ret->offset += offset;
        if (is_it || search_member(search, ret->type, ret->offset, depth + 1, ret))
            return TRUE;
    }
    return FALSE;
}

gboolean
mose_types_direct_member(const MoseTypes *types, guint32 id, const char *name,
                         gsize len, MoseMember *ret, GError **error)
{
    Search search = { .types = types, .name = name, .len = len };
    g_autofree char *type_name = NULL;

    if (len > 0 && search_member(&search, id, 0, 0, ret))
        return TRUE;
    type_name = mose_types_name(types, mose_types_strip(types, id));
    g_set_error(error, MOSE_ERROR,
                search.broken ? MOSE_ERROR_INVALID : MOSE_ERROR_NOT_FOUND,
                search.broken ? "BTF: member '%.*s' of %s does not lie within it"
                              : "no member '%.*s' in %s",
                (int)len, name, type_name);
    return FALSE;
}

/* "[index]" at *@at of the array @member, which becomes its element. */
static gboolean
take_index(const MoseTypes *types, const char **at, MoseMember *member, GError **error)
{
    const struct btf_type *type =
        btf__type_by_id(types->btf, mose_types_strip(types, member->type));
    char *end = NULL;
    guint64 index = 0;

    if (g_ascii_isdigit((*at)[1]))
        index = g_ascii_strtoull(*at + 1, &end, 10);
    if (!end || *end != ']') {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "no index in '%s'", *at);
        return FALSE;
    }
    if (!type || !btf_is_array(type) || index >= btf_array(type)->nelems) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "no element [%" G_GUINT64_FORMAT "]: %s", index,
                    type && btf_is_array(type) ? "the array has less" : "no array");
        return FALSE;
    }
    /* The array has a size, and so has each element; all of them fit into 64 bits. */
    member->type = btf_array(type)->type;
    member->size = mose_types_size(types, member->type);
    member->offset += index * member->size;
    *at = end + 1;
    return TRUE;
}

gboolean
mose_types_member(const MoseTypes *types, guint32 id, const char *path, MoseMember *ret,
                  GError **error)
{
    const char *at = path;
    guint64 offset = 0;

    *ret = (MoseMember){ .type = id };
    while (*at) {
        gsize len = strcspn(at, ".[");

        if (!mose_types_direct_member(types, ret->type, at, len, ret, error)) {
            g_prefix_error(error, "%s: ", path);
            return FALSE;
        }
        ret->offset += offset;
        at += len;
        while (*at == '[')
            if (!take_index(types, &at, ret, error)) {
                g_prefix_error(error, "%s: ", path);
                return FALSE;
            }
        if (*at && *at++ != '.') {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "no member path: '%s'",
                        path);
            return FALSE;
        }
        offset = ret->offset;
    }
    return TRUE;
}

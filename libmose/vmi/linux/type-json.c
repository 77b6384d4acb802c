/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values as JSON, within the limits that type-print.c has. */
#include <string.h>

#include <bpf/btf.h>

#include "util/json.h"
#include "vmi/linux/type-scalar.h"

#define MAX_VISITS (1 << 18)
#define MAX_DEPTH 32

typedef struct {
    const MoseTypePrint *how;
    const MoseTypeBytes *bytes;
    guint visits;
} Maker;

typedef struct {
    MoseTypeRef type;
    gsize offset, size;
    guint bit, bits;
} Piece;

static JsonNode *make_node(Maker *maker, const Piece *piece, guint depth);

static JsonNode *
text_node(const char *text)
{
    return json_node_init_string(json_node_alloc(), text);
}

static JsonNode *
unreadable_node(const char *reason)
{
    return json_node_init_object(json_node_alloc(),
                                 mose_json_object("unreadable", "s", reason, NULL));
}

/* Members of anonymous structs become those of @to. */
static void
add_members(Maker *maker, JsonObject *to, const Piece *piece, guint depth)
{
    const struct btf_type *bare = mose_type_ref_bare(&piece->type);

    for (guint n = 0; n < btf_vlen(bare) && ++maker->visits < MAX_VISITS; n++) {
        Piece inner = { .type = piece->type };
        const struct btf_type *type;
        MoseMember member;
        const char *name;

        if (!mose_types_nth_member(piece->type.types, piece->type.id, n, &member,
                                   &name))
            continue;
        inner.type.id = member.type;
        inner.offset = piece->offset + member.offset;
        inner.size = member.size;
        inner.bit = member.bit;
        inner.bits = member.bits;
        type = mose_type_ref_bare(&inner.type);
        if (maker->how->nonzero &&
            mose_type_bytes_are_zero(maker->bytes, inner.offset, inner.size))
            continue;
        if (*name && g_utf8_validate(name, -1, NULL))
            json_object_set_member(to, name, make_node(maker, &inner, depth + 1));
        else if (type && btf_is_composite(type) && depth < MAX_DEPTH)
            add_members(maker, to, &inner, depth + 1);
    }
}

static JsonNode *
struct_node(Maker *maker, const Piece *piece, guint depth)
{
    JsonObject *object;

    if (depth > MIN(maker->how->depth, MAX_DEPTH))
        return json_node_init_null(json_node_alloc());
    object = json_object_new();
    add_members(maker, object, piece, depth);
    return json_node_init_object(json_node_alloc(), object);
}

/* All elements, but no more than the limits let through. */
static JsonNode *
array_node(Maker *maker, const Piece *piece, guint depth)
{
    const struct btf_type *bare = mose_type_ref_bare(&piece->type);
    Piece element = { .type = piece->type, .offset = piece->offset };
    JsonArray *array;
    gint64 size;

    element.type.id = btf_array(bare)->type;
    size = mose_type_ref_size(&element.type);
    element.size = MAX(size, 0);
    if (mose_scalar_is_text(&element.type) && piece->size &&
        mose_type_bytes_has(maker->bytes, piece->offset, piece->size)) {
        g_autofree char *text =
            mose_scalar_quote(maker->bytes->bytes + piece->offset, piece->size);

        text[strlen(text) - 1] = '\0';
        return text_node(text + 1);
    }
    array = json_array_new();
    for (gsize i = 0; size > 0 && i < piece->size / (gsize)size && depth <= MAX_DEPTH &&
                      ++maker->visits < MAX_VISITS;
         i++, element.offset += size)
        json_array_add_element(array, make_node(maker, &element, depth + 1));
    return json_node_init_array(json_node_alloc(), array);
}

static JsonNode *
make_node(Maker *maker, const Piece *piece, guint depth)
{
    const struct btf_type *bare = mose_type_ref_bare(&piece->type);
    const guint8 *bytes = maker->bytes->bytes + piece->offset;
    g_autofree char *wide = NULL;

    if (bare && btf_is_composite(bare))
        return struct_node(maker, piece, depth);
    if (bare && btf_is_array(bare))
        return array_node(maker, piece, depth);
    if (!piece->size)
        return json_node_init_null(json_node_alloc());
    if (!mose_type_bytes_has(maker->bytes, piece->offset, piece->size))
        return unreadable_node(maker->bytes->reason);
    if (mose_scalar_kind(&piece->type) != MOSE_SCALAR_NONE)
        return mose_scalar_json(&piece->type,
                                mose_scalar_number(&piece->type, bytes, piece->size,
                                                   piece->bit, piece->bits));
    wide = mose_scalar_wide_text(bytes, piece->size);
    return text_node(wide);
}

JsonNode *
mose_type_to_json(const MoseTypeSource *source, const MoseTypeValue *value,
                  const MoseTypePrint *how, GError **error)
{
    g_auto(MoseTypeBytes) bytes = { 0 };
    Maker maker = { .how = how, .bytes = &bytes };
    MoseTypeValue whole = *value;

    if (!value->typed && !value->in_memory) {
        g_autofree char *text =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value->number);

        return text_node(text);
    }
    if (!value->in_memory)
        whole.size = mose_type_ref_size(&value->type);
    if (!mose_type_bytes_read(source, &whole, &bytes, error))
        return NULL;
    return make_node(&maker,
                     &(Piece){ .type = value->type,
                               .size = whole.size,
                               .bit = value->bit,
                               .bits = value->bits },
                     0);
}

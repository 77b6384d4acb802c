/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a struct is made of, like pahole(1): offsets, sizes, declarations and holes. */
#include <string.h>

#include <bpf/btf.h>

#include "util/error.h"
#include "util/json.h"
#include "vmi/linux/type-print.h"

#define MAX_VISITS (1 << 16)
#define MAX_DEPTH 16
#define MAX_ENUMERATORS 4096

typedef struct {
    GString *to;
    guint visits;
} Layout;

static MoseTypeRef
type_of(const MoseTypeRef *owner, guint32 id)
{
    return (MoseTypeRef){ .types = owner->types, .id = id };
}

/* An anonymous struct or union as the type itself, which is shown in its place. */
static gboolean
is_anonymous(const MoseTypeRef *type)
{
    const struct btf_type *own = btf__type_by_id(mose_types_btf(type->types), type->id);

    return own && btf_is_composite(own) &&
           !*mose_types_string(type->types, own->name_off);
}

static gboolean
is_union(const MoseTypeRef *type)
{
    const struct btf_type *bare = mose_type_ref_bare(type);

    return bare && btf_is_union(bare);
}

static char *
printable(const char *name)
{
    char *copy = g_strdup(name);

    for (char *c = copy; *c; c++)
        if (!g_ascii_isprint(*c))
            *c = '?';
    return copy;
}

static void
add_hole(Layout *layout, const MoseTypeRef *type, guint64 base, guint64 from,
         guint64 to, guint indent)
{
    if (!is_union(type) && to > from)
        g_string_append_printf(layout->to,
                               "%6" G_GUINT64_FORMAT " %6" G_GUINT64_FORMAT
                               "  %*s/* hole */\n",
                               base + from, to - from, indent, "");
}

static void add_members(Layout *layout, const MoseTypeRef *type, guint64 base,
                        guint depth);

static void
add_member(Layout *layout, const MoseTypeRef *type, const MoseMember *member,
           const char *name, guint64 base, guint depth)
{
    MoseTypeRef inner = type_of(type, member->type);
    g_autofree char *shown = printable(name);
    g_autofree char *declared = mose_type_ref_declare(&inner, shown);
    guint indent = 4 * (depth + 1);

    if (member->bits)
        g_string_append_printf(layout->to,
                               "%6" G_GUINT64_FORMAT " %4u:%-2u %*s%s:%u;\n",
                               base + member->offset, member->bit, member->bits, indent,
                               "", declared, member->bits);
    else if (!is_anonymous(&inner) || depth >= MAX_DEPTH)
        g_string_append_printf(
            layout->to, "%6" G_GUINT64_FORMAT " %6" G_GUINT64_FORMAT "  %*s%s;\n",
            base + member->offset, member->size, indent, "", declared);
    else {
        g_string_append_printf(
            layout->to, "%6" G_GUINT64_FORMAT " %6" G_GUINT64_FORMAT "  %*s%s {\n",
            base + member->offset, member->size, indent, "",
            is_union(&inner) ? "union" : "struct");
        add_members(layout, &inner, base + member->offset, depth + 1);
        g_string_append_printf(layout->to, "%15s%*s}%s%s;\n", "", indent, "",
                               *shown ? " " : "", shown);
    }
}

static void
add_members(Layout *layout, const MoseTypeRef *type, guint64 base, guint depth)
{
    const struct btf_type *bare = mose_type_ref_bare(type);
    guint indent = 4 * (depth + 1);
    guint64 end = 0;

    for (guint n = 0; n < btf_vlen(bare) && ++layout->visits < MAX_VISITS; n++) {
        MoseMember member;
        const char *name;

        if (!mose_types_nth_member(type->types, type->id, n, &member, &name)) {
            g_string_append_printf(layout->to, "%15s%*s/* broken member */\n", "",
                                   indent, "");
            continue;
        }
        /* Bit fields may share bytes, so holes of bits are not told. */
        if (!member.bits)
            add_hole(layout, type, base, end, member.offset, indent);
        add_member(layout, type, &member, name, base, depth);
        end = MAX(end, member.offset + (member.bits ? (member.bit + member.bits + 7) / 8
                                                    : member.size));
    }
    add_hole(layout, type, base, end, bare->size, indent);
}

static const char *
enumerator(const MoseTypeRef *type, const struct btf_type *bare, guint i, gint64 *ret)
{
    if (!mose_types_enumerator_value(type->types, type->id, i, ret))
        *ret = 0;
    return mose_types_string(type->types, btf_is_enum(bare)
                                              ? btf_enum(bare)[i].name_off
                                              : btf_enum64(bare)[i].name_off);
}

static void
add_enumerators(const MoseTypeRef *type, const struct btf_type *bare, GString *to)
{
    for (guint i = 0; i < btf_vlen(bare) && i < MAX_ENUMERATORS; i++) {
        gint64 value;
        g_autofree char *name = printable(enumerator(type, bare, i, &value));

        g_string_append_printf(to, "    %s = %" G_GINT64_FORMAT ",\n", name, value);
    }
}

/* Member @path of @type, as a type of its own. */
static gboolean
go_to(const MoseTypeRef *type, const char *path, MoseMember *member, MoseTypeRef *ret,
      GError **error)
{
    *member = (MoseMember){ .type = type->id };
    *ret = *type;
    if (!path)
        return TRUE;
    if (!mose_types_member(type->types, type->id, path, member, error))
        return FALSE;
    ret->id = member->type;
    return TRUE;
}

/* "struct x {" and "typedef struct { ... } x" alike, as C has them. */
static void
add_head(const MoseTypeRef *type, const char *path, const MoseMember *member,
         GString *to)
{
    g_autofree char *name = mose_type_ref_declare(type, "");
    gint64 size = mose_type_ref_size(type);

    if (path && member->bits)
        g_string_append_printf(to, "/* at %" G_GUINT64_FORMAT ", bit %u, %u bits */ %s",
                               member->offset, member->bit, member->bits, name);
    else if (path)
        g_string_append_printf(
            to, "/* at %" G_GUINT64_FORMAT ", %" G_GINT64_FORMAT " bytes */ %s",
            member->offset, size, name);
    else
        g_string_append_printf(to, "/* %" G_GINT64_FORMAT " bytes */ %s", size, name);
}

gboolean
mose_type_layout(const MoseTypeRef *type, const char *path, GString *to, GError **error)
{
    Layout layout = { .to = to };
    const struct btf_type *bare;
    MoseMember member;
    MoseTypeRef at;

    if (!go_to(type, path, &member, &at, error))
        return FALSE;
    add_head(&at, path, &member, to);
    bare = mose_type_ref_bare(&at);
    if (bare && btf_is_composite(bare)) {
        g_string_append(to, " {\n");
        add_members(&layout, &at, 0, 0);
        g_string_append_c(to, '}');
    } else if (bare && btf_is_any_enum(bare)) {
        g_string_append(to, " {\n");
        add_enumerators(&at, bare, to);
        g_string_append_c(to, '}');
    } else if (bare) {
        MoseTypeRef stripped = type_of(&at, mose_types_strip(at.types, at.id));
        g_autofree char *name = mose_type_ref_declare(&stripped, "");

        if (stripped.id != at.id)
            g_string_append_printf(to, " = %s", name);
    }
    g_string_append(to, ";\n");
    return TRUE;
}

/* --- JSON --- */

static void add_members_json(Layout *layout, const MoseTypeRef *type, guint64 base,
                             guint depth, JsonArray *to);

static JsonObject *
member_json(Layout *layout, const MoseTypeRef *type, const MoseMember *member,
            const char *name, guint64 base, guint depth)
{
    MoseTypeRef inner = type_of(type, member->type);
    g_autofree char *shown = printable(name);
    g_autofree char *declared = mose_type_ref_declare(&inner, "");
    JsonObject *object = mose_json_object(
        "name", "s", shown, "offset", "i", (gint64)(base + member->offset), "size", "i",
        (gint64)member->size, "type", "s", declared, NULL);

    if (member->bits) {
        json_object_set_int_member(object, "bit", member->bit);
        json_object_set_int_member(object, "bits", member->bits);
    }
    if (is_anonymous(&inner) && depth < MAX_DEPTH) {
        JsonArray *members = json_array_new();

        add_members_json(layout, &inner, base + member->offset, depth + 1, members);
        json_object_set_array_member(object, "members", members);
    }
    return object;
}

static void
add_members_json(Layout *layout, const MoseTypeRef *type, guint64 base, guint depth,
                 JsonArray *to)
{
    const struct btf_type *bare = mose_type_ref_bare(type);

    for (guint n = 0; n < btf_vlen(bare) && ++layout->visits < MAX_VISITS; n++) {
        MoseMember member;
        const char *name;

        if (mose_types_nth_member(type->types, type->id, n, &member, &name))
            json_array_add_object_element(
                to, member_json(layout, type, &member, name, base, depth));
    }
}

static JsonObject *
enumerators_json(const MoseTypeRef *type, const struct btf_type *bare)
{
    JsonObject *object = json_object_new();

    for (guint i = 0; i < btf_vlen(bare) && i < MAX_ENUMERATORS; i++) {
        gint64 value;
        g_autofree char *name = printable(enumerator(type, bare, i, &value));

        json_object_set_int_member(object, name, value);
    }
    return object;
}

JsonObject *
mose_type_layout_json(const MoseTypeRef *type, const char *path, GError **error)
{
    Layout layout = { 0 };
    const struct btf_type *bare;
    MoseMember member;
    MoseTypeRef at;
    JsonObject *object;
    g_autofree char *name = NULL;

    if (!go_to(type, path, &member, &at, error))
        return NULL;
    name = mose_type_ref_declare(&at, "");
    object =
        mose_json_object("type", "s", name, "size", "i", mose_type_ref_size(&at), NULL);
    if (path)
        json_object_set_int_member(object, "offset", member.offset);
    if (path && member.bits) {
        json_object_set_int_member(object, "bit", member.bit);
        json_object_set_int_member(object, "bits", member.bits);
    }
    bare = mose_type_ref_bare(&at);
    if (bare && btf_is_composite(bare)) {
        JsonArray *members = json_array_new();

        add_members_json(&layout, &at, 0, 0, members);
        json_object_set_array_member(object, "members", members);
    } else if (bare && btf_is_any_enum(bare)) {
        json_object_set_object_member(object, "enumerators",
                                      enumerators_json(&at, bare));
    }
    return object;
}

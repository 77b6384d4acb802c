/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Types as expressions have them: a type of BTF, or a pointer to it for which BTF need
 * not have a type; found by name, and declared as C does. Names are the guest's, so
 * what is not printable in them is not printed.
 */
#include <string.h>

#include <bpf/btf.h>

#include "util/error.h"
#include "vmi/linux/type-expr-priv.h"

/* Longer declarations, of functions that take functions, are cut. */
#define MAX_DECLARATION 400
#define MAX_PARAMETERS 12
#define MAX_LAYERS 32

const struct btf_type *
mose_type_ref_bare(const MoseTypeRef *type)
{
    guint32 id = type->stars ? 0 : mose_types_strip(type->types, type->id);

    return id ? btf__type_by_id(mose_types_btf(type->types), id) : NULL;
}

gint64
mose_type_ref_size(const MoseTypeRef *type)
{
    return type->stars ? 8 : mose_types_size(type->types, type->id);
}

gboolean
mose_type_ref_target(const MoseTypeRef *type, MoseTypeRef *ret)
{
    const struct btf_type *bare = mose_type_ref_bare(type);

    *ret = *type;
    if (type->stars) {
        ret->stars--;
        return TRUE;
    }
    if (!bare || !btf_is_ptr(bare))
        return FALSE;
    ret->id = bare->type;
    return TRUE;
}

/* What a C programmer calls it, and what gcc's debug information does. */
static const char *
plain_name(const char *name)
{
    static const char *const names[][2] = {
        { "unsigned", "unsigned int" },
        { "signed", "int" },
        { "long", "long int" },
        { "unsigned long", "long unsigned int" },
        { "unsigned long int", "long unsigned int" },
        { "short", "short int" },
        { "unsigned short", "short unsigned int" },
        { "long long", "long long int" },
        { "unsigned long long", "long long unsigned int" },
        { "bool", "_Bool" },
    };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        if (strcmp(name, names[i][0]) == 0)
            return names[i][1];
    return name;
}

/* The types of "MODULE:" in @name, which is copied without that. */
static const MoseTypes *
types_of(const MoseTypeSource *source, const char *name, char **ret_name,
         GError **error)
{
    const char *colon = strchr(name, ':');
    const char *word = colon;
    g_autofree char *module = NULL;

    if (!colon) {
        *ret_name = g_strdup(name);
        return source->types;
    }
    while (word > name && word[-1] != ' ')
        word--;
    module = g_strndup(word, colon - word);
    *ret_name = g_strdup_printf("%.*s%s", (int)(word - name), name, colon + 1);
    if (source->module_types)
        return source->module_types(source->data, module, error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "%s: types of modules are not known here", module);
    return NULL;
}

gboolean
mose_expr_find_type(const MoseTypeSource *source, const char *name, guint stars,
                    MoseTypeRef *ret, GError **error)
{
    g_autofree char *own = NULL;
    const MoseTypes *types = types_of(source, name, &own, error);

    if (!types)
        return FALSE;
    *ret = (MoseTypeRef){ .types = types, .stars = stars };
    ret->id = mose_types_find(types, own);
    if (!ret->id)
        ret->id = mose_types_find(types, plain_name(own));
    if (ret->id || (stars && strcmp(own, "void") == 0))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "there is no type '%s'", name);
    return FALSE;
}

/* --- as C declares it --- */

static char *declare(const MoseTypes *types, guint32 id, char *inner, guint depth);

/* "(int, struct x *)" behind @inner. */
static char *
add_parameters(const MoseTypes *types, const struct btf_type *type, const char *inner,
               guint depth)
{
    GString *text = g_string_new(inner);

    g_string_append_c(text, '(');
    for (guint i = 0; i < btf_vlen(type); i++) {
        guint32 id = btf_params(type)[i].type;
        g_autofree char *parameter = NULL;

        if (i >= MAX_PARAMETERS || depth >= 2 || text->len > MAX_DECLARATION || !id) {
            g_string_append(text, "...");
            break;
        }
        parameter = declare(types, id, g_strdup(""), depth + 1);
        g_string_append_printf(text, "%s%s", parameter,
                               i + 1 < btf_vlen(type) ? ", " : "");
    }
    if (!btf_vlen(type))
        g_string_append(text, "void");
    g_string_append_c(text, ')');
    return g_string_free(text, FALSE);
}

static const char *
qualifier(const struct btf_type *type)
{
    return btf_is_const(type)      ? "const"
           : btf_is_volatile(type) ? "volatile"
           : btf_is_restrict(type) ? "restrict"
                                   : NULL;
}

static gboolean
points_to_brackets(const MoseTypes *types, guint32 id)
{
    const struct btf_type *type = btf__type_by_id(mose_types_btf(types), id);

    return type && (btf_is_array(type) || btf_is_func_proto(type));
}

static char *
declare_base(const MoseTypes *types, const struct btf_type *type, guint32 id,
             const char *qualifiers, const char *inner)
{
    g_autofree char *name =
        !id || !type ? g_strdup("void") : mose_types_name(types, id);

    return g_strdup_printf("%s%s%s%s", qualifiers, name,
                           *inner && *inner != '[' ? " " : "", inner);
}

/* Takes @inner over: the name with what surrounds it so far. */
static char *
declare(const MoseTypes *types, guint32 id, char *inner, guint depth)
{
    g_autofree char *text = inner;
    g_autoptr(GString) qualifiers = g_string_new(NULL);

    for (guint layer = 0; layer < MAX_LAYERS && strlen(text) < MAX_DECLARATION;
         layer++) {
        const struct btf_type *type = btf__type_by_id(mose_types_btf(types), id);
        char *outer;

        if (type && qualifier(type)) {
            g_string_append_printf(qualifiers, "%s ", qualifier(type));
            id = type->type;
            continue;
        }
        if (type && btf_kind(type) == BTF_KIND_TYPE_TAG) {
            id = type->type;
            continue;
        }
        if (type && btf_is_ptr(type)) {
            gboolean brackets = points_to_brackets(types, type->type);

            outer = g_strdup_printf("%s*%s%s%s", brackets ? "(" : "", qualifiers->str,
                                    text, brackets ? ")" : "");
            g_string_truncate(qualifiers, 0);
            id = type->type;
        } else if (type && btf_is_array(type)) {
            outer = g_strdup_printf("%s[%u]", text, btf_array(type)->nelems);
            id = btf_array(type)->type;
        } else if (type && btf_is_func_proto(type)) {
            outer = add_parameters(types, type, text, depth);
            id = type->type;
        } else {
            return declare_base(types, type, id, qualifiers->str, text);
        }
        g_free(text);
        text = outer;
    }
    return g_strdup_printf("... %s", text);
}

char *
mose_type_ref_declare(const MoseTypeRef *type, const char *name)
{
    g_autofree char *stars = g_strnfill(type->stars, '*');
    gboolean brackets = type->stars && points_to_brackets(type->types, type->id);
    g_autofree char *text = declare(type->types, type->id,
                                    brackets ? g_strdup_printf("(%s%s)", stars, name)
                                             : g_strconcat(stars, name, NULL),
                                    0);

    for (char *c = text; *c; c++)
        if (!g_ascii_isprint(*c))
            *c = '?';
    return g_steal_pointer(&text);
}

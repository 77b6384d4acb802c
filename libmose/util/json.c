/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON objects made and read; see json.h. */
#include "util/json.h"

#include <string.h>

#include "util/error.h"

#define MAX_TEXT (64 * 1024 * 1024)
#define MAX_DEPTH 200

static JsonNode *
node_from_argument(const char *kind, va_list *args)
{
    JsonNode *node = json_node_alloc();

    switch (*kind) {
    case 's':
        json_node_init_string(node, va_arg(*args, const char *));
        break;
    case 'i':
        json_node_init_int(node, va_arg(*args, gint64));
        break;
    case 'b':
        json_node_init_boolean(node, va_arg(*args, gboolean));
        break;
    case 'f':
        json_node_init_double(node, va_arg(*args, double));
        break;
    case 'o':
        json_node_init(node, JSON_NODE_OBJECT);
        json_node_take_object(node, va_arg(*args, JsonObject *));
        break;
    case 'a':
        json_node_init(node, JSON_NODE_ARRAY);
        json_node_take_array(node, va_arg(*args, JsonArray *));
        break;
    case 'n':
        json_node_free(node);
        node = va_arg(*args, JsonNode *);
        break;
    default:
        g_error("mose_json_object: no kind '%s'", kind);
    }
    return node;
}

JsonObject *
mose_json_object(const char *name, ...)
{
    JsonObject *object = json_object_new();
    va_list args;

    va_start(args, name);
    while (name) {
        const char *kind = va_arg(args, const char *);

        json_object_set_member(object, name, node_from_argument(kind, &args));
        name = va_arg(args, const char *);
    }
    va_end(args);
    return object;
}

static JsonNode *
member(JsonObject *object, const char *name, JsonNodeType type)
{
    JsonNode *node = object ? json_object_get_member(object, name) : NULL;

    return node && JSON_NODE_TYPE(node) == type ? node : NULL;
}

const char *
mose_json_string(JsonObject *object, const char *name, const char *fallback)
{
    JsonNode *node = member(object, name, JSON_NODE_VALUE);

    if (!node || json_node_get_value_type(node) != G_TYPE_STRING)
        return fallback;
    return json_node_get_string(node);
}

gint64
mose_json_int(JsonObject *object, const char *name, gint64 fallback)
{
    JsonNode *node = member(object, name, JSON_NODE_VALUE);

    if (!node || json_node_get_value_type(node) != G_TYPE_INT64)
        return fallback;
    return json_node_get_int(node);
}

double
mose_json_double(JsonObject *object, const char *name, double fallback)
{
    JsonNode *node = member(object, name, JSON_NODE_VALUE);

    if (!node || (json_node_get_value_type(node) != G_TYPE_INT64 &&
                  json_node_get_value_type(node) != G_TYPE_DOUBLE))
        return fallback;
    return json_node_get_double(node);
}

gboolean
mose_json_bool(JsonObject *object, const char *name, gboolean fallback)
{
    JsonNode *node = member(object, name, JSON_NODE_VALUE);

    if (!node || json_node_get_value_type(node) != G_TYPE_BOOLEAN)
        return fallback;
    return json_node_get_boolean(node);
}

JsonObject *
mose_json_child(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name, JSON_NODE_OBJECT);

    return node ? json_node_get_object(node) : NULL;
}

JsonArray *
mose_json_array(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name, JSON_NODE_ARRAY);

    return node ? json_node_get_array(node) : NULL;
}

JsonArray *
mose_json_node_array(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

JsonObject *
mose_json_element(JsonArray *array, guint i)
{
    JsonNode *node = json_array_get_element(array, i);

    return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

char *
mose_json_text(JsonObject *object, gboolean pretty)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);

    json_node_set_object(node, object);
    return json_to_string(node, pretty);
}

/*
 * Whether the parser may have @text: json-glib 1.6 calls itself for each level, and
 * a QEMU that a guest has taken over could send more levels than our stack has. It
 * also takes comments, in which a quote would hide brackets from this.
 */
static gboolean
is_flat(const char *text, gsize len)
{
    gboolean in_string = FALSE;
    guint depth = 0;

    for (gsize i = 0; i < len; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (in_string)
            continue;
        else if (text[i] == '/' || text[i] == '#' || text[i] == '\'')
            return FALSE;
        else if ((text[i] == '[' || text[i] == '{') && ++depth > MAX_DEPTH)
            return FALSE;
        else if ((text[i] == ']' || text[i] == '}') && depth > 0)
            depth--;
    }
    return TRUE;
}

JsonObject *
mose_json_parse(const char *text, gssize len, const char *what, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) cause = NULL;
    JsonNode *root;

    if (len < 0)
        len = strlen(text);
    if (len > MAX_TEXT) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: %" G_GSSIZE_FORMAT " bytes of JSON are too many", what, len);
        return NULL;
    }
    if (!is_flat(text, len)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: JSON of more than %d levels, or with comments", what,
                    MAX_DEPTH);
        return NULL;
    }
    if (!json_parser_load_from_data(parser, text, len, &cause)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: %s", what,
                    cause->message);
        return NULL;
    }
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: not a JSON object",
                    what);
        return NULL;
    }
    return json_object_ref(json_node_get_object(root));
}

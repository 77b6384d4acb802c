/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An option in either spelling; see option.h. */
#include "qemu/option.h"

#include <string.h>

#include "qemu/optstr.h"
#include "util/json.h"

MoseOption *
mose_option_new(const char *name, const char *value)
{
    MoseOption *option = g_new0(MoseOption, 1);

    option->name = g_strdup(name);
    option->value = g_strdup(value);
    return option;
}

void
mose_option_free(MoseOption *option)
{
    if (!option)
        return;
    g_free(option->name);
    g_free(option->value);
    g_free(option);
}

gboolean
mose_option_is(const MoseOption *option, const char *name)
{
    return strcmp(option->name, name) == 0;
}

gboolean
mose_option_is_json(const MoseOption *option)
{
    return option->value && *option->value == '{';
}

static JsonObject *
parse(const MoseOption *option)
{
    return mose_json_parse(option->value, -1, option->name, NULL);
}

/* A string or number as text, NULL for others. */
static char *
node_text(JsonNode *node)
{
    if (!node || !JSON_NODE_HOLDS_VALUE(node))
        return NULL;
    if (json_node_get_value_type(node) == G_TYPE_STRING)
        return g_strdup(json_node_get_string(node));
    if (json_node_get_value_type(node) == G_TYPE_INT64)
        return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
    return NULL;
}

char *
mose_option_get(const MoseOption *option, const char *key)
{
    if (!option->value)
        return NULL;
    if (mose_option_is_json(option)) {
        g_autoptr(JsonObject) object = parse(option);

        return object ? node_text(json_object_get_member(object, key)) : NULL;
    }
    g_autoptr(GPtrArray) parts = mose_optstr_split(option->value);

    return g_strdup(mose_optstr_get(parts, key));
}

char *
mose_option_head(const MoseOption *option)
{
    gsize len = option->value ? strcspn(option->value, ",") : 0;

    if (mose_option_is_json(option) || (len && memchr(option->value, '=', len)))
        return g_strdup("");
    return g_strndup(option->value ? option->value : "", len);
}

static const char *
name_key(const MoseOption *option)
{
    return mose_option_is(option, "-blockdev") ? "node-name" : "id";
}

char *
mose_option_id(const MoseOption *option)
{
    return mose_option_get(option, name_key(option));
}

static void
set_json(MoseOption *option, const char *key, const char *value, gboolean number)
{
    g_autoptr(JsonObject) object = parse(option);

    if (!object)
        return;
    if (number)
        json_object_set_int_member(object, key, g_ascii_strtoll(value, NULL, 10));
    else
        json_object_set_string_member(object, key, value);
    g_free(option->value);
    option->value = mose_json_text(object, FALSE);
}

void
mose_option_set(MoseOption *option, const char *key, const char *value, gboolean number)
{
    g_autoptr(GPtrArray) parts = NULL;

    if (mose_option_is_json(option)) {
        set_json(option, key, value, number);
        return;
    }
    parts = mose_optstr_split(option->value);
    mose_optstr_set(parts, key, value);
    g_free(option->value);
    option->value = mose_optstr_join(parts);
}

/* Keys whose value is no reference: the option's own name, and its type. */
static gboolean
is_own(const MoseOption *option, const char *key, gsize len)
{
    const char *const own[] = { name_key(option), "driver", "format", "if" };

    for (gsize i = 0; i < G_N_ELEMENTS(own); i++)
        if (strlen(own[i]) == len && strncmp(own[i], key, len) == 0)
            return TRUE;
    return FALSE;
}

static gboolean
json_uses(const MoseOption *option, const char *id)
{
    g_autoptr(JsonObject) object = parse(option);
    JsonObjectIter iter;
    const char *key;
    JsonNode *node;

    if (!object)
        return FALSE;
    json_object_iter_init(&iter, object);
    while (json_object_iter_next(&iter, &key, &node)) {
        g_autofree char *text = node_text(node);

        if (!is_own(option, key, strlen(key)) && g_strcmp0(text, id) == 0)
            return TRUE;
    }
    return FALSE;
}

gboolean
mose_option_uses(const MoseOption *option, const char *id)
{
    g_autoptr(GPtrArray) parts = NULL;

    if (!option->value || mose_option_is_json(option))
        return option->value && json_uses(option, id);
    parts = mose_optstr_split(option->value);
    for (guint i = 0; i < parts->len; i++) {
        const char *part = parts->pdata[i];
        const char *equals = strchr(part, '=');

        if (equals && strcmp(equals + 1, id) == 0 &&
            !is_own(option, part, equals - part))
            return TRUE;
        /* "-serial chardev:ID" */
        if (g_str_has_prefix(part, "chardev:") && strcmp(part + 8, id) == 0)
            return TRUE;
    }
    return FALSE;
}

JsonArray *
mose_options_to_json(const GPtrArray *options)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < options->len; i++) {
        const MoseOption *option = options->pdata[i];
        JsonArray *words = json_array_new();

        json_array_add_string_element(words, option->name);
        if (option->value)
            json_array_add_string_element(words, option->value);
        json_array_add_array_element(array, words);
    }
    return array;
}

static const char *
array_string(JsonArray *array, guint i)
{
    JsonNode *node =
        i < json_array_get_length(array) ? json_array_get_element(array, i) : NULL;

    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

GPtrArray *
mose_options_from_json(JsonArray *array)
{
    g_autoptr(GPtrArray) options =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_option_free);

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        JsonArray *words =
            JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
        const char *name = words ? array_string(words, 0) : NULL;

        if (!name)
            return NULL;
        g_ptr_array_add(options, mose_option_new(name, array_string(words, 1)));
    }
    return array ? g_steal_pointer(&options) : NULL;
}

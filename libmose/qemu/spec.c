/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's description, and its form as JSON. Reading options: spec-parse.c. */
#include "qemu/spec.h"

#include <string.h>

#include "util/error.h"
#include "util/json.h"

static const char *const side_names[MOSE_N_SIDES] = { "virtualizer", "emulator" };

const char *
mose_side_name(MoseSide side)
{
    return side_names[side];
}

gboolean
mose_side_from_name(const char *name, MoseSide *ret)
{
    for (MoseSide side = 0; name && side < MOSE_N_SIDES; side++) {
        if (strcmp(name, side_names[side]) == 0) {
            *ret = side;
            return TRUE;
        }
    }
    return FALSE;
}

static void
option_free(gpointer data)
{
    MoseOption *option = data;

    g_free(option->name);
    g_free(option->value);
    g_free(option);
}

MoseSpec *
mose_spec_new(void)
{
    MoseSpec *spec = g_new0(MoseSpec, 1);

    spec->options = g_ptr_array_new_with_free_func(option_free);
    return spec;
}

void
mose_spec_add_option(MoseSpec *spec, const char *name, const char *value)
{
    MoseOption *option = g_new0(MoseOption, 1);

    option->name = g_strdup(name);
    option->value = g_strdup(value);
    g_ptr_array_add(spec->options, option);
}

void
mose_spec_free(MoseSpec *spec)
{
    if (!spec)
        return;
    g_free(spec->name);
    g_free(spec->qemu);
    g_free(spec->cwd);
    g_free(spec->machine);
    g_free(spec->user_cpu);
    g_clear_pointer(&spec->options, g_ptr_array_unref);
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++) {
        g_free(spec->accel[side]);
        g_free(spec->cpu[side]);
    }
    g_free(spec);
}

static void
set_string(JsonObject *object, const char *name, const char *value)
{
    if (value)
        json_object_set_string_member(object, name, value);
}

JsonObject *
mose_spec_to_json(const MoseSpec *spec)
{
    JsonArray *options = json_array_new();
    JsonObject *object = mose_json_object(
        "name", "s", spec->name, "qemu", "s", spec->qemu, "cwd", "s", spec->cwd,
        "machine", "s", spec->machine, "ram-size", "i", (gint64)spec->ram_size,
                         "ram-private", "b", spec->ram_private, NULL);

    set_string(object, "user-cpu", spec->user_cpu);
    json_object_set_boolean_member(object, "portable-cpu", spec->portable_cpu);
    for (guint i = 0; i < spec->options->len; i++) {
        const MoseOption *option = spec->options->pdata[i];
        JsonArray *words = json_array_new();

        json_array_add_string_element(words, option->name);
        if (option->value)
            json_array_add_string_element(words, option->value);
        json_array_add_array_element(options, words);
    }
    json_object_set_array_member(object, "options", options);
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++)
        json_object_set_object_member(object, side_names[side],
                                      mose_json_object("accel", "s", spec->accel[side],
                                                       "cpu", "s", spec->cpu[side],
                                                       NULL));
    return object;
}

static const char *
array_string(JsonArray *array, guint i)
{
    JsonNode *node =
        i < json_array_get_length(array) ? json_array_get_element(array, i) : NULL;

    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

static gboolean
read_options(MoseSpec *spec, JsonArray *options)
{
    for (guint i = 0; i < json_array_get_length(options); i++) {
        JsonNode *node = json_array_get_element(options, i);
        const char *name = JSON_NODE_HOLDS_ARRAY(node)
                               ? array_string(json_node_get_array(node), 0)
                               : NULL;

        if (!name)
            return FALSE;
        mose_spec_add_option(spec, name, array_string(json_node_get_array(node), 1));
    }
    return TRUE;
}

MoseSpec *
mose_spec_from_json(JsonObject *object, GError **error)
{
    g_autoptr(MoseSpec) spec = mose_spec_new();
    JsonArray *options = mose_json_array(object, "options");
    gboolean whole = options && read_options(spec, options);

    spec->name = g_strdup(mose_json_string(object, "name", NULL));
    spec->qemu = g_strdup(mose_json_string(object, "qemu", NULL));
    spec->cwd = g_strdup(mose_json_string(object, "cwd", NULL));
    spec->machine = g_strdup(mose_json_string(object, "machine", NULL));
    spec->ram_size = mose_json_int(object, "ram-size", 0);
    spec->ram_private = mose_json_bool(object, "ram-private", FALSE);
    spec->user_cpu = g_strdup(mose_json_string(object, "user-cpu", NULL));
    spec->portable_cpu = mose_json_bool(object, "portable-cpu", FALSE);
    whole = whole && spec->name && spec->qemu && spec->cwd && spec->machine &&
            spec->ram_size;
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++) {
        JsonObject *half = mose_json_child(object, side_names[side]);

        spec->accel[side] = g_strdup(mose_json_string(half, "accel", NULL));
        spec->cpu[side] = g_strdup(mose_json_string(half, "cpu", NULL));
        whole = whole && spec->accel[side] && spec->cpu[side];
    }
    if (!whole) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the guest's description is not complete");
        return NULL;
    }
    return g_steal_pointer(&spec);
}

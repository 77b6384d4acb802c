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

MoseSpec *
mose_spec_new(void)
{
    MoseSpec *spec = g_new0(MoseSpec, 1);

    spec->options = g_ptr_array_new_with_free_func((GDestroyNotify)mose_option_free);
    return spec;
}

void
mose_spec_add_option(MoseSpec *spec, const char *name, const char *value)
{
    g_ptr_array_add(spec->options, mose_option_new(name, value));
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
    JsonObject *object = mose_json_object(
        "name", "s", spec->name, "qemu", "s", spec->qemu, "cwd", "s", spec->cwd,
        "machine", "s", spec->machine, "ram-size", "i", (gint64)spec->ram_size,
        "ram-private", "b", spec->ram_private, NULL);

    set_string(object, "user-cpu", spec->user_cpu);
    json_object_set_boolean_member(object, "portable-cpu", spec->portable_cpu);
    json_object_set_array_member(object, "options",
                                 mose_options_to_json(spec->options));
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++)
        json_object_set_object_member(object, side_names[side],
                                      mose_json_object("accel", "s", spec->accel[side],
                                                       "cpu", "s", spec->cpu[side],
                                                       NULL));
    return object;
}

MoseSpec *
mose_spec_from_json(JsonObject *object, GError **error)
{
    g_autoptr(MoseSpec) spec = mose_spec_new();
    GPtrArray *options = mose_options_from_json(mose_json_array(object, "options"));
    gboolean whole = options != NULL;

    if (options) {
        g_ptr_array_unref(spec->options);
        spec->options = options;
    }

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

gboolean
mose_spec_find_qemu(MoseSpec *spec, GError **error)
{
    g_autofree char *name = g_path_get_basename(spec->qemu);
    char *found;

    if (g_file_test(spec->qemu, G_FILE_TEST_IS_EXECUTABLE))
        return TRUE;
    found = g_find_program_in_path(name);
    if (!found) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "there is no %s here; install QEMU 10.0 or later", name);
        return FALSE;
    }
    g_free(spec->qemu);
    spec->qemu = found;
    return TRUE;
}

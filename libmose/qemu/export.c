/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which disks can be offered, and how they are opened; see export.h. */
#include "qemu/export.h"

#include <string.h>
#include <sys/stat.h>

#include "util/error.h"
#include "util/json.h"

/* "json:{"a":{"a":...": as deep as a chain of backing files may be. */
#define MAX_DEPTH 64

static void
export_free(gpointer data)
{
    MoseExport *export = data;

    g_free(export->name);
    g_free(export->drive);
    g_free(export->node);
    g_free(export->file);
    g_clear_pointer(&export->options, json_object_unref);
    g_free(export);
}

GPtrArray *
mose_exports_list_new(void)
{
    return g_ptr_array_new_with_free_func(export_free);
}

/* "nbd:...", "json:{...}": a colon before any slash (QEMU block.c:path_has_protocol).
 */
static gboolean
is_path(const char *name)
{
    return *name && name[strcspn(name, ":/")] != ':';
}

static gboolean
is_one_of(const char *word, const char *const *words)
{
    return word && g_strv_contains(words, word);
}

/* Why the disk that QEMU calls @inserted can't be offered; NULL where it can. */
static const char *
refusal(JsonObject *inserted)
{
    /* Others have a migration blocker (block/vmdk.c:vmdk_open and the like), or are
     * filters, whose settings would be lost. */
    static const char *const drivers[] = { "raw", "qcow2", "file", "host_device",
                                           NULL };
    JsonObject *image = mose_json_child(inserted, "image");
    const char *node = mose_json_string(inserted, "node-name", NULL);

    if (mose_json_bool(inserted, "encrypted", FALSE))
        return "it is encrypted, and its secret stays in the guest's QEMU";
    if (!node || mose_json_int(image, "virtual-size", -1) < 0)
        return "QEMU does not tell its size";
    if (g_str_has_prefix(node, "mose-overlay"))
        return "it is an overlay of the emulator's; bring the guest back first "
               "(`mose virtualize`)";
    if (!is_one_of(mose_json_string(inserted, "drv", NULL), drivers))
        return "its driver is none of raw, qcow2, file and host_device";
    return NULL;
}

/* What holds the data under @options, the last of its "file" children. */
static const char *
bottom_driver(JsonObject *options)
{
    JsonObject *below = options;

    for (int i = 0; below && i < MAX_DEPTH; i++) {
        options = below;
        below = mose_json_child(options, "file");
    }
    return mose_json_string(options, "driver", "");
}

/* The options of the image at @path. */
static JsonObject *
open_path(const char *driver, const char *path)
{
    struct stat st;
    const char *protocol =
        stat(path, &st) == 0 && S_ISBLK(st.st_mode) ? "host_device" : "file";

    if (strcmp(driver, "file") == 0 || strcmp(driver, "host_device") == 0)
        return mose_json_object("driver", "s", protocol, "filename", "s", path, NULL);
    return mose_json_object(
        "driver", "s", driver, "file", "o",
        mose_json_object("driver", "s", protocol, "filename", "s", path, NULL), NULL);
}

/* QEMU names an image by options where a path would not say all that matters. */
static JsonObject *
open_image(const MoseExport *export, const char *driver, GError **error)
{
    static const char *const local[] = { "file", "host_device", NULL };
    g_autoptr(JsonObject) options = NULL;

    if (g_str_has_prefix(export->file, "json:"))
        options =
            mose_json_parse(export->file + strlen("json:"), -1, export->file, error);
    else if (is_path(export->file))
        options = open_path(driver, export->file);
    else
        options = json_object_new();
    if (!options)
        return NULL;
    if (is_one_of(bottom_driver(options), local))
        return g_steal_pointer(&options);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "disk %s can't be offered to another host: it is no file of this one",
                export->file);
    return NULL;
}

/* All that goes into blockdev-add. */
static JsonObject *
complete(const MoseExport *export, JsonObject *inserted, GError **error)
{
    JsonObject *cache = mose_json_child(inserted, "cache");
    const char *driver = mose_json_string(inserted, "drv", NULL);
    JsonObject *options = open_image(export, driver, error);

    if (!options)
        return NULL;
    json_object_set_string_member(options, "node-name", export->name);
    json_object_set_boolean_member(options, "read-only", export->read_only);
    /* The QEMU elsewhere decides what it passes on. */
    json_object_set_string_member(options, "discard", "unmap");
    json_object_set_object_member(
        options, "cache",
        mose_json_object("direct", "b", mose_json_bool(cache, "direct", FALSE),
                         "no-flush", "b", mose_json_bool(cache, "no-flush", FALSE),
                         NULL));
    if (!export->read_only) {
        JsonObject *file = mose_json_child(options, "file");

        json_object_set_boolean_member(options, "active", FALSE);
        if (file)
            json_object_set_boolean_member(file, "active", FALSE);
    }
    return options;
}

static MoseExport *
plan_one(JsonObject *drive, JsonObject *inserted, guint number, const char *cwd,
         GError **error)
{
    JsonObject *image = mose_json_child(inserted, "image");
    const char *name = mose_json_string(image, "filename", "");
    const char *why_not = refusal(inserted);
    MoseExport *export;

    if (why_not) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "disk %s can't be offered to another host: %s", name, why_not);
        return NULL;
    }
    export = g_new0(MoseExport, 1);
    export->name = g_strdup_printf("mose-disk%u", number);
    export->drive = g_strdup(mose_json_string(drive, "device", ""));
    export->node = g_strdup(mose_json_string(inserted, "node-name", NULL));
    export->file = is_path(name) ? g_canonicalize_filename(name, cwd) : g_strdup(name);
    export->size = (guint64)mose_json_int(image, "virtual-size", 0);
    export->read_only = mose_json_bool(inserted, "ro", FALSE);
    export->options = complete(export, inserted, error);
    if (export->options)
        return export;
    export_free(export);
    return NULL;
}

static gboolean
is_planned(const GPtrArray *exports, const char *node)
{
    for (guint i = 0; i < exports->len; i++)
        if (g_strcmp0(((const MoseExport *)exports->pdata[i])->node, node) == 0)
            return TRUE;
    return FALSE;
}

GPtrArray *
mose_exports_plan(JsonArray *block, const char *cwd, GError **error)
{
    g_autoptr(GPtrArray) exports = mose_exports_list_new();

    for (guint i = 0; i < json_array_get_length(block); i++) {
        JsonObject *drive = mose_json_element(block, i);
        JsonObject *inserted = drive ? mose_json_child(drive, "inserted") : NULL;
        MoseExport *export;

        if (!inserted ||
            is_planned(exports, mose_json_string(inserted, "node-name", NULL)))
            continue;
        export = plan_one(drive, inserted, exports->len, cwd, error);
        if (!export)
            return NULL;
        g_ptr_array_add(exports, export);
    }
    return g_steal_pointer(&exports);
}

JsonArray *
mose_exports_to_json(const GPtrArray *exports)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < exports->len; i++) {
        const MoseExport *export = exports->pdata[i];

        json_array_add_object_element(
            array, mose_json_object(
                       "name", "s", export->name, "drive", "s", export->drive, "node",
                       "s", export->node, "file", "s", export->file, "size", "i",
                       (gint64) export->size, "read-only", "b", export->read_only,
                       "options", "o", json_object_ref(export->options), NULL));
    }
    return array;
}

/* Read one into the end of @exports; FALSE where it is not whole. */
static gboolean
read_one(JsonObject *object, GPtrArray *exports)
{
    MoseExport *export = g_new0(MoseExport, 1);
    JsonObject *options = mose_json_child(object, "options");

    g_ptr_array_add(exports, export);
    export->name = g_strdup(mose_json_string(object, "name", NULL));
    export->drive = g_strdup(mose_json_string(object, "drive", NULL));
    export->node = g_strdup(mose_json_string(object, "node", NULL));
    export->file = g_strdup(mose_json_string(object, "file", NULL));
    export->size = (guint64)mose_json_int(object, "size", 0);
    export->read_only = mose_json_bool(object, "read-only", FALSE);
    export->options = options ? json_object_ref(options) : NULL;
    return export->name && export->drive && export->node && export->file && options;
}

GPtrArray *
mose_exports_from_json(JsonArray *array, GError **error)
{
    g_autoptr(GPtrArray) exports = mose_exports_list_new();
    gboolean whole = array != NULL;

    for (guint i = 0; whole && i < json_array_get_length(array); i++) {
        JsonObject *one = mose_json_element(array, i);

        whole = one && read_one(one, exports);
    }
    if (whole)
        return g_steal_pointer(&exports);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the record of the exported disks is not complete");
    return NULL;
}

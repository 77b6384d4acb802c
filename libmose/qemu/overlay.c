/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which disks need an overlay, and its record; see overlay.h. */
#include "qemu/overlay.h"

#include <string.h>

#include "util/error.h"
#include "util/json.h"

static const char *const state_names[MOSE_OVERLAY_N_STATES] = { "planned", "open",
                                                                "committing",
                                                                "committed" };

const char *
mose_overlay_state_name(MoseOverlayState state)
{
    return state_names[state];
}

static void
overlay_free(gpointer data)
{
    MoseOverlay *overlay = data;

    g_free(overlay->id);
    g_free(overlay->node);
    g_free(overlay->image);
    g_free(overlay->format);
    g_free(overlay->file);
    g_free(overlay);
}

GPtrArray *
mose_overlays_new(void)
{
    return g_ptr_array_new_with_free_func(overlay_free);
}

/* "nbd:...", "json:{...}": a colon before any slash (QEMU block.c:path_has_protocol).
 */
static gboolean
is_path(const char *name)
{
    return *name && name[strcspn(name, ":/")] != ':';
}

/* Why the disk that QEMU calls @inserted can have no overlay; NULL where it can. */
static const char *
refusal(JsonObject *inserted)
{
    JsonObject *image = mose_json_child(inserted, "image");
    JsonObject *specific =
        mose_json_child(mose_json_child(image, "format-specific"), "data");

    if (mose_json_bool(inserted, "encrypted", FALSE))
        return "it is encrypted, and an overlay would hold plain data";
    /* block/qcow2.c:qcow2_reopen_prepare cleans such an image when it becomes
     * read-only, though it is another process's: an assertion ends the QEMU. */
    if (mose_json_bool(specific, "lazy-refcounts", FALSE) ||
        mose_json_bool(image, "dirty-flag", FALSE))
        return "it has lazy refcounts, and QEMU 10.0 ends where two processes share "
               "it; `qemu-img amend -f qcow2 -o lazy_refcounts=off` of the guest that "
               "is shut down";
    if (mose_json_int(image, "virtual-size", 0) <= 0 ||
        !mose_json_string(inserted, "drv", NULL) ||
        !mose_json_string(inserted, "node-name", NULL))
        return "QEMU does not tell its size and format";
    return NULL;
}

static char *
place_of(const MoseOverlay *overlay, const MoseOverlayPlace *where, GError **error)
{
    g_autofree char *name = NULL;
    g_autofree char *own_dir = NULL;
    g_autofree char *base = NULL;

    if (!is_path(overlay->image) && !where->dir) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "disk %s is no file, beside which its overlay could be; name a "
                    "directory with --overlay-dir",
                    overlay->image);
        return NULL;
    }
    own_dir = g_path_get_dirname(overlay->image);
    base = is_path(overlay->image) ? g_path_get_basename(overlay->image)
                                   : g_strdup("disk");
    name = g_strdup_printf("%s.mose-%s", base, where->guest);
    return g_build_filename(where->dir ? where->dir : own_dir, name, NULL);
}

static MoseOverlay *
plan_one(JsonObject *inserted, guint number, const MoseOverlayPlace *where,
         GError **error)
{
    JsonObject *image = mose_json_child(inserted, "image");
    const char *name = mose_json_string(image, "filename", "");
    const char *why_not = refusal(inserted);
    MoseOverlay *overlay;

    if (why_not) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "disk %s can have no overlay: %s", name, why_not);
        return NULL;
    }
    overlay = g_new0(MoseOverlay, 1);
    overlay->id = g_strdup_printf("mose-overlay%u", number);
    overlay->node = g_strdup(mose_json_string(inserted, "node-name", NULL));
    overlay->image =
        is_path(name) ? g_canonicalize_filename(name, where->cwd) : g_strdup(name);
    overlay->format = g_strdup(mose_json_string(inserted, "drv", NULL));
    overlay->size = (guint64)mose_json_int(image, "virtual-size", 0);
    overlay->file = place_of(overlay, where, error);
    if (overlay->file)
        return overlay;
    overlay_free(overlay);
    return NULL;
}

/* Two devices may share one disk. */
static gboolean
is_planned(const GPtrArray *overlays, const char *node)
{
    for (guint i = 0; i < overlays->len; i++)
        if (g_strcmp0(((const MoseOverlay *)overlays->pdata[i])->node, node) == 0)
            return TRUE;
    return FALSE;
}

GPtrArray *
mose_overlay_plan(JsonArray *block, const MoseOverlayPlace *where, GError **error)
{
    g_autoptr(GPtrArray) overlays = mose_overlays_new();

    for (guint i = 0; i < json_array_get_length(block); i++) {
        JsonObject *drive = mose_json_element(block, i);
        JsonObject *inserted = drive ? mose_json_child(drive, "inserted") : NULL;
        MoseOverlay *overlay;

        if (!inserted || mose_json_bool(inserted, "ro", FALSE) ||
            is_planned(overlays, mose_json_string(inserted, "node-name", NULL)))
            continue;
        overlay = plan_one(inserted, overlays->len, where, error);
        if (!overlay)
            return NULL;
        g_ptr_array_add(overlays, overlay);
    }
    return g_steal_pointer(&overlays);
}

JsonObject *
mose_overlays_to_json(const GPtrArray *overlays)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < overlays->len; i++) {
        const MoseOverlay *overlay = overlays->pdata[i];

        json_array_add_object_element(
            array, mose_json_object("id", "s", overlay->id, "node", "s", overlay->node,
                                    "image", "s", overlay->image, "format", "s",
                                    overlay->format, "size", "i", (gint64)overlay->size,
                                    "file", "s", overlay->file, "state", "s",
                                    state_names[overlay->state], NULL));
    }
    return mose_json_object("overlays", "a", array, NULL);
}

static gboolean
read_state(const char *name, MoseOverlayState *ret)
{
    for (MoseOverlayState state = 0; name && state < MOSE_OVERLAY_N_STATES; state++) {
        if (strcmp(name, state_names[state]) == 0) {
            *ret = state;
            return TRUE;
        }
    }
    return FALSE;
}

/* Read one into the end of @overlays; FALSE where it is not whole. */
static gboolean
read_one(JsonObject *object, GPtrArray *overlays)
{
    MoseOverlay *overlay = g_new0(MoseOverlay, 1);

    g_ptr_array_add(overlays, overlay);
    overlay->id = g_strdup(mose_json_string(object, "id", NULL));
    overlay->node = g_strdup(mose_json_string(object, "node", NULL));
    overlay->image = g_strdup(mose_json_string(object, "image", NULL));
    overlay->format = g_strdup(mose_json_string(object, "format", NULL));
    overlay->size = (guint64)mose_json_int(object, "size", 0);
    overlay->file = g_strdup(mose_json_string(object, "file", NULL));
    return overlay->id && overlay->node && overlay->image && overlay->format &&
           overlay->size && overlay->file &&
           read_state(mose_json_string(object, "state", NULL), &overlay->state);
}

GPtrArray *
mose_overlays_from_json(JsonObject *object, GError **error)
{
    JsonArray *array = mose_json_array(object, "overlays");
    g_autoptr(GPtrArray) overlays = mose_overlays_new();
    gboolean whole = array != NULL;

    for (guint i = 0; whole && i < json_array_get_length(array); i++) {
        JsonObject *one = mose_json_element(array, i);

        whole = one && read_one(one, overlays);
    }
    if (whole)
        return g_steal_pointer(&overlays);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the record of the overlays is not complete");
    return NULL;
}

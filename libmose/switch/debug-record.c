/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record of a debug session as a file; see debug-record.h. */
#include "switch/debug-record.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "guest/guest-dir.h"
#include "util/error.h"
#include "util/json.h"

MoseDebugRecord *
mose_debug_record_new(guint generation, gboolean was_running)
{
    MoseDebugRecord *record = g_new0(MoseDebugRecord, 1);

    record->generation = generation;
    record->was_running = was_running;
    record->points = g_array_new(FALSE, FALSE, sizeof(MoseGdbPoint));
    return record;
}

void
mose_debug_record_free(MoseDebugRecord *record)
{
    if (!record)
        return;
    g_array_unref(record->points);
    g_free(record);
}

int
mose_debug_record_find(const MoseDebugRecord *record, const MoseGdbPoint *point)
{
    for (guint i = 0; i < record->points->len; i++) {
        const MoseGdbPoint *one = &g_array_index(record->points, MoseGdbPoint, i);
        gboolean breaks = one->kind <= MOSE_GDB_HARDWARE;

        if (one->address == point->address &&
            (breaks ? point->kind <= MOSE_GDB_HARDWARE
                    : point->kind == one->kind && point->length == one->length))
            return (int)i;
    }
    return -1;
}

static char *
record_path(const MoseGuest *guest)
{
    return g_build_filename(guest->dir, "debug", NULL);
}

gboolean
mose_debug_record_exists(const MoseGuest *guest)
{
    g_autofree char *path = record_path(guest);

    return access(path, F_OK) == 0;
}

gboolean
mose_debug_record_write(const MoseDebugRecord *record, const MoseGuest *guest,
                        GError **error)
{
    g_autofree char *path = record_path(guest);
    g_autofree char *text = NULL;
    g_autoptr(JsonObject) object = NULL;
    JsonArray *points = json_array_new();

    for (guint i = 0; i < record->points->len; i++) {
        const MoseGdbPoint *point = &g_array_index(record->points, MoseGdbPoint, i);

        json_array_add_object_element(
            points, mose_json_object("kind", "i", (gint64)point->kind, "address", "i",
                                     (gint64)point->address, "length", "i",
                                     (gint64)point->length, NULL));
    }
    object =
        mose_json_object("generation", "i", (gint64)record->generation, "was-running",
                         "b", record->was_running, "points", "a", points, NULL);
    text = mose_json_text(object, FALSE);
    return mose_guest_dir_write(path, text, error);
}

static gboolean
read_point(JsonObject *object, MoseGdbPoint *ret)
{
    gint64 kind = mose_json_int(object, "kind", -1);

    ret->kind = (MoseGdbKind)kind;
    ret->address = (guint64)mose_json_int(object, "address", 0);
    ret->length = (guint)mose_json_int(object, "length", 0);
    return kind >= 0 && kind < MOSE_GDB_N_KINDS && ret->length > 0;
}

MoseDebugRecord *
mose_debug_record_read(const MoseGuest *guest, GError **error)
{
    g_autofree char *path = record_path(guest);
    g_autofree char *text = mose_guest_dir_read(path, error);
    g_autoptr(JsonObject) object = text ? mose_json_parse(text, -1, path, error) : NULL;
    g_autoptr(MoseDebugRecord) record = NULL;
    JsonArray *points;

    if (!object)
        return NULL;
    points = mose_json_array(object, "points");
    record = mose_debug_record_new((guint)mose_json_int(object, "generation", 0),
                                   mose_json_bool(object, "was-running", TRUE));
    for (guint i = 0; points && i < json_array_get_length(points); i++) {
        MoseGdbPoint point;

        if (!read_point(mose_json_element(points, i), &point)) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: point %u is none",
                        path, i);
            return NULL;
        }
        g_array_append_val(record->points, point);
    }
    return g_steal_pointer(&record);
}

gboolean
mose_debug_record_remove(const MoseGuest *guest, GError **error)
{
    g_autoptr(GDir) list = g_dir_open(guest->dir, 0, error);
    const char *name;

    if (!list)
        return FALSE;
    while ((name = g_dir_read_name(list))) {
        g_autofree char *path = g_build_filename(guest->dir, name, NULL);
        gboolean part = g_str_has_prefix(name, "debug.") &&
                        g_str_has_suffix(name, ".new"); /* of mose_guest_dir_write() */

        if ((part || strcmp(name, "debug") == 0) && unlink(path) < 0 &&
            errno != ENOENT) {
            mose_error_set_errno(error, errno, "cannot remove %s", path);
            return FALSE;
        }
    }
    return TRUE;
}

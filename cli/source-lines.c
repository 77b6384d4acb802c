/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source files and lines of kernel code. See source-lines.h. */
#include "cli/source-lines.h"

#include <stdio.h>

#include "util/error.h"
#include "util/json.h"

gboolean
mose_source_lines_open(const MoseLinux *kernel, const char *path, MoseDebugInfo **ret,
                       guint64 *ret_moved, GError **error)
{
    g_autoptr(MoseDebugInfo) info = NULL;
    guint64 linked;

    if (!path)
        info = mose_debug_info_of_kernel(kernel->release, kernel->build_id);
    else if (!(info = mose_debug_info_open(path, kernel->build_id, error)))
        return FALSE;
    if (info && !mose_debug_info_symbol(info, "_text", &linked)) {
        if (!path)
            return TRUE;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s has no symbol _text: it is no kernel's", path);
        return FALSE;
    }
    if (info)
        *ret_moved = kernel->text - linked;
    *ret = g_steal_pointer(&info);
    return TRUE;
}

void
mose_source_lines_add(const MoseDebugInfo *info, guint64 address, JsonObject *object)
{
    g_autoptr(GPtrArray) places = mose_debug_info_at(info, address);
    JsonArray *list;

    if (places->len == 0)
        return;
    list = json_array_new();
    for (guint i = 0; i < places->len; i++) {
        const MoseDebugPlace *place = places->pdata[i];
        JsonObject *row = json_object_new();

        if (place->function)
            json_object_set_string_member(row, "function", place->function);
        if (place->file)
            json_object_set_string_member(row, "file", place->file);
        if (place->line > 0)
            json_object_set_int_member(row, "line", place->line);
        json_array_add_object_element(list, row);
    }
    json_object_set_array_member(object, "source", list);
}

void
mose_source_lines_print(JsonObject *object, const char *indent)
{
    JsonArray *list = mose_json_array(object, "source");
    guint n = list ? json_array_get_length(list) : 0;

    for (guint i = 0; i < n; i++) {
        JsonObject *place = mose_json_element(list, i);

        printf("%s%s %s:%" G_GINT64_FORMAT "%s\n", indent,
               mose_json_string(place, "function", "?"),
               mose_json_string(place, "file", "?"), mose_json_int(place, "line", 0),
               i + 1 < n ? " (inlined)" : "");
    }
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images as they were; see image-stamps.h. */
#include "switch/image-stamps.h"

#include <errno.h>
#include <sys/stat.h>

#include "util/error.h"
#include "util/json.h"

#define NS G_GINT64_CONSTANT(1000000000)

static gboolean
look(const char *path, gint64 *ret_size, gint64 *ret_mtime_ns, GError **error)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        mose_error_set_errno(error, errno, "cannot look at image %s", path);
        return FALSE;
    }
    /* The time of a block device's node says nothing of what it holds. */
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "%s is no file: nobody can tell whether it has been written", path);
        return FALSE;
    }
    *ret_size = st.st_size;
    *ret_mtime_ns = st.st_mtim.tv_sec * NS + st.st_mtim.tv_nsec;
    return TRUE;
}

JsonArray *
mose_image_stamps(const GPtrArray *paths, GError **error)
{
    g_autoptr(JsonArray) stamps = json_array_new();

    for (guint i = 0; i < paths->len; i++) {
        gint64 size, mtime_ns;

        if (!look(paths->pdata[i], &size, &mtime_ns, error))
            return NULL;
        json_array_add_object_element(
            stamps, mose_json_object("path", "s", paths->pdata[i], "size", "i", size,
                                     "mtime-ns", "i", mtime_ns, NULL));
    }
    return g_steal_pointer(&stamps);
}

gboolean
mose_image_stamps_hold(JsonArray *stamps, GError **error)
{
    for (guint i = 0; i < json_array_get_length(stamps); i++) {
        JsonObject *stamp = mose_json_element(stamps, i);
        const char *path = mose_json_string(stamp, "path", "");
        gint64 size, mtime_ns;

        if (!look(path, &size, &mtime_ns, error))
            return FALSE;
        if (size == mose_json_int(stamp, "size", -1) &&
            mtime_ns == mose_json_int(stamp, "mtime-ns", -1))
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "image %s has been written since: the guest ran elsewhere", path);
        return FALSE;
    }
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Switches that were taken; see taken.h. */
#include "guest/taken.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest/guest.h"
#include "guest/guest-dir.h"
#include "util/error.h"

gboolean
mose_taken_check(const char *id, GError **error)
{
    if (id && g_uuid_string_is_valid(id))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "no id of a switch: %s",
                id ? id : "none");
    return FALSE;
}

/* Guests' names do not begin with a dot. */
static char *
path_of(const char *id, GError **error)
{
    g_autofree char *runtime_dir = mose_runtime_dir(error);
    g_autofree char *dir =
        runtime_dir ? g_build_filename(runtime_dir, ".taken", NULL) : NULL;

    if (!dir || !mose_taken_check(id, error))
        return NULL;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        mose_error_set_errno(error, errno, "cannot make %s", dir);
        return NULL;
    }
    return mose_guest_dir_check(dir, error) ? g_build_filename(dir, id, NULL) : NULL;
}

gboolean
mose_taken_note(const char *id, GError **error)
{
    g_autofree char *path = path_of(id, error);

    return path && mose_guest_dir_write(path, "taken\n", error);
}

gboolean
mose_taken_forget(const char *id, GError **error)
{
    g_autofree char *path = path_of(id, error);

    if (!path)
        return FALSE;
    if (unlink(path) < 0 && errno != ENOENT) {
        mose_error_set_errno(error, errno, "cannot remove %s", path);
        return FALSE;
    }
    return TRUE;
}

gboolean
mose_taken_is(const char *id)
{
    g_autofree char *path = path_of(id, NULL);

    return path && access(path, F_OK) == 0;
}

gboolean
mose_taken_due(const char *id, guint seconds)
{
    g_autofree char *path = path_of(id, NULL);
    struct stat st;

    return path && stat(path, &st) == 0 &&
           time(NULL) - st.st_mtime >= (time_t)seconds &&
           utimensat(AT_FDCWD, path, NULL, 0) == 0;
}

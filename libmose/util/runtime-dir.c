/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The runtime directory's path from the environment; see runtime-dir.h. */
#include "util/runtime-dir.h"

#include <unistd.h>

#include "util/error.h"

char *
mose_runtime_path(GError **error)
{
    const char *own = g_getenv("MOSE_RUNTIME_DIR");
    const char *xdg = g_getenv("XDG_RUNTIME_DIR");

    if (own && *own) {
        if (g_path_is_absolute(own))
            return g_strdup(own);
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "MOSE_RUNTIME_DIR=%s is not an absolute path", own);
        return NULL;
    }
    if (geteuid() == 0)
        return g_strdup("/run/mose");
    if (xdg && g_path_is_absolute(xdg))
        return g_build_filename(xdg, "mose", NULL);
    g_set_error(
        error, MOSE_ERROR, MOSE_ERROR_INVALID,
        "no XDG_RUNTIME_DIR, where guests are kept; log in through your system's "
        "login manager, or set MOSE_RUNTIME_DIR to a directory of yours");
    return NULL;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See img.h. */
#include "qemu/img.h"

#include "util/error.h"

gboolean
mose_qemu_img(const char *const *words, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autofree char *said = NULL;
    g_autoptr(GError) cause = NULL;
    int status = 0;

    g_ptr_array_add(argv, (gpointer) "qemu-img");
    for (const char *const *word = words; *word; word++)
        g_ptr_array_add(argv, (gpointer)*word);
    g_ptr_array_add(argv, NULL);
    if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                      NULL, &said, &status, &cause)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "qemu-img cannot be run (%s); Debian has it in qemu-utils",
                    cause->message);
        return FALSE;
    }
    if (status == 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "%s", g_strstrip(said));
    return FALSE;
}

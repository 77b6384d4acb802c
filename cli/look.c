/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest, or a core file, opened to be looked at. See look.h. */
#include "cli/look.h"

#include <string.h>

#include "cli/cli.h"

gboolean
mose_look_open(MoseLook *look, const char *name, GError **error)
{
    look->name = name;
    if (strchr(name, '/')) {
        look->memory = mose_memory_of_core(name, error);
        return look->memory != NULL;
    }
    look->guest = mose_guest_open(name, MOSE_GUEST_LOOK, error);
    if (look->guest)
        look->memory = mose_memory_of_guest(look->guest, error);
    return look->memory != NULL;
}

gboolean
mose_look_open_linux(MoseLook *look, const char *name, GError **error)
{
    if (!mose_look_open(look, name, error))
        return FALSE;
    look->kernel = mose_linux_find(look->memory, error);
    return look->kernel != NULL;
}

void
mose_look_clear(MoseLook *look)
{
    g_clear_pointer(&look->kernel, mose_linux_free);
    g_clear_pointer(&look->memory, mose_memory_free);
    g_clear_pointer(&look->guest, mose_guest_free);
}

int
mose_look_fail(const MoseLook *look, const GError *error)
{
    if (!look->name || strchr(look->name, '/'))
        return mose_cli_fail(error, NULL);
    return mose_cli_fail_guest(error, look->name, NULL);
}

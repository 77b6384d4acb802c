/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What MOSE has QEMU load; see module.h. */
#include "qemu/module.h"

#include <unistd.h>

const MoseModule mose_module_frozen = {
    .variable = "MOSE_FROZEN_MODULE",
    .built = "../libmose/qemu/mose-frozen.so",
    .installed = MOSE_MODULE_DIR "/mose-frozen.so",
};

const MoseModule mose_module_plugin = {
    .variable = "MOSE_PLUGIN",
    .built = "../plugin/mose.so",
    .installed = MOSE_MODULE_DIR "/mose.so",
};

char *
mose_module_path(const MoseModule *module)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *dir = self ? g_path_get_dirname(self) : NULL;
    g_autofree char *built = dir ? g_canonicalize_filename(module->built, dir) : NULL;
    const char *const places[] = { g_getenv(module->variable), built,
                                   module->installed };

    for (gsize i = 0; i < G_N_ELEMENTS(places); i++)
        if (places[i] && access(places[i], R_OK) == 0)
            return g_strdup(places[i]);
    return NULL;
}

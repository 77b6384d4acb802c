/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What MOSE has QEMU load; see module.h. */
#include "qemu/module.h"

#include <string.h>
#include <unistd.h>

/* QEMU plugins/api.c: what plugins of any version call; and what there is since version
 * 5 of their interface was left, which those that are built for older ones are refused
 * by (plugins/loader.c, seen with QEMU 11.0: "supports only a minimum version of 6").
 */
#define PLUGIN_SYMBOL "qemu_plugin_register_vcpu_tb_trans_cb"
#define NEWER_SYMBOL "qemu_plugin_register_vcpu_discon_cb"

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

static gboolean
has(GMappedFile *file, const char *symbol)
{
    return memmem(g_mapped_file_get_contents(file), g_mapped_file_get_length(file),
                  symbol, strlen(symbol)) != NULL;
}

gboolean
mose_module_takes_plugins(const char *qemu)
{
    g_autofree char *path = g_find_program_in_path(qemu);
    g_autoptr(GMappedFile) file = path ? g_mapped_file_new(path, FALSE, NULL) : NULL;

    /* The names of what a program exports are near its beginning. */
    return file && has(file, PLUGIN_SYMBOL) && !has(file, NEWER_SYMBOL);
}

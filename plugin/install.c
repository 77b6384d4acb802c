/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin as QEMU loads it: -plugin mose.so,socket=FD, a socket that listens and
 * that QEMU has inherited. It does nothing until somebody asks there. */
#include <stdio.h>
#include <string.h>

#include "plugin/control.h"
#include "plugin/core.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static int
refuse(const char *why)
{
    fprintf(stderr, "mose.so: %s\n", why);
    return -1;
}

QEMU_PLUGIN_EXPORT int
qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    guint64 fd;

    if (strcmp(info->target_name, "x86_64") != 0 || !info->system_emulation)
        return refuse("it is for a machine with an x86-64 processor");
    if (argc != 1 || !g_str_has_prefix(argv[0], "socket=") ||
        !g_ascii_string_to_unsigned(argv[0] + strlen("socket="), 10, 0, G_MAXINT, &fd,
                                    NULL))
        return refuse("it takes one argument, socket=FD");
    core_begin(id);
    if (!control_begin((int)fd, info->system.max_vcpus, &error))
        return refuse(error->message);
    return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What MOSE has QEMU load, and where it is. */
#pragma once

#include <glib.h>

typedef struct {
    const char *variable; /* of the environment, which may name it */
    const char *built;    /* in a build tree, seen from the program's directory */
    const char *installed;
} MoseModule;

/* Kept apart from its forks' memory (frozen.h). */
extern const MoseModule mose_module_frozen;

/* The plugin of the emulator (analysis/client.h). */
extern const MoseModule mose_module_plugin;

/*
 * Whether the program @qemu (a path, or a name that is looked for as execvp(3) does)
 * takes our plugin for TCG, by the names that it exports. One that is built without
 * plugins
 * (--disable-plugins) does not know the option; one whose interface is a later one
 * refuses it, and does not start.
 */
gboolean mose_module_takes_plugins(const char *qemu);

/* Its path, or NULL where it is in none of these places. */
char *mose_module_path(const MoseModule *module);

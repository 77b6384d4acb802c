/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of what the plugin does. */
#pragma once

#include "lib/vm.h"
#include "qemu/module.h"

/* As vm_cannot_run(): also where QEMU does not take the plugin. */
static inline gboolean
plugin_cannot_run(void)
{
    if (vm_cannot_run())
        return TRUE;
    if (mose_module_takes_plugins("qemu-system-x86_64"))
        return FALSE;
    g_test_skip("this QEMU was built without plugins, or has another interface");
    return TRUE;
}

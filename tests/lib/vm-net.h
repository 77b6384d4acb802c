/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest on a tap, in a network namespace of the test's own, and clients that keep
 * it busy. Environment, beside that of vm.h: HTTPLOAD.
 */
#pragma once

#include <gio/gio.h>

#include "lib/vm.h"

/* Enter the namespace, once; FALSE, and errno, where that is not allowed. */
gboolean vm_net_enter(void);

/* The same, and make tap0; call it behind vm_setup(). */
void vm_net_setup(void);
/* Why there is no tap, or NULL. */
const char *vm_net_why_not(void);

/* Run `ip` with these arguments; whether it succeeded. */
gboolean vm_net_ip(const char *arguments);

/* Start @guest, with its worker, on tap0; @extra QEMU options as vm_run() has them. */
void vm_net_run(VmGuest *guest, const char *extra);

/* Begin to keep @connections connections to it busy; begin a phase of that; end it,
 * and return what httpload tells. */
GSubprocess *vm_load_start(int connections);
void vm_load_mark(GSubprocess *load, const char *phase);
JsonObject *vm_load_end(GSubprocess *load);
/* How many requests that tells of in its phase number @phase. */
gint64 vm_load_requests(JsonObject *result, guint phase);

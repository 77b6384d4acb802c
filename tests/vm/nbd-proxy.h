/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A unix socket that leads to another one until it is broken, in a thread of its own.
 */
#pragma once

#include <glib.h>

typedef struct NbdProxy NbdProxy;

/* Listen at @path for connections to @target. */
NbdProxy *nbd_proxy_new(const char *path, const char *target);
void nbd_proxy_free(NbdProxy *proxy);

const char *nbd_proxy_path(const NbdProxy *proxy);

/* Cut all connections and take no more; take them again. */
void nbd_proxy_break(NbdProxy *proxy);
void nbd_proxy_mend(NbdProxy *proxy);

/* How many connections there are. */
guint nbd_proxy_connections(NbdProxy *proxy);

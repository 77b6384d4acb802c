/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network namespaces of a Linux guest. */
#pragma once

#include "vmi/linux/linux.h"
#include "vmi/linux/tasks.h"

typedef struct {
    guint64 address; /* of its struct net */
    guint32 inum;    /* as /proc/PID/ns/net shows it */
    gboolean first;  /* it is init_net */
} MoseNetns;

/* All of them, of MoseNetns, the oldest first. Free with g_ptr_array_unref(). */
GPtrArray *mose_netns_read(MoseLinux *kernel, guint *ret_retries, GError **error);

/* That of @task alone; NOT_FOUND for one that has ended. */
GPtrArray *mose_netns_of_task(MoseLinux *kernel, const MoseTask *task, GError **error);

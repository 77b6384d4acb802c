/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes have which sockets open. */
#pragma once

#include "vmi/linux/tasks.h"

typedef struct {
    gint pid; /* the process's */
    guint fd;
    char *comm; /* printable: of the thread that has it, the first one */
} MoseSocketOwner;

/*
 * By the address of struct socket (a pointer to guint64), a GPtrArray of
 * MoseSocketOwner. Descriptors that are opened and closed meanwhile may be missed.
 * Free with g_hash_table_unref().
 */
GHashTable *mose_socket_owners(MoseLinux *kernel, GError **error);

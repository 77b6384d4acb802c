/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frozen memory: a guest's memfd that nobody writes any more, because each QEMU that
 * uses it has a private mapping of it (frozen-module.c). What such a QEMU's guest has
 * written since is in pages of its own.
 */
#pragma once

#include "util/process.h"

#define MOSE_FROZEN_NAME "mose-frozen.so"

/*
 * The module to load into a QEMU that shall map the memory privately. UNSUPPORTED where
 * it is not installed. $MOSE_FROZEN_MODULE names another one; else it is beside the
 * library this program was built from, or where it is installed. Free with g_free().
 */
char *mose_frozen_module(GError **error);

/* How @process has its guest's memory. */
typedef struct {
    gboolean shared;   /* it is a memfd of MOSE's (ram.h), not QEMU's own; and if so: */
    gboolean frozen;   /* mapped privately */
    gboolean locked;   /* all of the process's memory is (mlockall): what was mapped
                          privately has been copied at some moment, page by page */
    guint64 own_bytes; /* that its guest has written over it */
} MoseFrozen;

/*
 * Read from /proc/PID/maps and, where @count, /proc/PID/pagemap (bits 61 to 63, which
 * need no privilege: Linux fs/proc/task_mmu.c). FAILED where they cannot be read, or
 * where part of the memory is mapped in one way and part in the other.
 */
gboolean mose_frozen_look(const MoseProcess *process, gboolean count, MoseFrozen *ret,
                          GError **error);

/* Whether we may read what @process has pages of its own for, as the merge has to:
 * FAILED, with what forbids it. */
gboolean mose_frozen_may_read(const MoseProcess *process, GError **error);

/*
 * All of the memory as @process, whose guest stands still, sees it, in pieces of up to
 * 64 KB and in their order; @data is NULL for zeros, which @len may be any number of.
 * What has never been written is not made to take memory by this. Any process of
 * @shared memory, frozen or not. FALSE of @func ends it.
 */
typedef gboolean (*MoseFrozenPiece)(const void *data, guint64 len, gpointer user,
                                    GError **error);
gboolean mose_frozen_read(const MoseProcess *process, MoseFrozenPiece func,
                          gpointer user, GError **error);

/*
 * Write what @process, whose guest stands still, has pages of its own for into the
 * memory @ram_fd (writable, the caller's). The process goes on seeing what it saw.
 * *@ret_bytes is how much that was. RESOURCES where the host has no room for it: what
 * was written by then is what the process has in those places, and does no harm while
 * nobody else uses the memory.
 */
gboolean mose_frozen_merge(const MoseProcess *process, int ram_fd, guint64 *ret_bytes,
                           GError **error);

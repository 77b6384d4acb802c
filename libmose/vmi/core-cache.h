/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks of 4 KB that were read, or unpacked, with some effort, by number: the last one
 * for each of some hundred places. What is asked for is a kernel's tables and lists,
 * again and again; an order of use would cost more than the few that collide.
 */
#pragma once

#include <glib.h>

#define MOSE_CORE_BLOCK 4096u

typedef struct MoseCoreCache MoseCoreCache;

/* @fill fetches block @number (all of it, or as much of a file's last one as there is:
 * *@ret_len). */
typedef gboolean (*MoseCoreFill)(gpointer data, guint64 number, guint8 *to,
                                 gsize *ret_len);
MoseCoreCache *mose_core_cache_new(MoseCoreFill fill, gpointer data);
void mose_core_cache_free(MoseCoreCache *cache);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseCoreCache, mose_core_cache_free)

/* Copy @len bytes at @offset of all the blocks in a row. FALSE where they are not all
 * there. */
gboolean mose_core_cache_read(MoseCoreCache *cache, guint64 offset, void *to,
                              gsize len);

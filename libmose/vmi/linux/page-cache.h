/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file's contents as far as the kernel has them in memory: the pages of its
 * address_space, whether a process has touched them or not.
 */
#pragma once

#include "vmi/linux/linux.h"

typedef struct {
    guint64 inode;       /* address of its struct inode */
    guint64 mapping;     /* of its address_space */
    guint64 size;        /* in bytes */
    guint64 number;      /* the inode's */
    guint mode;          /* S_IFREG, ... and permissions, as stat(2) tells them */
    char filesystem[32]; /* printable */
    gboolean in_memory;  /* tmpfs, ramfs: a page that was never written is zeros, and
                            not on a disk */
} MosePageCache;

/* The file of the struct inode at @inode. UNSUPPORTED for one on hugetlbfs. */
gboolean mose_page_cache_of_inode(MoseLinux *kernel, guint64 inode, MosePageCache *ret,
                                  GError **error);

typedef enum {
    MOSE_CACHED,
    MOSE_CACHE_HOLE,    /* zeros, by the file system */
    MOSE_CACHE_MISSING, /* it is on its disk, if anywhere */
    MOSE_CACHE_SWAPPED,
    MOSE_CACHE_UNREAD, /* there is a page, but its contents have not come yet */
    MOSE_CACHE_N_STATES,
} MoseCacheState;

/* "there", "a hole", ...: words for people and --json. */
const char *mose_cache_state_name(MoseCacheState state);

/*
 * Page @index (of 4,096 bytes) of @file; *@ret_physical is where it is, if it is there.
 * That it is this file's page is looked up after it was found, and another try made
 * where it was taken away meanwhile.
 */
gboolean mose_page_cache_find(MoseLinux *kernel, const MosePageCache *file,
                              guint64 index, MoseCacheState *ret, guint64 *ret_physical,
                              GError **error);

/*
 * Copy @len bytes at @offset. Holes are zeros. NOT_FOUND names the first page that is
 * not in memory, and why; *@ret_got (may be NULL) is what came before it. What lies
 * behind the file's end is NOT_FOUND as well.
 */
gboolean mose_page_cache_read(MoseLinux *kernel, const MosePageCache *file,
                              guint64 offset, void *to, gsize len, gsize *ret_got,
                              GError **error);

/* The physical address behind the struct page (or folio) at @page: by vmemmap_base
 * (arch/x86/include/asm/pgtable_64_types.h) and sizeof(struct page). INVALID where that
 * is no address of one. */
gboolean mose_page_to_physical(MoseLinux *kernel, guint64 page, guint64 *ret,
                               GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables of an x86 processor, walked for whoever looks from outside (SDM 3A,
 * chapter 4; AMD64 manual 2, chapter 5). Protection is told, not enforced, and reserved
 * bits are not looked at. The tables are the guest's: they may hold anything, and a
 * walk reads at most five entries.
 */
#pragma once

#include <glib.h>

/* Copy @len bytes at guest-physical @address; FALSE where that is not all RAM. */
typedef gboolean (*MosePhysicalRead)(gpointer data, guint64 address, void *to,
                                     gsize len);

/* The registers that say how a vCPU translates. */
typedef struct {
    guint64 cr0, cr3, cr4, efer;
} MosePaging;

/* How many levels of tables these are: 5, 4, 3 (PAE), 2, or 0 without paging. */
int mose_paging_levels(const MosePaging *paging);

typedef enum {
    MOSE_PAGE_MAPPED,
    MOSE_PAGE_ABSENT, /* an entry on the way is not present: `entry`, at `level` */
    MOSE_PAGE_BROKEN, /* a table on the way is not in RAM */
} MosePageState;

typedef struct {
    MosePageState state;
    guint64 physical; /* of the address that was asked for */
    guint64 left;  /* bytes from that address to the end of the page, or of the hole */
    guint64 entry; /* the last one read */
    int level;     /* whose: 1 is the level of pages of 4 KB */
    gboolean writable, executable, user; /* by all entries on the way */
} MosePageWalk;

/*
 * Translate @linear (its lower 32 bits with fewer than four levels). TRUE if it is
 * mapped. An address that is not canonical is absent, with `entry` 0.
 */
gboolean mose_page_walk(const MosePaging *paging, MosePhysicalRead read, gpointer data,
                        guint64 linear, MosePageWalk *ret);

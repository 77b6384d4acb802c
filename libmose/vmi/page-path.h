/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How an address translates: each entry on the way, for whoever shows it. */
#pragma once

#include "vmi/space.h"

#define MOSE_PAGE_PATH_MAX 5

typedef struct {
    int level;         /* 1 is the level of pages of 4 KB */
    guint64 at;        /* the entry's physical address */
    guint64 entry;     /* what is there, if it could be read */
    guint size;        /* 4 or 8 bytes */
    gboolean readable; /* else its table is not in RAM */
} MosePageStep;

typedef struct {
    int levels; /* 5, 4, 3 (PAE), 2, or 0 without paging */
    guint n;
    MosePageStep steps[MOSE_PAGE_PATH_MAX];
    MosePageWalk walk;  /* as it ended; mended as mose_space_page() does */
    const char *why;    /* NULL: the page is there; else what is in the way */
    gboolean canonical; /* FALSE: no address that the processor would translate */
} MosePagePath;

void mose_page_path(MoseSpace *space, guint64 address, MosePagePath *ret);

/* "P RW US A D", of an entry of @level; what only a large page's entry has is told
 * where it is one. Free with g_free(). */
char *mose_page_flags(const MosePageStep *step, int levels);

/* Whether the step's entry maps a page, and of how many bytes; 0: it does not. */
guint64 mose_page_size(const MosePageStep *step, int levels);

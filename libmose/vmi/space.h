/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An address space of a guest: virtual memory by the page tables that a vCPU, the
 * kernel or a task uses.
 */
#pragma once

#include "vmi/memory.h"

typedef struct MoseSpace MoseSpace;

/* Of @memory, which must outlive it, as a vCPU with these registers translates. */
MoseSpace *mose_space_new(MoseMemory *memory, const MosePaging *paging);
void mose_space_free(MoseSpace *space);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseSpace, mose_space_free)

MoseMemory *mose_space_memory(const MoseSpace *space);
const MosePaging *mose_space_paging(const MoseSpace *space);

/* What became of translations until now is forgotten, with mose_memory_forget(). */
void mose_space_forget(MoseSpace *space);

/*
 * What an entry that is not present means, which only the guest's system knows: told
 * what the walk found, returns words ("swapped out", ...) or NULL; may mend @walk (a
 * page that is there all the same, such as one of Linux's PROT_NONE) and return ""
 * then.
 */
typedef const char *(*MoseSpaceExplain)(MosePageWalk *walk);
void mose_space_set_explain(MoseSpace *space, MoseSpaceExplain explain);

/* What is in the way where the walk ended as @walk tells, mended as said above; NULL
 * where the page is there. */
const char *mose_space_why(MoseSpace *space, MosePageWalk *walk);

/* The page of @address; FALSE where it is not mapped, with @ret as the walk left it. */
gboolean mose_space_page(MoseSpace *space, guint64 address, MosePageWalk *ret);

/* As mose_space_page(), with an error (NOT_FOUND) that says what is in the way: "not
 * mapped", "swapped out", "its page table is not in RAM", ... */
gboolean mose_space_translate(MoseSpace *space, guint64 address, guint64 *ret,
                              GError **error);

/*
 * Copy @len bytes at virtual @address. The error names the first address that cannot be
 * read, and why; *@ret_got (may be NULL) is how many bytes before it were copied.
 */
gboolean mose_space_read(MoseSpace *space, guint64 address, void *to, gsize len,
                         gsize *ret_got, GError **error);

/* Little-endian numbers of 1, 2, 4 or 8 bytes. */
gboolean mose_space_read_number(MoseSpace *space, guint64 address, gsize size,
                                guint64 *ret, GError **error);

/*
 * The text at @address up to its NUL, or up to @max bytes, whichever comes first. It is
 * the guest's: any bytes but NUL (mose_vmi_printable() makes it fit for a terminal).
 * Free with g_free().
 */
char *mose_space_read_text(MoseSpace *space, guint64 address, gsize max,
                           GError **error);

/* A copy of @text with all that is not printable UTF-8, and backslashes, as \xNN. */
char *mose_vmi_printable(const char *text);

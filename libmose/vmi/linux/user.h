/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process of a Linux guest, as a program sees itself: its memory, also where it has
 * not touched it yet but its file is in the page cache; and the ELF objects in it.
 */
#pragma once

#include "vmi/linux/elf-image.h"
#include "vmi/linux/page-cache.h"
#include "vmi/linux/vmas.h"

typedef struct MoseUser MoseUser;

/* Of @task; both must outlive it. NOT_FOUND for a task without user memory. */
MoseUser *mose_user_new(MoseLinux *kernel, const MoseTask *task, GError **error);
void mose_user_free(MoseUser *user);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseUser, mose_user_free)

MoseLinux *mose_user_kernel(const MoseUser *user);
const MoseTask *mose_user_task(const MoseUser *user);

/* By its page tables alone; it is the user's. */
MoseSpace *mose_user_space(const MoseUser *user);

/* Its mappings, of MoseVma. */
const GPtrArray *mose_user_vmas(const MoseUser *user);
const MoseVma *mose_user_vma_at(const MoseUser *user, guint64 address);

/*
 * As mose_space_read(), and where the page tables have nothing yet, what the process
 * would find there: its file's page, if that is in the cache. The error says what is
 * known of an address that cannot be read: that nothing is mapped there, that it was
 * not touched yet, that it is on the disk or swapped out.
 */
gboolean mose_user_read(MoseUser *user, guint64 address, void *to, gsize len,
                        gsize *ret_got, GError **error);

/* What is behind @address, for which the page tables have no entry yet, in words; NULL
 * where nothing is mapped. Free with g_free(). */
char *mose_user_explain(MoseUser *user, guint64 address);

/* The page cache of the struct file at @file (file.h has the rest of it): of what its
 * reads and mappings go to, f_mapping. */
gboolean mose_page_cache_of_file(MoseLinux *kernel, guint64 file, MosePageCache *ret,
                                 GError **error);

/* --- ELF objects --- */

typedef struct {
    guint64 base, end;   /* what its segments span */
    char *path;          /* of its file, as the process's mappings have it; printable;
                            "[vdso]" */
    char *name;          /* its soname, else the last part of the path; printable */
    char *build_id;      /* hexadecimal, or NULL */
    guint64 file;        /* address of its struct file; 0: none */
    gboolean is_program; /* the one that was executed (mm->exe_file) */
    MoseElf *elf;
} MoseElfObject;

/* No process maps so many. */
#define MOSE_USER_MAX_OBJECTS 8192

/*
 * Those that are mapped to be executed, in ascending order of addresses: of
 * MoseElfObject, the user's. One whose headers cannot be read is left out, and
 * *@ret_unreadable (may be NULL) counts those.
 */
const GPtrArray *mose_user_objects(MoseUser *user, guint *ret_unreadable,
                                   GError **error);
const MoseElfObject *mose_user_object_at(MoseUser *user, guint64 address);

/* --- symbols --- */

/*
 * Those of all its objects: what each defines for others, and, where its file is in
 * the page cache and not stripped, all. `module` is the object's name. One that has
 * another version than the default is "name@VERSION". They are the user's.
 */
const MoseSymbols *mose_user_symbols(MoseUser *user, GError **error);

/*
 * The symbol that @word names: "SSL_read", or with its object, "libssl.so.3:SSL_read",
 * whose name may be cut before a dot ("libssl:SSL_read"). NOT_FOUND; INVALID, with the
 * objects, where several have it at different places and none is named.
 */
const MoseSymbol *mose_user_symbol(MoseUser *user, const char *word, GError **error);

/* The one in which @address lies, in the same object; NULL: none. */
const MoseSymbol *mose_user_symbol_at(MoseUser *user, guint64 address);

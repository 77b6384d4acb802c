/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux kernel found in a guest's memory, with its symbols and types: what all that
 * looks into it begins with.
 */
#pragma once

#include "vmi/linux/object.h"
#include "vmi/linux/symbols.h"
#include "vmi/linux/types.h"
#include "vmi/space.h"

struct MoseLinux {
    MoseMemory *memory;   /* the caller's */
    MoseSpace *space;     /* the kernel's own address space */
    guint64 text;         /* where its image begins: _text */
    char *banner;         /* "Linux version 6.1.0-44-cloud-amd64 (...) ..." */
    char *release;        /* "6.1.0-44-cloud-amd64" */
    char *build_id;       /* hexadecimal, or NULL */
    MoseSymbols *symbols; /* of the kernel; with modules' once mose_linux_modules() */
    MoseTypes *types;     /* NULL: see mose_linux_need_types() */
    GError *no_types;     /* why, or NULL: there is no BTF at all */
    guint n_cpus;         /* that there can be (nr_cpu_ids) */
    gboolean from_cache;  /* where its tables are was known from an earlier time */
    GPtrArray *modules;   /* modules.h; NULL until mose_linux_modules() */

    struct MoseMembers *members; /* object.h's: what was looked up already */
};
typedef struct MoseLinux MoseLinux;

/*
 * Find it: in the memory behind the vCPUs' page tables and IDT (or, of a core file
 * without registers, by its VMCOREINFO). NOT_FOUND, in words, where there is no Linux
 * that is known: nothing is guessed.
 */
MoseLinux *mose_linux_find(MoseMemory *memory, GError **error);
void mose_linux_free(MoseLinux *kernel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseLinux, mose_linux_free)

/* Whether its release says that it is older than that version: for what nothing in its
 * types or symbols tells. */
gboolean mose_linux_is_older(const MoseLinux *kernel, int major, int minor);

/* For what needs types: UNSUPPORTED, saying so, where the kernel has no BTF. */
gboolean mose_linux_need_types(const MoseLinux *kernel, GError **error);

/* The address of symbol @name; NOT_FOUND names it. */
gboolean mose_linux_symbol(const MoseLinux *kernel, const char *name, guint64 *ret,
                           GError **error);

/* The address of @cpu's own copy of the per-CPU variable @name (its symbol and
 * __per_cpu_offset, Linux include/asm-generic/percpu.h). */
gboolean mose_linux_per_cpu(const MoseLinux *kernel, const char *name, guint cpu,
                            guint64 *ret, GError **error);

/* The address space of the task whose mm_struct.pgd is the kernel-virtual @pgd; with
 * explanations of Linux's non-present pages. Free with mose_space_free(). */
MoseSpace *mose_linux_user_space(const MoseLinux *kernel, guint64 pgd, GError **error);

/* Nothing that was read before is believed any more, for another try at a list that
 * changed. */
void mose_linux_forget(MoseLinux *kernel);

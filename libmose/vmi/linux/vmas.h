/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mappings of a process (struct vm_area_struct), as /proc/PID/maps shows them
 * (Linux fs/proc/task_mmu.c:show_map_vma).
 */
#pragma once

#include "vmi/linux/file.h"
#include "vmi/linux/tasks.h"

/* vm_flags, include/linux/mm.h: the same in all kernels. */
#define MOSE_VMA_READ (1u << 0)
#define MOSE_VMA_WRITE (1u << 1)
#define MOSE_VMA_EXEC (1u << 2)
#define MOSE_VMA_MAYSHARE (1u << 7)

typedef struct {
    guint64 address; /* of its vm_area_struct */
    guint64 start, end;
    guint64 flags;
    guint64 pgoff; /* vm_pgoff in bytes; of one without a file it says little */
    guint64 file;  /* address of its struct file; 0: none */
    guint64 inode; /* its file's, and the device of the file system */
    guint major, minor;
    char *name; /* path, "[heap]", "[anon:...]"; printable; "" for none */
} MoseVma;

void mose_vma_free(MoseVma *vma);

/* At most as many as this: sysctl vm.max_map_count is 65,530 by default. */
#define MOSE_VMAS_MAX (1u << 20)

/*
 * All of @task, of MoseVma, in ascending order, of one moment; with [vsyscall], where
 * it is seen. Paths are told from the first process's root on. NOT_FOUND for a task
 * without user memory. *@ret_retries (may be NULL): see mose_linux_retry(). Free with
 * g_ptr_array_unref().
 */
GPtrArray *mose_vmas_read(MoseLinux *kernel, const MoseTask *task, guint *ret_retries,
                          GError **error);

/* What is asked of each vm_area_struct: vma-name.c has the kernel's rules. */
typedef struct {
    guint64 mm;
    guint64 brk, start_brk, start_stack;
    gboolean heap_is_closed; /* a neighbour of the heap is told to be it, too */
    MosePath root;
} MoseVmaContext;

/* The name of the mapping that @object is, whose other members @vma has; printable, ""
 * for none. @file: what @vma's file is, or NULL. */
char *mose_vma_name(const MoseVmaContext *context, const MoseObject *object,
                    const MoseVma *vma, const MoseFile *file, GError **error);

/*
 * The two letters for each flag that smaps shows behind "VmFlags:", with blanks
 * between; "??" for those that are not known here. Free with g_free().
 */
char *mose_vma_flags_text(const MoseLinux *kernel, guint64 flags);

/* How much of a mapping is where, in bytes. */
typedef struct {
    guint64 present; /* in memory, without the next */
    guint64 zero;    /* the page of zeros, which counts for nothing in smaps */
    guint64 swapped; /* on a swap device */
    guint64 other;   /* entries that say something else: being moved, markers, poisoned
                      */
} MoseVmaPages;

/* By @space, its process's page tables. What is in the page cache alone is not counted.
 * INVALID for page tables with more than 2^26 entries in the mapping. */
gboolean mose_vma_pages(MoseLinux *kernel, MoseSpace *space, const MoseVma *vma,
                        MoseVmaPages *ret, GError **error);

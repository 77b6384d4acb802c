/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tasks of a Linux guest: which there are. What else is known of one: task-info.h.
 */
#pragma once

#include "vmi/linux/linux.h"

typedef struct {
    guint64 address; /* of its task_struct */
    gint pid;        /* as the first PID namespace has it; a thread's own */
    gint tgid;       /* the process's */
    gint ppid;       /* of the process that it would be waited for by; 0: none */
    char *comm;      /* printable */
    char state;      /* as in /proc/PID/stat: R S D T t X Z P I */
    guint cpu;       /* where it runs or ran last */
    guint64 mm;      /* its mm_struct; 0: a kernel thread, or one that has ended */
    guint64 flags;   /* PF_*, Linux include/linux/sched.h */
} MoseTask;

void mose_task_free(MoseTask *task);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTask, mose_task_free)

/* PID_MAX_LIMIT, Linux include/linux/threads.h */
#define MOSE_TASKS_MAX (4u << 20)

/*
 * All processes, or, with @threads, all threads, of MoseTask, in the order of the
 * kernel's list: of one moment as far as links tell (object.h: mose_list_walk()). The
 * idle tasks are not among them, as in /proc. *@ret_retries (may be NULL): how often
 * the list changed while it was read. Free with g_ptr_array_unref().
 */
GPtrArray *mose_tasks_read(MoseLinux *kernel, gboolean threads, guint *ret_retries,
                           GError **error);

/* One, from its task_struct at @address. */
MoseTask *mose_task_read(MoseLinux *kernel, guint64 address, GError **error);

/*
 * The task that @word names: a pid (of a process or a thread), the address of a
 * task_struct (0x...), or the name of a process: NOT_FOUND, or INVALID with their pids
 * where it is the name of several.
 */
MoseTask *mose_task_find(MoseLinux *kernel, const char *word, GError **error);

/* The task that runs on @cpu (current_task, or pcpu_hot.current_task). */
gboolean mose_task_current(MoseLinux *kernel, guint cpu, guint64 *ret, GError **error);

/* Its address space, for mose_space_read(); NOT_FOUND for a task that has none. Free
 * with mose_space_free(). */
MoseSpace *mose_task_space(MoseLinux *kernel, const MoseTask *task, GError **error);

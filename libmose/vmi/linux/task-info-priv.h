/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of task-info.h share; nobody else includes it. */
#pragma once

#include "vmi/linux/task-info.h"

/* Linux include/linux/sched.h */
#define MOSE_PF_EXITING 0x00000004u
#define MOSE_PF_WQ_WORKER 0x00000020u
#define MOSE_PF_KTHREAD 0x00200000u

struct MoseTaskReader {
    MoseLinux *kernel;
    MoseObject task, signal, mm; /* their bytes are used again */
    guint64 *per_cpu;            /* where each possible CPU has its variables */
    guint n_per_cpu;
    gboolean have_clock;
    gint64 clock;      /* from CLOCK_BOOTTIME to CLOCK_REALTIME, ns; 0: unknown */
    GArray *roots;     /* of cgroups; NULL until they are needed */
    GHashTable *csets; /* css_set -> char ** */
};

/* One part each, of reader->task. */
gboolean mose_task_read_ids(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error);
gboolean mose_task_read_times(MoseTaskReader *reader, gboolean whole, MoseTaskInfo *ret,
                              GError **error);
gboolean mose_task_read_memory(MoseTaskReader *reader, MoseTaskInfo *ret,
                               GError **error);
gboolean mose_task_read_namespaces(MoseTaskReader *reader, MoseTaskInfo *ret,
                                   GError **error);
gboolean mose_task_read_cgroups(MoseTaskReader *reader, MoseTaskInfo *ret,
                                GError **error);
gboolean mose_task_read_command(MoseTaskReader *reader, MoseTaskInfo *ret,
                                GError **error);
gboolean mose_task_read_name(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error);

void mose_task_forget_cgroups(MoseTaskReader *reader);

/* The number of the struct pid at @pid in the namespace of @level (0: the first one),
 * and where that namespace is; -1 where it has none at that level. */
gboolean mose_pid_number(MoseLinux *kernel, guint64 pid, guint level, gint *ret,
                         guint64 *ret_ns, GError **error);

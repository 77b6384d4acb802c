/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is to know of a task beyond the list: what /proc/PID/stat, status,
 * cmdline, cgroup and ns/ show of it, in numbers of the guest's first namespaces.
 */
#pragma once

#include "vmi/linux/tasks.h"

/* Each costs something, so that a reader says what it wants. */
typedef enum {
    MOSE_TASK_IDS = 1 << 0,        /* users, group, session, terminal, priority */
    MOSE_TASK_TIMES = 1 << 1,      /* processor times, its beginning */
    MOSE_TASK_MEMORY = 1 << 2,     /* sizes */
    MOSE_TASK_NAMESPACES = 1 << 3, /* numbers of namespaces, pids in them */
    MOSE_TASK_CGROUPS = 1 << 4,
    MOSE_TASK_COMMAND = 1 << 5, /* its arguments, out of its own memory */
    MOSE_TASK_NAME = 1 << 6,    /* the name as /proc has it */
    MOSE_TASK_ALL = (1 << 7) - 1,
} MoseTaskParts;

enum { MOSE_ID_REAL, MOSE_ID_EFFECTIVE, MOSE_ID_SAVED, MOSE_ID_FS, MOSE_N_IDS };

enum {
    MOSE_NS_CGROUP,
    MOSE_NS_IPC,
    MOSE_NS_MNT,
    MOSE_NS_NET,
    MOSE_NS_PID,
    MOSE_NS_PID_FOR_CHILDREN,
    MOSE_NS_TIME,
    MOSE_NS_TIME_FOR_CHILDREN,
    MOSE_NS_USER,
    MOSE_NS_UTS,
    MOSE_N_NS,
};

/* "cgroup", ...: as in /proc/PID/ns. */
extern const char *const mose_ns_names[MOSE_N_NS];

/* Linux include/linux/pid_namespace.h: MAX_PID_NS_LEVEL is 32, below the first one. */
#define MOSE_TASK_MAX_PIDS 33

typedef struct {
    guint have;    /* MoseTaskParts that were read */
    char *problem; /* why one of those that were wanted was not, or NULL */

    guint32 uid[MOSE_N_IDS], gid[MOSE_N_IDS];
    gint group, session;
    guint32 tty;       /* as in /proc/PID/stat: 0: none */
    char *tty_name;    /* "ttyS0", "pts/3" (printable), or NULL */
    gint tty_group;    /* the group in its foreground; -1: no terminal */
    gint threads;      /* of the process; 0: it has ended */
    gint priority;     /* as in /proc/PID/stat: negative for real-time ones */
    gint nice;         /* -20 to 19 */
    guint policy;      /* SCHED_*, Linux include/uapi/linux/sched.h */
    guint rt_priority; /* 1 to 99; 0: not a real-time one */

    guint64 utime, stime; /* ns */
    guint64 started;      /* ns since the guest's start (CLOCK_BOOTTIME) */
    gint64 started_at; /* the same in ns since 1970 by the guest's clock; 0: unknown */

    guint64 size, resident, locked; /* bytes of its address space; of that in memory */

    guint32 ns[MOSE_N_NS];         /* inode numbers; 0: it is in none any more */
    gint pids[MOSE_TASK_MAX_PIDS]; /* from the first PID namespace to its own */
    guint n_pids;

    char **cgroups; /* lines of /proc/PID/cgroup, printable; the reader's */

    guint8 *command; /* its arguments, each with a NUL behind it; NULL: none */
    gsize command_size;

    char *name; /* printable; of a worker of the kernel's with what it worked at last */
} MoseTaskInfo;

void mose_task_info_free(MoseTaskInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTaskInfo, mose_task_info_free)

/* Reads one task after the other, and remembers what they share. */
typedef struct MoseTaskReader MoseTaskReader;

/* Of @kernel, which must outlive it. */
MoseTaskReader *mose_task_reader_new(MoseLinux *kernel);
void mose_task_reader_free(MoseTaskReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseTaskReader, mose_task_reader_free)

/*
 * @parts (MoseTaskParts) of the task whose task_struct is at @address. @whole: times
 * are of its process, as in /proc/PID/stat, not of that thread, as in
 * /proc/PID/task/TID. What is read belongs together: while the task's own pointers
 * change, it is read anew. AGAIN: it has ended meanwhile, or changes all the time. The
 * result must not outlive
 * @reader.
 */
MoseTaskInfo *mose_task_reader_read(MoseTaskReader *reader, guint64 address,
                                    guint parts, gboolean whole, GError **error);

/* Arguments as ps shows them: with blanks between, printable; free with g_free(). */
char *mose_task_command_text(const guint8 *command, gsize size);

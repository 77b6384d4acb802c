/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose instructions a trace has: the tasks that were told of by their task_struct's
 * address, looked up in the guest while it runs, defined in the trace; and names for
 * the code of their processes.
 */
#pragma once

#include "trace/writer.h"
#include "vmi/linux/linux.h"

typedef struct RecorderTasks RecorderTasks;

/* @wanted: a pid (a thread's or a process's), or a name; NULL: all are. All must
 * outlive it. */
RecorderTasks *recorder_tasks_new(MoseTraceWriter *writer, MoseLinux *kernel,
                                  const char *wanted);
void recorder_tasks_free(RecorderTasks *tasks);

/* The number of the task at @address in the trace; one that cannot be read any more has
 * none (MOSE_TRACE_NO_TASK). *@ret_wanted: whether it is wanted. */
guint32 recorder_tasks_find(RecorderTasks *tasks, guint64 address,
                            gboolean *ret_wanted);

/* @task has executed the block at @address, in user space. */
void recorder_tasks_executed(RecorderTasks *tasks, guint32 task, guint64 address);

/* Name what was executed, of the processes that are still there. */
void recorder_tasks_name(RecorderTasks *tasks);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long a task ran, and when it began. See task-info.h. */
#include "vmi/linux/task-info-priv.h"

typedef struct {
    guint64 utime, stime, runtime;
} Times;

/* --- processor times --- */

static gboolean
add_times(const MoseObject *object, const char *runtime, Times *times, GError **error)
{
    guint64 utime, stime, run;

    if (!mose_object_get(object, "utime", &utime, error) ||
        !mose_object_get(object, "stime", &stime, error) ||
        !mose_object_get(object, runtime, &run, error))
        return FALSE;
    times->utime += utime;
    times->stime += stime;
    times->runtime += run;
    return TRUE;
}

static gboolean
add_thread(MoseLinux *kernel, guint64 address, gpointer data, GError **error)
{
    Times *times = data;
    guint64 utime, stime, run;

    if (!mose_object_peek(kernel, "task_struct", address, "utime", &utime, error) ||
        !mose_object_peek(kernel, "task_struct", address, "stime", &stime, error) ||
        !mose_object_peek(kernel, "task_struct", address, "se.sum_exec_runtime", &run,
                          error))
        return FALSE;
    times->utime += utime;
    times->stime += stime;
    times->runtime += run;
    return TRUE;
}

/* Of all threads there are, and of those that have ended (Linux
 * kernel/sched/cputime.c:thread_group_cputime). */
static gboolean
add_process(MoseTaskReader *reader, Times *times, GError **error)
{
    MoseLinux *kernel = reader->kernel;
    guint64 threads, head, node;

    if (!add_times(&reader->signal, "sum_sched_runtime", times, error) ||
        !mose_object_get(&reader->signal, "nr_threads", &threads, error))
        return FALSE;
    if (threads == 1)
        return add_times(&reader->task, "se.sum_exec_runtime", times, error);
    return mose_object_address(&reader->signal, "thread_head", &head, error) &&
           mose_object_offset(kernel, "task_struct", "thread_node", &node, NULL,
                              error) &&
           mose_list_walk(kernel, head, node, MOSE_TASKS_MAX, add_thread, times, error);
}

/*
 * Ticks tell which part of the time was the user's, and the scheduler how much there
 * was of both; and neither may ever become less than what was told already (Linux
 * kernel/sched/cputime.c:cputime_adjust).
 */
static void
adjust(const Times *times, guint64 user_before, guint64 system_before,
       MoseTaskInfo *ret)
{
    guint64 run = times->runtime, system = times->stime, total;

    ret->utime = user_before;
    ret->stime = system_before;
    if (user_before + system_before >= run)
        return;
    total = times->stime + times->utime;
    if (system && times->utime)
        system = (unsigned __int128)system * run / total;
    else if (system)
        system = run;
    ret->stime = MAX(MIN(system, run), system_before);
    ret->utime = run - ret->stime;
    if (ret->utime < user_before) {
        ret->utime = user_before;
        ret->stime = run - user_before;
    }
}

static gboolean
read_processor_times(MoseTaskReader *reader, gboolean whole, MoseTaskInfo *ret,
                     GError **error)
{
    const MoseObject *keeper = whole ? &reader->signal : &reader->task;
    Times times = { 0 };
    guint64 user_before, system_before;

    if (!(whole ? add_process(reader, &times, error)
                : add_times(&reader->task, "se.sum_exec_runtime", &times, error)) ||
        !mose_object_get(keeper, "prev_cputime.utime", &user_before, error) ||
        !mose_object_get(keeper, "prev_cputime.stime", &system_before, error))
        return FALSE;
    adjust(&times, user_before, system_before, ret);
    return TRUE;
}

/* --- the beginning --- */

/* Where the timekeeper is: in a struct with a name since 6.13, before that behind a
 * sequence counter (Linux kernel/time/timekeeping.c). */
static gboolean
find_timekeeper(MoseLinux *kernel, guint64 *ret)
{
    gint64 size;
    guint64 offset;

    if (!mose_linux_symbol(kernel, "tk_core", ret, NULL) &&
        !mose_linux_symbol(kernel, "timekeeper_data", ret, NULL))
        return FALSE;
    if (mose_object_offset(kernel, "tk_data", "timekeeper", &offset, NULL, NULL)) {
        *ret += offset;
        return TRUE;
    }
    size = mose_types_size(kernel->types,
                           mose_types_find(kernel->types, "seqcount_raw_spinlock_t"));
    *ret += (MAX(size, 4) + 7) & ~7;
    return TRUE;
}

/* offs_real and offs_boot are what the monotonic clock lacks to either. */
static void
read_clock(MoseTaskReader *reader)
{
    guint64 at, real, boot;

    reader->have_clock = TRUE;
    if (find_timekeeper(reader->kernel, &at) &&
        mose_object_peek(reader->kernel, "timekeeper", at, "offs_real", &real, NULL) &&
        mose_object_peek(reader->kernel, "timekeeper", at, "offs_boot", &boot, NULL) &&
        (gint64)real > 0 && (gint64)boot >= 0 && real > boot)
        reader->clock = real - boot;
}

gboolean
mose_task_read_times(MoseTaskReader *reader, gboolean whole, MoseTaskInfo *ret,
                     GError **error)
{
    guint64 signal;

    if (!reader->have_clock)
        read_clock(reader);
    if (!mose_object_get(&reader->task, "signal", &signal, error) ||
        !mose_object_read(reader->kernel, "signal_struct", signal, &reader->signal,
                          error) ||
        !read_processor_times(reader, whole, ret, error) ||
        /* 5.5 renamed it */
        !mose_object_get(&reader->task,
                         mose_object_has(&reader->task, "start_boottime")
                             ? "start_boottime"
                             : "real_start_time",
                         &ret->started, error))
        return FALSE;
    ret->started_at = reader->clock ? reader->clock + (gint64)ret->started : 0;
    return TRUE;
}

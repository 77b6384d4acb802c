/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A task's name as /proc/PID/comm, stat and status show it: of a kernel thread all of
 * it (Linux kernel/kthread.c:get_kthread_comm), of a worker with what it works at
 * (Linux kernel/workqueue.c:wq_worker_comm), else comm.
 */
#include <string.h>

#include "vmi/linux/task-info-priv.h"

/* kthread_create() formats longer ones into memory of their own. */
#define MAX_NAME 128
/* Linux fs/proc/array.c:proc_task_name: char tcomm[64] */
#define MAX_SHOWN 63

/* The struct kthread of a kernel thread: since 5.17 there, before that where a user's
 * thread has another thing; 0: it has none. */
static gboolean
find_kthread(MoseTaskReader *reader, guint64 *ret, GError **error)
{
    return mose_object_get(&reader->task,
                           mose_object_has(&reader->task, "worker_private")
                               ? "worker_private"
                               : "set_child_tid",
                           ret, error);
}

/* Names of workers since 6.11: not what comm has, which may have been cut. */
static char *
worker_id(MoseTaskReader *reader, const MoseObject *worker, guint64 pool,
          GError **error)
{
    MoseLinux *kernel = reader->kernel;
    guint64 queue, id, cpu, number, attrs, nice, name;
    g_autofree char *text = NULL;

    if (!mose_object_get(worker, "rescue_wq", &queue, error) ||
        !mose_object_get(worker, "id", &id, error))
        return NULL;
    if (queue) {
        if (!mose_object_offset(kernel, "workqueue_struct", "name", &name, NULL,
                                error) ||
            !(text = mose_space_read_text(kernel->space, queue + name, 32, error)))
            return NULL;
        return g_strconcat("kworker/R-", text, NULL);
    }
    if (pool == 0)
        return g_strdup("kworker/dying");
    if (!mose_object_peek(kernel, "worker_pool", pool, "cpu", &cpu, error) ||
        !mose_object_peek(kernel, "worker_pool", pool, "id", &number, error) ||
        !mose_object_peek(kernel, "worker_pool", pool, "attrs", &attrs, error) ||
        !mose_object_peek(kernel, "workqueue_attrs", attrs, "nice", &nice, error))
        return NULL;
    return (gint)cpu >= 0 ? g_strdup_printf("kworker/%d:%d%s", (gint)cpu, (gint)id,
                                            (gint)nice < 0 ? "H" : "")
                          : g_strdup_printf("kworker/u%d:%d", (gint)number, (gint)id);
}

static char *
worker_name(MoseTaskReader *reader, guint64 address, char *comm, GError **error)
{
    g_auto(MoseObject) worker = { 0 };
    g_autofree char *id = NULL;
    g_autofree char *desc = NULL;
    guint64 pool, work;

    if (!mose_object_read(reader->kernel, "worker", address, &worker, error) ||
        !mose_object_get(&worker, "pool", &pool, error) ||
        !mose_object_get(&worker, "current_work", &work, error) ||
        !(desc = mose_object_text(&worker, "desc", error)))
        return NULL;
    if (mose_symbols_by_name(reader->kernel->symbols, NULL, "format_worker_id"))
        id = worker_id(reader, &worker, pool, error);
    else
        id = g_strdup(comm);
    if (!id)
        return NULL;
    return pool && *desc ? g_strconcat(id, work ? "+" : "-", desc, NULL)
                         : g_steal_pointer(&id);
}

static char *
kernel_thread_name(MoseTaskReader *reader, guint64 kthread, char *comm, GError **error)
{
    guint64 name;

    if (!mose_object_offset(reader->kernel, "kthread", "full_name", &name, NULL, NULL))
        return g_strdup(comm);
    if (!mose_object_peek(reader->kernel, "kthread", kthread, "full_name", &name,
                          error))
        return NULL;
    return name ? mose_space_read_text(reader->kernel->space, name, MAX_NAME, error)
                : g_strdup(comm);
}

gboolean
mose_task_read_name(MoseTaskReader *reader, MoseTaskInfo *ret, GError **error)
{
    g_autofree char *comm = mose_object_text(&reader->task, "comm", error);
    g_autofree char *name = NULL;
    guint64 flags, kthread = 0, data;

    g_clear_pointer(&ret->name, g_free);
    if (!comm || !mose_object_get(&reader->task, "flags", &flags, error) ||
        ((flags & MOSE_PF_KTHREAD) && !find_kthread(reader, &kthread, error)))
        return FALSE;
    if (kthread == 0)
        name = g_strdup(comm);
    else if (!(flags & MOSE_PF_WQ_WORKER))
        name = kernel_thread_name(reader, kthread, comm, error);
    else if (mose_object_peek(reader->kernel, "kthread", kthread, "data", &data, error))
        name = worker_name(reader, data, comm, error);
    if (!name)
        return FALSE;
    if (strlen(name) > MAX_SHOWN)
        name[MAX_SHOWN] = '\0';
    ret->name = mose_vmi_printable(name);
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose instructions a trace has; see recorder-tasks.h. */
#include "analysis/recorder-tasks.h"

#include <string.h>

#include "vmi/linux/tasks.h"
#include "vmi/linux/user.h"

#define COMM_LEN 16 /* Linux include/linux/sched.h: TASK_COMM_LEN */
/* No more places of processes' code are kept to be named; those behind have none. */
#define MAX_EXECUTED (1u << 20)

typedef struct {
    guint64 address; /* of its task_struct */
    gint pid;
    guint8 comm[COMM_LEN]; /* as it is there */
    guint32 number;
    gboolean wanted;
    GHashTable *executed; /* guint64: addresses of blocks; NULL: none */
} Task;

struct RecorderTasks {
    MoseTraceWriter *writer;
    MoseLinux *kernel;
    const char *wanted;
    gint64 wanted_pid;      /* -1: it is a name */
    GPtrArray *all;         /* Task; by number */
    GHashTable *by_address; /* the last one that was there */
    guint n_executed;
};

static void
task_free(gpointer data)
{
    Task *task = data;

    g_clear_pointer(&task->executed, g_hash_table_unref);
    g_free(task);
}

RecorderTasks *
recorder_tasks_new(MoseTraceWriter *writer, MoseLinux *kernel, const char *wanted)
{
    RecorderTasks *tasks = g_new0(RecorderTasks, 1);
    guint64 pid;

    tasks->writer = writer;
    tasks->kernel = kernel;
    tasks->wanted = wanted;
    tasks->wanted_pid =
        wanted && g_ascii_string_to_unsigned(wanted, 10, 0, G_MAXINT, &pid, NULL)
            ? (gint64)pid
            : -1;
    tasks->all = g_ptr_array_new_with_free_func(task_free);
    tasks->by_address = g_hash_table_new(g_int64_hash, g_int64_equal);
    return tasks;
}

void
recorder_tasks_free(RecorderTasks *tasks)
{
    if (!tasks)
        return;
    g_hash_table_unref(tasks->by_address);
    g_ptr_array_unref(tasks->all);
    g_free(tasks);
}

static gboolean
is_wanted(const RecorderTasks *tasks, const MoseTask *found)
{
    if (!tasks->wanted)
        return TRUE;
    if (tasks->wanted_pid >= 0)
        return found->pid == tasks->wanted_pid || found->tgid == tasks->wanted_pid;
    return strcmp(found->comm, tasks->wanted) == 0;
}

/* The name as it is in memory: exec and prctl(2) change it. */
static gboolean
read_comm(const RecorderTasks *tasks, guint64 address, guint8 *to)
{
    guint64 offset;
    gsize size;

    return mose_object_offset(tasks->kernel, "task_struct", "comm", &offset, &size,
                              NULL) &&
           size == COMM_LEN &&
           mose_space_read(tasks->kernel->space, address + offset, to, size, NULL,
                           NULL);
}

static Task *
define(RecorderTasks *tasks, guint64 address, const MoseTask *found)
{
    Task *task = g_new0(Task, 1);
    MoseTraceTask entry = { .pid = found->pid,
                            .tgid = found->tgid,
                            .address = address };

    task->address = address;
    task->pid = found->pid;
    task->wanted = is_wanted(tasks, found);
    read_comm(tasks, address, task->comm);
    memcpy(entry.name, task->comm, COMM_LEN);
    task->number = mose_trace_writer_define_task(tasks->writer, &entry);
    g_ptr_array_add(tasks->all, task);
    g_hash_table_replace(tasks->by_address, &task->address, task);
    return task;
}

/* Whether the task that was at its address is the one there now, and is called so. */
static gboolean
is_same(const RecorderTasks *tasks, const Task *task)
{
    guint8 comm[COMM_LEN];
    guint64 pid;

    return mose_object_peek(tasks->kernel, "task_struct", task->address, "pid", &pid,
                            NULL) &&
           (gint)pid == task->pid && read_comm(tasks, task->address, comm) &&
           memcmp(comm, task->comm, COMM_LEN) == 0;
}

guint32
recorder_tasks_find(RecorderTasks *tasks, guint64 address, gboolean *ret_wanted)
{
    Task *task = g_hash_table_lookup(tasks->by_address, &address);

    if (!task || !is_same(tasks, task)) {
        g_autoptr(MoseTask) found = mose_task_read(tasks->kernel, address, NULL);

        task = found ? define(tasks, address, found) : NULL;
    }
    *ret_wanted = task ? task->wanted : !tasks->wanted;
    return task ? task->number : MOSE_TRACE_NO_TASK;
}

void
recorder_tasks_executed(RecorderTasks *tasks, guint32 number, guint64 address)
{
    Task *task = number < tasks->all->len ? tasks->all->pdata[number] : NULL;

    if (!task || tasks->n_executed == MAX_EXECUTED)
        return;
    if (!task->executed)
        task->executed =
            g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    if (g_hash_table_contains(task->executed, &address))
        return;
    g_hash_table_add(task->executed, g_memdup2(&address, sizeof(address)));
    tasks->n_executed++;
}

/* --- names --- */

typedef struct {
    const Task *task;
    MoseUser *user;
    GArray *names;     /* MoseTraceName */
    GHashTable *known; /* where they begin */
} Naming;

static void
name_symbol(Naming *naming, guint64 address)
{
    const MoseSymbol *symbol = mose_user_symbol_at(naming->user, address);
    MoseTraceName name = { .task = naming->task->number };

    if (!symbol ||
        !g_hash_table_add(naming->known, g_memdup2(&symbol->address, sizeof(guint64))))
        return;
    name.start = symbol->address;
    name.end = symbol->address + MAX(symbol->size, 1);
    name.name = symbol->name;
    name.object = symbol->module;
    g_array_append_val(naming->names, name);
}

static void
name_object(Naming *naming, guint64 address)
{
    const MoseElfObject *object = mose_user_object_at(naming->user, address);
    MoseTraceName name = { .task = naming->task->number };

    if (!object ||
        !g_hash_table_add(naming->known, g_memdup2(&object->base, sizeof(guint64))))
        return;
    name.start = object->base;
    name.end = object->end;
    name.object = object->path;
    name.build_id = object->build_id;
    g_array_append_val(naming->names, name);
}

static void
name_task(RecorderTasks *tasks, const Task *task)
{
    g_autoptr(MoseTask) found = mose_task_read(tasks->kernel, task->address, NULL);
    g_autoptr(MoseUser) user = found && found->pid == task->pid
                                   ? mose_user_new(tasks->kernel, found, NULL)
                                   : NULL;
    g_autoptr(GHashTable) known =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(MoseTraceName));
    Naming naming = { task, user, names, known };
    GHashTableIter iter;
    gpointer address;

    if (!user || !mose_user_symbols(user, NULL))
        return;
    g_hash_table_iter_init(&iter, task->executed);
    while (g_hash_table_iter_next(&iter, &address, NULL)) {
        name_symbol(&naming, *(guint64 *)address);
        name_object(&naming, *(guint64 *)address);
    }
    mose_trace_writer_names(tasks->writer, (const MoseTraceName *)(gpointer)names->data,
                            names->len);
}

void
recorder_tasks_name(RecorderTasks *tasks)
{
    for (guint i = 0; i < tasks->all->len; i++) {
        const Task *task = tasks->all->pdata[i];

        if (task->executed)
            name_task(tasks, task);
    }
}

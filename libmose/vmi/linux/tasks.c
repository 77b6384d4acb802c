/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of tasks, and a task by its name. See tasks.h. */
#include "vmi/linux/tasks.h"

#include <string.h>

#include "util/error.h"

void
mose_task_free(MoseTask *task)
{
    if (!task)
        return;
    g_free(task->comm);
    g_free(task);
}

/* --- one task --- */

/* Linux fs/proc/array.c:get_task_state, include/linux/sched.h:__task_state_index. */
#define TASK_REPORT 0x7fu
#define TASK_IDLE 0x402u
#define TASK_RTLOCK_WAIT 0x1000u
#define TASK_FROZEN 0x8000u

static char
state_letter(guint64 state, guint64 exit_state)
{
    static const char letters[] = "RSDTtXZPI";
    guint index = g_bit_storage((state | exit_state) & TASK_REPORT);

    if (((state | exit_state) & TASK_REPORT) == 0)
        index = 0;
    if ((state & TASK_IDLE) == TASK_IDLE)
        return 'I';
    if (state & (TASK_RTLOCK_WAIT | TASK_FROZEN))
        return 'D';
    return letters[index];
}

/* 5.14 renamed it; what PREEMPT_RT keeps aside is not shown in /proc either. */
static gboolean
read_state(const MoseObject *object, char *ret, GError **error)
{
    guint64 state, exit_state;

    if (!mose_object_get(object, "exit_state", &exit_state, error) ||
        !mose_object_get(object,
                         mose_object_has(object, "__state") ? "__state" : "state",
                         &state, error))
        return FALSE;
    *ret = state_letter(state, exit_state);
    return TRUE;
}

static gboolean
read_cpu(const MoseObject *object, guint *ret, GError **error)
{
    guint64 cpu;

    /* 5.16 moved it into thread_info */
    if (!mose_object_get(object,
                         mose_object_has(object, "thread_info.cpu") ? "thread_info.cpu"
                                                                    : "cpu",
                         &cpu, error))
        return FALSE;
    *ret = cpu;
    return TRUE;
}

static MoseTask *
task_of(const MoseObject *object, GError **error)
{
    g_autoptr(MoseTask) task = g_new0(MoseTask, 1);
    g_autofree char *comm = NULL;
    guint64 pid, tgid, parent, ppid;

    task->address = object->address;
    if (!mose_object_get(object, "pid", &pid, error) ||
        !mose_object_get(object, "tgid", &tgid, error) ||
        !mose_object_get(object, "mm", &task->mm, error) ||
        !mose_object_get(object, "flags", &task->flags, error) ||
        !mose_object_get(object, "real_parent", &parent, error) ||
        !read_state(object, &task->state, error) ||
        !read_cpu(object, &task->cpu, error))
        return NULL;
    comm = mose_object_text(object, "comm", error);
    if (!comm ||
        !mose_object_peek(object->kernel, "task_struct", parent, "tgid", &ppid, error))
        return NULL;
    task->comm = mose_vmi_printable(comm);
    task->pid = pid;
    task->tgid = tgid;
    task->ppid = ppid;
    return g_steal_pointer(&task);
}

MoseTask *
mose_task_read(MoseLinux *kernel, guint64 address, GError **error)
{
    g_auto(MoseObject) object = { 0 };

    return mose_object_read(kernel, "task_struct", address, &object, error)
               ? task_of(&object, error)
               : NULL;
}

/* --- all of them --- */

typedef struct {
    GPtrArray *tasks;
    MoseObject object; /* its bytes are used again */
    gboolean threads;
    guint64 tasks_offset, node_offset;
} Walk;

static gboolean
add_task(MoseLinux *kernel, guint64 address, gpointer data, GError **error)
{
    Walk *walk = data;
    MoseTask *task = NULL;

    if (walk->tasks->len == MOSE_TASKS_MAX)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the guest's list of tasks has no end");
    else if (mose_object_read(kernel, "task_struct", address, &walk->object, error))
        task = task_of(&walk->object, error);
    if (!task)
        return FALSE;
    g_ptr_array_add(walk->tasks, task);
    return TRUE;
}

/* Linux include/linux/sched/signal.h: signal_struct.thread_head */
static gboolean
add_threads(MoseLinux *kernel, guint64 address, gpointer data, GError **error)
{
    Walk *walk = data;
    guint64 signal, head;

    return mose_object_peek(kernel, "task_struct", address, "signal", &signal, error) &&
           mose_object_offset(kernel, "signal_struct", "thread_head", &head, NULL,
                              error) &&
           mose_list_walk(kernel, signal + head, walk->node_offset, MOSE_TASKS_MAX,
                          add_task, walk, error);
}

static gboolean
read_all(MoseLinux *kernel, gpointer data, GError **error)
{
    Walk *walk = data;
    guint64 first;

    g_ptr_array_set_size(walk->tasks, 0);
    return mose_linux_symbol(kernel, "init_task", &first, error) &&
           mose_list_walk(kernel, first + walk->tasks_offset, walk->tasks_offset,
                          MOSE_TASKS_MAX, walk->threads ? add_threads : add_task, walk,
                          error);
}

GPtrArray *
mose_tasks_read(MoseLinux *kernel, gboolean threads, guint *ret_retries, GError **error)
{
    g_autoptr(GPtrArray) tasks =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_task_free);
    Walk walk = { .tasks = tasks, .threads = threads };
    gboolean good = mose_object_offset(kernel, "task_struct", "tasks",
                                       &walk.tasks_offset, NULL, error) &&
                    mose_object_offset(kernel, "task_struct", "thread_node",
                                       &walk.node_offset, NULL, error) &&
                    mose_linux_retry(kernel, read_all, &walk, ret_retries, error);

    mose_object_clear(&walk.object);
    return good ? g_steal_pointer(&tasks) : NULL;
}

/* --- one by its name --- */

static void
set_several(const GPtrArray *found, const char *word, GError **error)
{
    g_autoptr(GString) pids = g_string_new(NULL);

    for (guint i = 0; i < found->len && i < 8; i++)
        g_string_append_printf(pids, "%s%d", i ? ", " : "",
                               ((MoseTask *)found->pdata[i])->pid);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%u processes are called %s (%s%s): name one by its pid", found->len,
                word, pids->str, found->len > 8 ? ", ..." : "");
}

static MoseTask *
find_among(GPtrArray *tasks, const char *word, gint64 pid, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    guint index;

    for (guint i = 0; i < tasks->len; i++) {
        const MoseTask *task = tasks->pdata[i];

        if (pid > 0 ? task->pid == pid
                    : task->pid == task->tgid && strcmp(task->comm, word) == 0)
            g_ptr_array_add(found, tasks->pdata[i]);
    }
    if (found->len == 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    pid > 0 ? "the guest has no task with pid %s"
                            : "the guest has no process called %s",
                    word);
    else if (found->len > 1)
        set_several(found, word, error);
    if (found->len != 1)
        return NULL;
    g_ptr_array_find(tasks, found->pdata[0], &index);
    g_ptr_array_set_free_func(tasks, NULL); /* the others go one by one */
    for (guint i = 0; i < tasks->len; i++)
        if (i != index)
            mose_task_free(tasks->pdata[i]);
    return found->pdata[0];
}

MoseTask *
mose_task_find(MoseLinux *kernel, const char *word, GError **error)
{
    g_autoptr(GPtrArray) tasks = NULL;
    char *end;
    guint64 number = g_ascii_strtoull(word, &end, 0);
    gboolean numeric = end != word && *end == '\0';

    if (numeric && g_str_has_prefix(word, "0x"))
        return mose_task_read(kernel, number, error);
    tasks = mose_tasks_read(kernel, TRUE, NULL, error);
    return tasks ? find_among(tasks, word, numeric ? (gint64)number : 0, error) : NULL;
}

/* --- what belongs to a task --- */

gboolean
mose_task_current(MoseLinux *kernel, guint cpu, guint64 *ret, GError **error)
{
    guint64 at, offset = 0;

    /* 6.2 to 6.14 have it in a struct (arch/x86/include/asm/current.h). */
    if (mose_symbols_by_name(kernel->symbols, NULL, "pcpu_hot")) {
        if (!mose_linux_per_cpu(kernel, "pcpu_hot", cpu, &at, error) ||
            !mose_object_offset(kernel, "pcpu_hot", "current_task", &offset, NULL,
                                error))
            return FALSE;
    } else if (!mose_linux_per_cpu(kernel, "current_task", cpu, &at, error)) {
        return FALSE;
    }
    return mose_space_read_number(kernel->space, at + offset, 8, ret, error);
}

MoseSpace *
mose_task_space(MoseLinux *kernel, const MoseTask *task, GError **error)
{
    guint64 pgd;

    if (task->mm == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "task %d (%s) has no user memory: it is a kernel thread, or has "
                    "ended",
                    task->pid, task->comm);
        return NULL;
    }
    return mose_object_peek(kernel, "mm_struct", task->mm, "pgd", &pgd, error)
               ? mose_linux_user_space(kernel, pgd, error)
               : NULL;
}

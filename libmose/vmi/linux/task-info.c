/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A task's details, read so that they belong together. See task-info.h. */
#include "vmi/linux/task-info.h"

#include <string.h>

#include "util/error.h"
#include "vmi/linux/task-info-priv.h"

#define MAX_TRIES 5

void
mose_task_info_free(MoseTaskInfo *info)
{
    if (!info)
        return;
    g_free(info->problem);
    g_free(info->tty_name);
    g_free(info->command);
    g_free(info->name);
    g_free(info);
}

MoseTaskReader *
mose_task_reader_new(MoseLinux *kernel)
{
    MoseTaskReader *reader = g_new0(MoseTaskReader, 1);

    reader->kernel = kernel;
    return reader;
}

void
mose_task_reader_free(MoseTaskReader *reader)
{
    if (!reader)
        return;
    mose_object_clear(&reader->task);
    mose_object_clear(&reader->signal);
    mose_object_clear(&reader->mm);
    g_free(reader->per_cpu);
    mose_task_forget_cgroups(reader);
    g_free(reader);
}

/* What a task's parts are reached by; none may change while they are read. */
static const char *const anchors[] = {
    "pid",     "mm",     "real_cred",  "nsproxy",
    "cgroups", "signal", "thread_pid", "start_boottime",
};

/* *@ret_same: it is the task that it was, if not as it was. */
static gboolean
is_unchanged(MoseTaskReader *reader, gboolean *ret_same)
{
    *ret_same = TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(anchors); i++) {
        guint64 before, now;

        if (!mose_object_get(&reader->task, anchors[i], &before, NULL))
            continue;
        if (!mose_object_peek(reader->kernel, "task_struct", reader->task.address,
                              anchors[i], &now, NULL) ||
            (now != before && i == 0)) {
            *ret_same = FALSE;
            return FALSE;
        }
        if (now != before)
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_part(MoseTaskReader *reader, MoseTaskParts part, gboolean whole, MoseTaskInfo *ret,
          GError **error)
{
    switch (part) {
    case MOSE_TASK_IDS:
        return mose_task_read_ids(reader, ret, error);
    case MOSE_TASK_TIMES:
        return mose_task_read_times(reader, whole, ret, error);
    case MOSE_TASK_MEMORY:
        return mose_task_read_memory(reader, ret, error);
    case MOSE_TASK_NAMESPACES:
        return mose_task_read_namespaces(reader, ret, error);
    case MOSE_TASK_CGROUPS:
        return mose_task_read_cgroups(reader, ret, error);
    case MOSE_TASK_COMMAND:
        return mose_task_read_command(reader, ret, error);
    default:
        return mose_task_read_name(reader, ret, error);
    }
}

/* What cannot be read is left out, with the reason. */
static MoseTaskInfo *
read_parts(MoseTaskReader *reader, guint parts, gboolean whole)
{
    MoseTaskInfo *info = g_new0(MoseTaskInfo, 1);

    for (guint part = 1; part < MOSE_TASK_ALL; part <<= 1) {
        g_autoptr(GError) error = NULL;

        if (!(parts & part))
            continue;
        if (read_part(reader, part, whole, info, &error))
            info->have |= part;
        else if (!info->problem)
            info->problem = g_strdup(error->message);
    }
    return info;
}

MoseTaskInfo *
mose_task_reader_read(MoseTaskReader *reader, guint64 address, guint parts,
                      gboolean whole, GError **error)
{
    gboolean same = TRUE;

    for (guint i = 0; i < MAX_TRIES && same; i++) {
        g_autoptr(MoseTaskInfo) info = NULL;

        if (i > 0)
            mose_linux_forget(reader->kernel);
        if (!mose_object_read(reader->kernel, "task_struct", address, &reader->task,
                              error))
            return NULL;
        info = read_parts(reader, parts, whole);
        if (is_unchanged(reader, &same))
            return g_steal_pointer(&info);
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the task at 0x%" G_GINT64_MODIFIER "x %s while it was read", address,
                same ? "changed" : "ended");
    return NULL;
}

char *
mose_task_command_text(const guint8 *command, gsize size)
{
    g_autofree char *text = g_malloc(size + 1);

    while (size > 0 && command[size - 1] == '\0')
        size--;
    for (gsize i = 0; i < size; i++)
        text[i] = command[i] == '\0' ? ' ' : (char)command[i];
    text[size] = '\0';
    return mose_vmi_printable(text);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A task with all that is known of it, for programs. */
#include <string.h>

#include "cli/ps-columns.h"
#include "util/json.h"

static void
add_ids(JsonObject *object, const MoseTaskInfo *info)
{
    static const char *const uids[] = { "ruid", "euid", "suid", "fsuid" };
    static const char *const gids[] = { "rgid", "egid", "sgid", "fsgid" };

    for (guint i = 0; i < MOSE_N_IDS; i++) {
        json_object_set_int_member(object, uids[i], info->uid[i]);
        json_object_set_int_member(object, gids[i], info->gid[i]);
    }
    json_object_set_int_member(object, "pgrp", info->group);
    json_object_set_int_member(object, "session", info->session);
    json_object_set_int_member(object, "tty-number", info->tty);
    json_object_set_int_member(object, "tty-pgrp", info->tty_group);
    if (info->tty_name)
        json_object_set_string_member(object, "tty", info->tty_name);
    json_object_set_int_member(object, "threads", info->threads);
    json_object_set_int_member(object, "priority", info->priority);
    json_object_set_int_member(object, "nice", info->nice);
    json_object_set_int_member(object, "policy", info->policy);
    json_object_set_int_member(object, "rt-priority", info->rt_priority);
}

static void
add_times(JsonObject *object, const MoseTaskInfo *info)
{
    json_object_set_int_member(object, "utime-ns", (gint64)info->utime);
    json_object_set_int_member(object, "stime-ns", (gint64)info->stime);
    json_object_set_int_member(object, "started-ns", (gint64)info->started);
    if (info->started_at) {
        g_autoptr(GDateTime) time =
            g_date_time_new_from_unix_utc(info->started_at / 1000000000);
        g_autofree char *text =
            time ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : NULL;

        if (text)
            json_object_set_string_member(object, "started", text);
    }
}

static void
add_namespaces(JsonObject *object, const MoseTaskInfo *info)
{
    JsonObject *namespaces = json_object_new();
    JsonArray *pids = json_array_new();

    for (guint i = 0; i < MOSE_N_NS; i++)
        if (info->ns[i])
            json_object_set_int_member(namespaces, mose_ns_names[i], info->ns[i]);
    for (guint i = 0; i < info->n_pids; i++)
        json_array_add_int_element(pids, info->pids[i]);
    json_object_set_object_member(object, "namespaces", namespaces);
    json_object_set_array_member(object, "pids", pids);
}

static void
add_cgroups(JsonObject *object, const MoseTaskInfo *info)
{
    JsonArray *lines = json_array_new();

    for (char **line = info->cgroups; line && *line; line++)
        json_array_add_string_element(lines, *line);
    json_object_set_array_member(object, "cgroups", lines);
}

static void
add_arguments(JsonObject *object, const MoseTaskInfo *info)
{
    JsonArray *arguments = json_array_new();
    gsize at = 0;

    while (at < info->command_size) {
        gsize len = strnlen((const char *)info->command + at, info->command_size - at);
        g_autofree char *bytes = g_strndup((const char *)info->command + at, len);
        g_autofree char *text = mose_vmi_printable(bytes);

        json_array_add_string_element(arguments, text);
        at += len + 1;
    }
    json_object_set_array_member(object, "arguments", arguments);
}

JsonObject *
mose_ps_json(const MosePsRow *row)
{
    const MoseTask *task = row->task;
    const MoseTaskInfo *info = row->info;
    const char state[] = { task->state, '\0' };
    JsonObject *object =
        mose_json_object("pid", "i", (gint64)task->pid, "tgid", "i", (gint64)task->tgid,
                         "ppid", "i", (gint64)task->ppid, "state", "s", state, "cpu",
                         "i", (gint64)task->cpu, "comm", "s", task->comm, NULL);

    mose_table_set_hex(object, "task", task->address);
    mose_table_set_hex(object, "mm", task->mm);
    mose_table_set_hex(object, "flags", task->flags);
    if (info->have & MOSE_TASK_NAME)
        json_object_set_string_member(object, "name", info->name);
    if (info->have & MOSE_TASK_IDS)
        add_ids(object, info);
    if (info->have & MOSE_TASK_TIMES)
        add_times(object, info);
    if (info->have & MOSE_TASK_MEMORY) {
        json_object_set_int_member(object, "vsize", (gint64)info->size);
        json_object_set_int_member(object, "rss", (gint64)info->resident);
        json_object_set_int_member(object, "locked", (gint64)info->locked);
    }
    if (info->have & MOSE_TASK_NAMESPACES)
        add_namespaces(object, info);
    if (info->have & MOSE_TASK_CGROUPS)
        add_cgroups(object, info);
    if (info->have & MOSE_TASK_COMMAND)
        add_arguments(object, info);
    if (info->problem)
        json_object_set_string_member(object, "unreadable", info->problem);
    return object;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose mounts: the mounts that a process in a guest sees, as /proc/PID/mountinfo. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/linux/mounts.h"

static const GOptionEntry entries[] = { { NULL } };

static void
print_group(const char *word, gint64 group)
{
    if (group)
        printf(" %s:%" G_GINT64_FORMAT, word, group);
}

static void
print_line(const MoseMount *mount)
{
    printf("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %u:%u %s %s %s", mount->id,
           mount->parent, mount->major, mount->minor, mount->root, mount->point,
           mount->options);
    print_group("shared", mount->shared);
    print_group("master", mount->master);
    print_group("propagate_from", mount->propagate_from);
    if (mount->unbindable)
        fputs(" unbindable", stdout);
    printf(" - %s %s %s\n", mount->type, mount->source, mount->super_options);
}

static JsonObject *
to_row(const MoseMount *mount)
{
    g_autofree char *device = g_strdup_printf("%u:%u", mount->major, mount->minor);
    JsonObject *row = mose_json_object(
        "id", "i", mount->id, "parent", "i", mount->parent, "device", "s", device,
        "root", "s", mount->root, "point", "s", mount->point, "options", "s",
        mount->options, "shared", "i", mount->shared, "master", "i", mount->master,
        "propagate_from", "i", mount->propagate_from, "type", "s", mount->type,
        "source", "s", mount->source, "super_options", "s", mount->super_options, NULL);

    json_object_set_boolean_member(row, "unbindable", mount->unbindable);
    mose_table_set_hex(row, "mount", mount->address);
    return row;
}

static void
show(const MoseTask *task, const GPtrArray *mounts, guint retries)
{
    static const MoseColumn columns[] = { { "id", "ID" }, { NULL } };
    g_autoptr(MoseTable) table = mose_table_new(columns);
    JsonObject *more = mose_table_retries(retries);

    json_object_set_int_member(more, "pid", task->pid);
    json_object_set_string_member(more, "comm", task->comm);
    for (guint i = 0; i < mounts->len; i++)
        if (mose_cli_json())
            mose_table_add(table, to_row(mounts->pdata[i]));
        else
            print_line(mounts->pdata[i]);
    if (mose_cli_json())
        mose_table_print(table, "mounts", more);
    else
        json_object_unref(more);
}

int
mose_cmd_mounts(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTask) task = NULL;
    g_autoptr(GPtrArray) mounts = NULL;
    guint retries;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 2, &ret))
        return ret;
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(task = mose_task_find(look.kernel, argc > 2 ? argv[2] : "1", &error)) ||
        !(mounts = mose_mounts_read(look.kernel, task, &retries, &error)))
        return mose_look_fail(&look, error);
    show(task, mounts, retries);
    return MOSE_EXIT_DONE;
}

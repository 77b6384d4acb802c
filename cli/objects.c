/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose objects: the ELF objects in a process of a guest's. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/linux/user.h"

static const MoseColumn columns[] = {
    { "base", "BASE" }, { "end", "END" },   { "build-id", "BUILD-ID" },
    { "name", "NAME" }, { "path", "PATH" }, { NULL },
};

static JsonObject *
to_row(const MoseElfObject *object)
{
    JsonObject *row = json_object_new();

    mose_table_set_hex(row, "base", object->base);
    mose_table_set_hex(row, "end", object->end);
    if (object->build_id)
        json_object_set_string_member(row, "build-id", object->build_id);
    json_object_set_string_member(row, "name", object->name);
    json_object_set_string_member(row, "path", object->path);
    json_object_set_boolean_member(row, "program", object->is_program);
    json_object_set_int_member(row, "bits", object->elf->is_64 ? 64 : 32);
    mose_table_set_hex(row, "bias", object->elf->bias);
    mose_table_set_hex(row, "entry", object->elf->entry);
    mose_table_set_hex(row, "file", object->file);
    return row;
}

static gboolean
show(const MoseLook *look, const MoseTask *task, GError **error)
{
    g_autoptr(MoseUser) user = mose_user_new(look->kernel, task, error);
    g_autoptr(MoseTable) table = mose_table_new(columns);
    const GPtrArray *objects;
    guint unreadable;
    JsonObject *more;

    if (!user || !(objects = mose_user_objects(user, &unreadable, error)))
        return FALSE;
    for (guint i = 0; i < objects->len; i++)
        mose_table_add(table, to_row(objects->pdata[i]));
    more = mose_json_object("pid", "i", (gint64)task->pid, "comm", "s", task->comm,
                            "unreadable", "i", (gint64)unreadable, NULL);
    mose_table_print(table, "objects", more);
    if (unreadable && !mose_cli_json())
        fprintf(stderr, "mose objects: %u more begin in pages that are not in memory\n",
                unreadable);
    return TRUE;
}

int
mose_cmd_objects(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTask) task = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, NULL, 2, 2, &ret))
        return ret;
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(task = mose_task_find(look.kernel, argv[2], &error)) ||
        !show(&look, task, &error))
        return mose_look_fail(&look, error);
    return MOSE_EXIT_DONE;
}

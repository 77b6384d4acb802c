/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose files: what the processes of a guest have open. */
#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/linux/open-files.h"

static const GOptionEntry entries[] = { { NULL } };

static const MoseColumn columns_of_one[] = {
    { "fd", "FD" },         { "type", "TYPE" },    { "device", "DEVICE" },
    { "inode", "INODE" },   { "position", "POS" }, { "access", "ACCESS" },
    { "socket", "SOCKET" }, { "path", "PATH" },    { NULL },
};

static const MoseColumn columns_of_all[] = {
    { "pid", "PID" },
    { "comm", "COMM" },
    { "fd", "FD" },
    { "type", "TYPE" },
    { "device", "DEVICE" },
    { "inode", "INODE" },
    { "position", "POS" },
    { "access", "ACCESS" },
    { "socket", "SOCKET" },
    { "path", "PATH" },
    { NULL },
};

static void
set_fd(JsonObject *row, const MoseOpenFile *open)
{
    static const char *const names[] = { NULL, "cwd", "root", "exe" };

    g_autofree char *number = g_strdup_printf("%u", open->fd);

    json_object_set_string_member(
        row, "fd", open->kind == MOSE_OPEN_FD ? number : names[open->kind]);
}

static void
set_device(JsonObject *row, const char *name, guint major, guint minor)
{
    g_autofree char *text = g_strdup_printf("%u:%u", major, minor);

    json_object_set_string_member(row, name, text);
}

static void
set_opened(JsonObject *row, const MoseOpenFile *open)
{
    g_autofree char *octal = g_strdup_printf("0%" G_GINT64_MODIFIER "o", open->flags);
    g_autofree char *access = mose_open_flags_text(open->flags);

    json_object_set_int_member(row, "position", open->file.position);
    json_object_set_string_member(row, "access", access);
    json_object_set_string_member(row, "flags", octal);
    json_object_set_boolean_member(row, "readable", open->file.mode & MOSE_FILE_READ);
    json_object_set_boolean_member(row, "writable",
                                   !!(open->file.mode & MOSE_FILE_WRITE));
    mose_table_set_hex(row, "file", open->file.address);
}

static JsonObject *
to_row(const MoseTask *task, const MoseOpenFile *open)
{
    const MoseInode *inode = &open->file.inode;
    const char *type = mose_open_file_type(open);
    JsonObject *row =
        mose_json_object("pid", "i", (gint64)task->pid, "comm", "s", task->comm, NULL);

    set_fd(row, open);
    json_object_set_string_member(row, "type", type);
    set_device(row, "device", inode->major, inode->minor);
    json_object_set_int_member(row, "inode", (gint64)inode->number);
    json_object_set_int_member(row, "size", inode->size);
    json_object_set_int_member(row, "mode", inode->mode);
    if (*type == 'C' || *type == 'B')
        set_device(row, "rdev", inode->rdev_major, inode->rdev_minor);
    json_object_set_int_member(row, "mount", open->mount_id);
    if (open->is_file)
        set_opened(row, open);
    if (open->socket)
        json_object_set_string_member(row, "socket", open->socket);
    json_object_set_string_member(row, "path", open->path);
    return row;
}

/* A task that ends while all are listed is left out. */
static gboolean
add_task(MoseLinux *kernel, MoseTable *table, const MoseTask *task, gboolean one,
         guint *retries, GError **error)
{
    g_autoptr(GError) cause = NULL;
    guint more;
    g_autoptr(GPtrArray) files = mose_open_files_read(kernel, task, &more, &cause);

    *retries += more;
    if (!files && !one && mose_open_files_are_gone(kernel, task))
        return TRUE;
    if (!files) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    for (guint i = 0; i < files->len; i++)
        mose_table_add(table, to_row(task, files->pdata[i]));
    return TRUE;
}

static gboolean
add_all(MoseLinux *kernel, MoseTable *table, guint *retries, GError **error)
{
    g_autoptr(GPtrArray) tasks = mose_tasks_read(kernel, FALSE, retries, error);

    for (guint i = 0; tasks && i < tasks->len; i++)
        if (!add_task(kernel, table, tasks->pdata[i], FALSE, retries, error))
            return FALSE;
    return tasks != NULL;
}

static gboolean
add_one(MoseLinux *kernel, MoseTable *table, const char *word, guint *retries,
        GError **error)
{
    g_autoptr(MoseTask) task = mose_task_find(kernel, word, error);

    return task && add_task(kernel, table, task, TRUE, retries, error);
}

int
mose_cmd_files(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTable) table = NULL;
    guint retries = 0;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 2, &ret))
        return ret;
    table = mose_table_new(argc > 2 ? columns_of_one : columns_of_all);
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(argc > 2 ? add_one(look.kernel, table, argv[2], &retries, &error)
                   : add_all(look.kernel, table, &retries, &error)))
        return mose_look_fail(&look, error);
    mose_table_print(table, "files", mose_table_retries(retries));
    return MOSE_EXIT_DONE;
}

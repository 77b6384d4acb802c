/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose ps: the tasks of a guest, from outside. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/ps-columns.h"
#include "cli/ps-tree.h"
#include "util/error.h"
#include "util/json.h"

#define SHORT "pid,ppid,uid,stat,cpu,time,comm"
#define SHORT_THREADS "pid,tgid,ppid,uid,stat,cpu,time,comm"
#define FULL "uid,pid,ppid,stat,nlwp,vsz,rss,start,tty,time,args"
#define LONG "uid,pid,ppid,pgrp,sess,stat,cpu,class,pri,nice,vsz,rss,tty,time,comm"
#define CONTAINER "pid,pids,uid,pidns,mntns,netns,userns,cgroup,args"

static gboolean threads, tree, full, extended, container;
static char *named_columns;

static const GOptionEntry entries[] = {
    { "threads", 'T', 0, G_OPTION_ARG_NONE, &threads,
      "all threads, not processes alone", NULL },
    { "tree", 't', 0, G_OPTION_ARG_NONE, &tree,
      "children behind their parents; of named tasks, all that is below them", NULL },
    { "full", 'f', 0, G_OPTION_ARG_NONE, &full,
      "with sizes, beginning and command line", NULL },
    { "long", 'l', 0, G_OPTION_ARG_NONE, &extended,
      "with group, session and priorities", NULL },
    { "container", 'c', 0, G_OPTION_ARG_NONE, &container,
      "with namespaces and control groups", NULL },
    { "columns", 'o', 0, G_OPTION_ARG_STRING, &named_columns, "these columns",
      "NAME,..." },
    { NULL },
};

static const char *
column_names(void)
{
    if (named_columns)
        return named_columns;
    return full        ? FULL
           : extended  ? LONG
           : container ? CONTAINER
           : threads   ? SHORT_THREADS
                       : SHORT;
}

/* --- which tasks --- */

static gboolean
is_named(const MosePsRow *row, char *const *words)
{
    for (; *words; words++) {
        char *end;
        guint64 number = g_ascii_strtoull(*words, &end, 10);

        if (**words && *end == '\0' ? number == (guint64)row->task->pid ||
                                          number == (guint64)row->task->tgid
                                    : strcmp(*words, row->task->comm) == 0 ||
                                          g_strcmp0(*words, row->info->name) == 0)
            return TRUE;
    }
    return FALSE;
}

/* Keep those of @words, or, in a tree, what is below them. */
static gboolean
select_rows(GPtrArray *rows, char *const *words, const char *name, GError **error)
{
    g_autoptr(GHashTable) wanted = *words ? g_hash_table_new(NULL, NULL) : NULL;

    for (guint i = 0; wanted && i < rows->len; i++)
        if (is_named(rows->pdata[i], words))
            g_hash_table_add(wanted, rows->pdata[i]);
    if (wanted && g_hash_table_size(wanted) == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s has no such task", name);
        return FALSE;
    }
    if (tree)
        mose_ps_tree(rows, wanted);
    for (guint i = rows->len; wanted && !tree && i-- > 0;)
        if (!g_hash_table_contains(wanted, rows->pdata[i]))
            g_ptr_array_remove_index(rows, i);
    return TRUE;
}

/* --- what of them --- */

typedef struct {
    MoseTaskReader *reader;
    GPtrArray *rows; /* MosePsRow */
    guint missed;    /* tasks that ended while they were read */
} Found;

static void
found_clear(Found *found)
{
    g_clear_pointer(&found->rows, g_ptr_array_unref);
    g_clear_pointer(&found->reader, mose_task_reader_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Found, found_clear)

static gboolean
add_row(Found *found, MoseTask **task, guint parts, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MoseTaskInfo *info =
        mose_task_reader_read(found->reader, (*task)->address, parts, !threads, &cause);
    MosePsRow *row;

    if (info) {
        row = g_new0(MosePsRow, 1);
        row->task = g_steal_pointer(task);
        row->info = info;
        g_ptr_array_add(found->rows, row);
        return TRUE;
    }
    if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_AGAIN)) {
        found->missed++;
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static gboolean
read_rows(Found *found, MoseLinux *kernel, GPtrArray *tasks, guint parts,
          GError **error)
{
    found->reader = mose_task_reader_new(kernel);
    found->rows = g_ptr_array_new_with_free_func((GDestroyNotify)mose_ps_row_free);
    /* Those that go into rows are not its own any more. */
    for (guint i = 0; i < tasks->len; i++)
        if (!add_row(found, (MoseTask **)&tasks->pdata[i], parts, error))
            return FALSE;
    return TRUE;
}

static void
print(const Found *found, const MosePsColumns *columns, guint retries)
{
    g_autoptr(MoseTable) table = mose_table_new(mose_ps_columns_table(columns));
    JsonObject *more = mose_table_retries(retries);

    json_object_set_int_member(more, "missed", found->missed);
    for (guint i = 0; i < found->rows->len; i++)
        mose_table_add(table, mose_cli_json() ? mose_ps_json(found->rows->pdata[i])
                                              : mose_ps_columns_row(
                                                    columns, found->rows->pdata[i]));
    mose_table_print(table, "tasks", more);
    if (found->missed > 0 && !mose_cli_json())
        fprintf(stderr, "%s: %u tasks ended while they were read\n", g_get_prgname(),
                found->missed);
}

int
mose_cmd_ps(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_auto(Found) found = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tasks = NULL;
    g_autoptr(MosePsColumns) columns = NULL;
    guint retries, parts;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, -1, &ret))
        return ret;
    columns = mose_ps_columns_new(column_names(), &error);
    if (!columns) {
        fprintf(stderr, "%s: %s\n", g_get_prgname(), error->message);
        return MOSE_EXIT_USAGE;
    }
    parts = mose_cli_json()
                ? MOSE_TASK_ALL
                : mose_ps_columns_parts(columns) | (argc > 2 ? MOSE_TASK_NAME : 0);
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(tasks = mose_tasks_read(look.kernel, threads, &retries, &error)) ||
        !read_rows(&found, look.kernel, tasks, parts, &error) ||
        !select_rows(found.rows, argv + 2, argv[1], &error))
        return mose_look_fail(&look, error);
    print(&found, columns, retries);
    return MOSE_EXIT_DONE;
}

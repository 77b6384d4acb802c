/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose ps: the tasks of a guest, from outside. */
#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/linux/tasks.h"

static gboolean threads;

static const GOptionEntry entries[] = {
    { "threads", 'T', 0, G_OPTION_ARG_NONE, &threads,
      "all threads, not processes alone", NULL },
    { NULL },
};

static const MoseColumn columns[] = {
    { "pid", "PID" }, { "tgid", "TGID" }, { "ppid", "PPID" }, { "state", "S" },
    { "cpu", "CPU" }, { "comm", "COMM" }, { NULL },
};

static JsonObject *
to_row(const MoseTask *task)
{
    const char state[] = { task->state, '\0' };
    JsonObject *row =
        mose_json_object("pid", "i", (gint64)task->pid, "tgid", "i", (gint64)task->tgid,
                         "ppid", "i", (gint64)task->ppid, "state", "s", state, "cpu",
                         "i", (gint64)task->cpu, "comm", "s", task->comm, NULL);

    mose_table_set_hex(row, "task", task->address);
    return row;
}

int
mose_cmd_ps(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tasks = NULL;
    g_autoptr(MoseTable) table = mose_table_new(columns);
    guint retries;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 1, &ret))
        return ret;
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(tasks = mose_tasks_read(look.kernel, threads, &retries, &error)))
        return mose_look_fail(&look, error);
    for (guint i = 0; i < tasks->len; i++)
        mose_table_add(table, to_row(tasks->pdata[i]));
    mose_table_print(table, "tasks", mose_table_retries(retries));
    return MOSE_EXIT_DONE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose bt: where the tasks and CPUs of a guest are, and how they came there. */
#include <stdio.h>

#include "cli/bt-show.h"
#include "cli/cli.h"
#include "cli/look.h"
#include "util/error.h"
#include "util/json.h"
#include "vmi/exact.h"

static gboolean all, kernel_only, frame_pointers, registers;
static int cpu = -1;
static char *debug_info;

static const GOptionEntry entries[] = {
    { "all", 'a', 0, G_OPTION_ARG_NONE, &all, "every thread there is", NULL },
    { "cpu", 'c', 0, G_OPTION_ARG_INT, &cpu, "what runs on this CPU", "N" },
    { "debug-info", 0, 0, G_OPTION_ARG_FILENAME, &debug_info,
      "source lines and inlined functions, out of the kernel's vmlinux with DWARF",
      "FILE" },
    { "frame-pointers", 0, 0, G_OPTION_ARG_NONE, &frame_pointers,
      "follow rbp through user code that has no .eh_frame (frames marked ?)", NULL },
    { "kernel", 'k', 0, G_OPTION_ARG_NONE, &kernel_only, "the kernel's stacks alone",
      NULL },
    { "registers", 'r', 0, G_OPTION_ARG_NONE, &registers,
      "with the registers of what was interrupted", NULL },
    { NULL },
};

static gboolean
show_cpus(MoseBtShow *show, MoseOrc *orc, GPtrArray **ret_keep, GError **error)
{
    GPtrArray *traces = *ret_keep = mose_backtrace_cpus(orc, show->user, error);
    guint n = 0;

    for (guint i = 0; traces && i < traces->len; i++) {
        const MoseCpuTrace *trace = traces->pdata[i];

        if (cpu >= 0 && trace->cpu != (guint)cpu)
            continue;
        mose_bt_show(show, trace->task, (int)trace->cpu, trace->trace, trace->error);
        n++;
    }
    if (traces && n == 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "there is no CPU %d", cpu);
    return n > 0;
}

static gboolean
show_all(MoseBtShow *show, MoseOrc *orc, GPtrArray **ret_keep, GError **error)
{
    GPtrArray *tasks = *ret_keep = mose_tasks_read(show->kernel, TRUE, NULL, error);

    for (guint i = 0; tasks && i < tasks->len; i++) {
        g_autoptr(GError) cause = NULL;
        g_autoptr(MoseBacktrace) trace =
            mose_backtrace_any(orc, tasks->pdata[i], show->user, &cause);

        mose_bt_show(show, tasks->pdata[i], -1, trace, cause);
    }
    return tasks != NULL;
}

static gboolean
show_tasks(MoseBtShow *show, MoseOrc *orc, char **words, GPtrArray **ret_keep,
           GError **error)
{
    *ret_keep = g_ptr_array_new_with_free_func((GDestroyNotify)mose_task_free);
    for (; *words; words++) {
        MoseTask *task = mose_task_find(show->kernel, *words, error);
        g_autoptr(MoseBacktrace) trace = NULL;

        if (!task)
            return FALSE;
        g_ptr_array_add(*ret_keep, task);
        trace = mose_backtrace_any(orc, task, show->user, error);
        if (!trace)
            return FALSE;
        mose_bt_show(show, task, -1, trace, NULL);
    }
    return TRUE;
}

/* *@ret_keep: what @show still refers to. */
static gboolean
show_wanted(MoseBtShow *show, char **words, GPtrArray **ret_keep, GError **error)
{
    g_autoptr(MoseOrc) orc = mose_orc_new(show->kernel, error);

    if (!orc || !mose_bt_show_use(show, debug_info, error))
        return FALSE;
    if (all)
        return show_all(show, orc, ret_keep, error);
    return words[0] ? show_tasks(show, orc, words, ret_keep, error)
                    : show_cpus(show, orc, ret_keep, error);
}

int
mose_cmd_bt(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GPtrArray) keep = NULL;
    g_auto(MoseBtShow) show = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = NULL;
    g_autofree char *text = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, -1, &ret))
        return ret;
    if ((argc > 2) + all + (cpu >= 0) > 1) {
        fprintf(stderr, "mose bt: name tasks, or give --all or --cpu\n");
        return MOSE_EXIT_USAGE;
    }
    if (!mose_look_open_linux(&look, argv[1], &error))
        return mose_look_fail(&look, error);
    mose_bt_show_init(&show, look.kernel);
    show.registers = registers;
    show.user = !kernel_only;
    show.frame_pointers = frame_pointers;
    if (!show_wanted(&show, argv + 2, &keep, &error))
        return mose_look_fail(&look, error);
    if (mose_cli_json()) {
        object = mose_json_object("traces", "a", json_array_ref(show.list),
                                  "stopped-us", "i", mose_exact_stop_us(), NULL);
        text = mose_json_text(object, TRUE);
        puts(text);
    }
    return MOSE_EXIT_DONE;
}

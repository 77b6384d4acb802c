/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose bt: where the tasks and CPUs of a guest are, and how they came there. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/error.h"
#include "util/json.h"
#include "vmi/exact.h"
#include "vmi/linux/trace.h"

static gboolean all, registers;
static int cpu = -1;

static const GOptionEntry entries[] = {
    { "all", 'a', 0, G_OPTION_ARG_NONE, &all, "every thread there is", NULL },
    { "cpu", 'c', 0, G_OPTION_ARG_INT, &cpu, "what runs on this CPU", "N" },
    { "registers", 'r', 0, G_OPTION_ARG_NONE, &registers,
      "with the registers of what was interrupted", NULL },
    { NULL },
};

/* As pt_regs has them; shown four in a line. */
static const struct {
    guint8 word;
    const char *name;
} shown[] = {
    { MOSE_REGS_IP, "rip" },       { MOSE_REGS_SP, "rsp" },
    { MOSE_REGS_FLAGS, "rflags" }, { MOSE_REGS_CS, "cs" },
    { MOSE_REGS_SS, "ss" },        { MOSE_REGS_ORIG_AX, "orig_rax" },
    { MOSE_REGS_AX, "rax" },       { MOSE_REGS_BX, "rbx" },
    { MOSE_REGS_CX, "rcx" },       { MOSE_REGS_DX, "rdx" },
    { MOSE_REGS_SI, "rsi" },       { MOSE_REGS_DI, "rdi" },
    { MOSE_REGS_BP, "rbp" },       { MOSE_REGS_R8, "r8" },
    { MOSE_REGS_R9, "r9" },        { MOSE_REGS_R10, "r10" },
    { MOSE_REGS_R11, "r11" },      { MOSE_REGS_R12, "r12" },
    { MOSE_REGS_R13, "r13" },      { MOSE_REGS_R14, "r14" },
    { MOSE_REGS_R15, "r15" },
};
/* Those before it are pushed by the CPU. */
#define N_PUSHED 5

/* --- as JSON --- */

static JsonObject *
registers_json(const guint64 *words, gboolean partial)
{
    JsonObject *object = json_object_new();

    for (guint i = 0; i < (partial ? N_PUSHED : G_N_ELEMENTS(shown)); i++)
        mose_table_set_hex(object, shown[i].name, words[shown[i].word]);
    return object;
}

static JsonObject *
frame_json(MoseLinux *kernel, const MoseFrame *frame)
{
    g_autofree char *name = mose_frame_name(kernel, frame);
    JsonObject *object = mose_json_object("name", "s", name, NULL);

    mose_table_set_hex(object, "ip", frame->ip);
    if (frame->stack)
        json_object_set_string_member(object, "stack", frame->stack);
    if (frame->regs) {
        mose_table_set_hex(object, "pt_regs", frame->regs);
        json_object_set_object_member(object, "registers",
                                      registers_json(frame->words, frame->partial));
    }
    return object;
}

static void
add_trace_json(MoseLinux *kernel, const MoseTrace *trace, JsonObject *object)
{
    JsonArray *frames = json_array_new();

    for (guint i = 0; i < trace->frames->len; i++)
        json_array_add_object_element(
            frames, frame_json(kernel, &g_array_index(trace->frames, MoseFrame, i)));
    json_object_set_array_member(object, "frames", frames);
    if (trace->why)
        json_object_set_string_member(object, "incomplete", trace->why);
    if (trace->from_user)
        json_object_set_object_member(object, "user-registers",
                                      registers_json(trace->user, FALSE));
}

/* --- as text --- */

static void
print_registers(const guint64 *words, gboolean partial)
{
    guint n = partial ? N_PUSHED : G_N_ELEMENTS(shown);

    for (guint i = 0; i < n; i++)
        printf("%s%8s %016" G_GINT64_MODIFIER "x%s", i % 3 == 0 ? "    " : " ",
               shown[i].name, words[shown[i].word],
               i % 3 == 2 || i + 1 == n ? "\n" : "");
}

/* The kernel writes a change of stacks so, too. */
static const char *
print_change(const char *before, const char *now)
{
    const char *task = "task";

    if (g_strcmp0(before, now) == 0)
        return before;
    if (before && strcmp(before, task) != 0)
        printf("  </%s>\n", before);
    if (now && strcmp(now, task) != 0)
        printf("  <%s>\n", now);
    return now;
}

static void
print_trace(MoseLinux *kernel, const MoseTrace *trace)
{
    const char *stack = NULL;

    for (guint i = 0; i < trace->frames->len; i++) {
        const MoseFrame *frame = &g_array_index(trace->frames, MoseFrame, i);
        g_autofree char *name = mose_frame_name(kernel, frame);

        stack = print_change(stack, frame->stack);
        printf("  #%-2u %s%s\n", i, name, frame->regs ? "  (interrupted)" : "");
        if (registers && frame->regs)
            print_registers(frame->words, frame->partial);
    }
    if (trace->why)
        printf("  -- it cannot be followed further: %s\n", trace->why);
    if (trace->from_user) {
        printf("  -- user code at 0x%" G_GINT64_MODIFIER "x\n",
               trace->user[MOSE_REGS_IP]);
        if (registers)
            print_registers(trace->user, FALSE);
    }
}

/* --- one --- */

/* @error: why there is no @trace. */
static void
show(MoseLinux *kernel, const MoseTask *task, int on_cpu, const MoseTrace *trace,
     const GError *error, JsonArray *list)
{
    JsonObject *object;
    g_autofree char *where = on_cpu < 0 ? NULL : g_strdup_printf(", on CPU %d", on_cpu);
    const char state[] = { task ? task->state : '?', '\0' };

    if (!mose_cli_json()) {
        printf("%s%d (%s) %s%s\n", json_array_get_length(list) ? "\n" : "",
               task ? task->pid : -1, task ? task->comm : "?", state,
               where ? where : "");
        if (trace)
            print_trace(kernel, trace);
        else
            printf("  -- %s\n", error->message);
        json_array_add_boolean_element(list, TRUE);
        return;
    }
    object = json_object_new();
    if (task) {
        json_object_set_int_member(object, "pid", task->pid);
        json_object_set_string_member(object, "comm", task->comm);
        json_object_set_string_member(object, "state", state);
        mose_table_set_hex(object, "task", task->address);
    }
    if (on_cpu >= 0)
        json_object_set_int_member(object, "cpu", on_cpu);
    if (trace)
        add_trace_json(kernel, trace, object);
    else
        json_object_set_object_member(object, "error",
                                      mose_cli_error_json(error, NULL));
    json_array_add_object_element(list, object);
}

/* --- which --- */

static gboolean
show_cpus(MoseOrc *orc, JsonArray *list, GError **error)
{
    g_autoptr(GPtrArray) traces = mose_trace_cpus(orc, error);
    guint n = 0;

    for (guint i = 0; traces && i < traces->len; i++) {
        const MoseCpuTrace *trace = traces->pdata[i];

        if (cpu >= 0 && trace->cpu != (guint)cpu)
            continue;
        show(mose_orc_kernel(orc), trace->task, trace->cpu, trace->trace, trace->error,
             list);
        n++;
    }
    if (traces && n == 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "there is no CPU %d", cpu);
    return n > 0;
}

static gboolean
show_all(MoseOrc *orc, JsonArray *list, GError **error)
{
    g_autoptr(GPtrArray) tasks =
        mose_tasks_read(mose_orc_kernel(orc), TRUE, NULL, error);

    for (guint i = 0; tasks && i < tasks->len; i++) {
        g_autoptr(GError) cause = NULL;
        g_autoptr(MoseTrace) trace = mose_trace_any(orc, tasks->pdata[i], &cause);

        show(mose_orc_kernel(orc), tasks->pdata[i], -1, trace, cause, list);
    }
    return tasks != NULL;
}

static gboolean
show_task(MoseOrc *orc, const char *word, JsonArray *list, GError **error)
{
    g_autoptr(MoseTask) task = mose_task_find(mose_orc_kernel(orc), word, error);
    g_autoptr(MoseTrace) trace = task ? mose_trace_any(orc, task, error) : NULL;

    if (trace)
        show(mose_orc_kernel(orc), task, -1, trace, NULL, list);
    return trace != NULL;
}

static gboolean
show_wanted(MoseOrc *orc, char **words, JsonArray *list, GError **error)
{
    if (all)
        return show_all(orc, list, error);
    if (!words[0])
        return show_cpus(orc, list, error);
    for (guint i = 0; words[i]; i++)
        if (!show_task(orc, words[i], list, error))
            return FALSE;
    return TRUE;
}

int
mose_cmd_bt(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseOrc) orc = NULL;
    JsonArray *list = json_array_new();
    g_autoptr(JsonObject) object = mose_json_object("traces", "a", list, NULL);
    g_autofree char *text = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, -1, &ret))
        return ret;
    if ((argc > 2) + all + (cpu >= 0) > 1) {
        fprintf(stderr, "mose bt: name tasks, or give --all or --cpu\n");
        return MOSE_EXIT_USAGE;
    }
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(orc = mose_orc_new(look.kernel, &error)) ||
        !show_wanted(orc, argv + 2, list, &error))
        return mose_look_fail(&look, error);
    if (mose_cli_json()) {
        json_object_set_int_member(object, "stopped-us", mose_exact_stop_us());
        text = mose_json_text(object, TRUE);
        puts(text);
    }
    return MOSE_EXIT_DONE;
}

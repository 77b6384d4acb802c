/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stacks of a guest that has panicked in an NMI, against the one that its kernel
 * wrote into its log, with registers. */
#include <string.h>

#include "guest/guest.h"
#include "qemu/command.h"
#include "util/json.h"
#include "vm/vmi-bt.h"

/* What follows the time in a line of the log; "" for one without. */
static const char *
after_time(const char *line)
{
    const char *end = line[0] == '[' ? strstr(line, "] ") : NULL;

    return end ? end + 2 : "";
}

/* A frame in the log. */
typedef struct {
    char *name;
    char
        *stack; /* as `mose bt` calls it; NULL: it is one that was interrupted, whose
                 * registers are there, and which is said before the change of stacks */
} Logged;

static void
logged_clear(gpointer data)
{
    Logged *logged = data;

    g_free(logged->name);
    g_free(logged->stack);
}

static void
add_logged(GArray *frames, const char *name, const char *stack)
{
    Logged logged = { g_strdup(name), g_strdup(stack) };

    g_array_append_val(frames, logged);
}

/* " <IRQ>" begins one, and " </IRQ>" that of the task, which has no line of its own
 * before Linux 5.12; FALSE: it is no such line. */
static gboolean
begins_stack(const char *text, char **stack)
{
    const char *name = g_str_has_prefix(text, " <") ? text + 2 : NULL;

    if (!name || !strchr(name, '>'))
        return FALSE;
    g_free(*stack);
    *stack = *name == '/' || g_str_has_prefix(name, "TASK>")
                 ? g_strdup("task")
                 : g_strndup(name, strcspn(name, ">"));
    return TRUE;
}

/* The lines between "Call Trace:" and the end of the last stack that are frames. */
static GArray *
logged_frames(const VmGuest *vm)
{
    GArray *frames = g_array_new(FALSE, FALSE, sizeof(Logged));
    g_autofree char *log = NULL, *stack = NULL;
    g_auto(GStrv) lines = NULL;
    char **line;

    g_array_set_clear_func(frames, logged_clear);
    g_assert_true(g_file_get_contents(vm->console, &log, NULL, NULL));
    lines = g_strsplit_set(log, "\r\n", -1);
    for (line = lines; *line && !strstr(*line, "Call Trace:"); line++)
        ;
    for (; *line && !strstr(*line, "Kernel Offset"); line++) {
        const char *text = after_time(*line);

        if (g_str_has_prefix(text, "RIP: 0010:"))
            add_logged(frames, text + strlen("RIP: 0010:"), NULL);
        else if (!begins_stack(text, &stack) && g_str_has_prefix(text, " ") &&
                 strstr(text, "+0x") && !strstr(text, " ? "))
            add_logged(frames, text + strspn(text, " "), stack);
    }
    return frames;
}

/* A register in the log: "RAX: 0000000000000000 RBX: ..."; the first time. */
static guint64
logged_register(const VmGuest *vm, const char *rip, const char *key)
{
    g_autofree char *log = NULL;
    const char *at;

    g_assert_true(g_file_get_contents(vm->console, &log, NULL, NULL));
    at = strstr(log, rip);
    at = at ? strstr(at, key) : NULL;
    g_assert_nonnull(at);
    at += strlen(key);
    /* "RSP: 0018:ffffffff82803e88" */
    return g_ascii_strtoull(
        strchr("0123456789abcdef", at[0]) && at[4] == ':' ? at + 5 : at, NULL, 16);
}

static void
check_registers(const VmGuest *vm, const char *rip, JsonObject *registers)
{
    static const char *const names[][2] = {
        { "RSP: ", "rsp" }, { "RAX: ", "rax" }, { "RBX: ", "rbx" }, { "RCX: ", "rcx" },
        { "RDX: ", "rdx" }, { "RSI: ", "rsi" }, { "RDI: ", "rdi" }, { "RBP: ", "rbp" },
        { "R08: ", "r8" },  { "R09: ", "r9" },  { "R10: ", "r10" }, { "R11: ", "r11" },
        { "R12: ", "r12" }, { "R13: ", "r13" }, { "R14: ", "r14" }, { "R15: ", "r15" },
    };

    g_assert_nonnull(registers);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_cmphex(
            g_ascii_strtoull(mose_json_string(registers, names[i][1], ""), NULL, 16),
            ==, logged_register(vm, rip, names[i][0]));
}

/* What the panicking CPU wrote, from where both are the same on. */
static void
check_panicked(const VmGuest *vm, JsonArray *frames)
{
    g_autoptr(GArray) logged = logged_frames(vm);
    guint ours = bt_find_frame(frames, "exc_nmi"), theirs = 0;

    while (theirs < logged->len &&
           !g_str_has_prefix(g_array_index(logged, Logged, theirs).name, "exc_nmi+"))
        theirs++;
    g_assert_cmpuint(theirs, <, logged->len);
    g_assert_cmpuint(ours, !=, G_MAXUINT);
    for (; theirs < logged->len; theirs++, ours++) {
        const Logged *line = &g_array_index(logged, Logged, theirs);
        JsonObject *frame;

        g_assert_cmpuint(ours, <, json_array_get_length(frames));
        frame = mose_json_element(frames, ours);
        g_assert_cmpstr(mose_json_string(frame, "name", ""), ==, line->name);
        if (line->stack)
            g_assert_cmpstr(mose_json_string(frame, "stack", ""), ==, line->stack);
        else
            check_registers(vm, line->name, mose_json_child(frame, "registers"));
    }
    g_assert_cmpuint(ours, ==, json_array_get_length(frames));
}

/* The others were stopped in an interrupt, whose stack leads back to the idle loop, or
 * to where a thread begins, or into user code. */
static void
check_stopped(JsonObject *trace)
{
    JsonArray *frames = mose_json_array(trace, "frames");
    guint last = json_array_get_length(frames) - 1;
    gboolean idle = mose_json_int(trace, "pid", -1) == 0;
    guint entry = bt_find_frame(frames, "asm_sysvec_reboot");

    g_assert_cmpuint(entry, !=, G_MAXUINT);
    g_assert_cmpstr(mose_json_string(mose_json_element(frames, 0), "stack", ""), ==,
                    "IRQ");
    g_assert_cmpstr(mose_json_string(mose_json_element(frames, entry), "stack", ""), ==,
                    "task");
    if (mose_json_child(trace, "user-registers"))
        return;
    g_assert_nonnull(
        mose_json_child(mose_json_element(frames, entry + 1), "registers"));
    g_assert_nonnull(
        strstr(bt_frame_name(frames, last), idle ? "startup_64" : "ret_from_fork"));
    if (idle)
        g_assert_cmpuint(bt_find_frame(frames, "do_idle"), >, entry);
}

/* Of a guest of its own, for it does not get over it. */
void
test_nmi(const KernelsGuest *guest)
{
    g_autofree char *name = g_strconcat("nmi-", guest->vm->name, NULL);
    g_autoptr(VmGuest) vm = kernels_guest(name, guest->kernel, guest->n_vcpus, NULL);
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(MoseQmp) qmp = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) all = NULL;
    JsonArray *traces;
    guint panicked = 0;

    if (!vm)
        return;
    vm_shell(vm, "echo 1 >/proc/sys/kernel/unknown_nmi_panic");
    opened = mose_guest_open(vm->name, MOSE_GUEST_LOOK, &error);
    g_assert_no_error(error);
    qmp = mose_guest_connect(opened, MOSE_MONITOR_QUERY, &error);
    g_assert_no_error(error);
    mose_qmp_run(qmp, "inject-nmi", NULL, &error);
    g_assert_no_error(error);
    g_clear_pointer(&qmp, mose_qmp_free);
    /* Before Linux 5.15 what comes after that is not printed in an NMI. */
    vm_wait_console(
        vm, kernels_is_older(guest, 5, 15) ? "Kernel Offset" : "end Kernel panic", 60);
    traces = bt_traces_of(vm, NULL, &all);
    g_assert_cmpuint(json_array_get_length(traces), ==, guest->n_vcpus);
    for (guint i = 0; i < guest->n_vcpus; i++) {
        JsonArray *frames = mose_json_array(mose_json_element(traces, i), "frames");

        g_assert_null(
            mose_json_string(mose_json_element(traces, i), "incomplete", NULL));
        if (bt_find_frame(frames, "exc_nmi") != G_MAXUINT) {
            panicked++;
            check_panicked(vm, frames);
        } else {
            check_stopped(mose_json_element(traces, i));
        }
    }
    g_assert_cmpuint(panicked, ==, 1);
}

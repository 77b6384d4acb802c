/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stacks as text and as JSON. See bt-show.h. The text is made of the JSON. */
#include "cli/bt-show.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/source-lines.h"
#include "cli/table.h"
#include "util/error.h"
#include "util/json.h"

/* As pt_regs has them; those that the CPU pushes come first. */
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
#define N_PUSHED 5

void
mose_bt_show_init(MoseBtShow *show, MoseLinux *kernel)
{
    show->kernel = kernel;
    show->list = json_array_new();
    show->users = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                        (GDestroyNotify)mose_user_free);
}

void
mose_bt_show_clear(MoseBtShow *show)
{
    g_clear_pointer(&show->list, json_array_unref);
    g_clear_pointer(&show->users, g_hash_table_unref);
    g_clear_pointer(&show->debug_info, mose_debug_info_free);
}

gboolean
mose_bt_show_use(MoseBtShow *show, const char *path, GError **error)
{
    return mose_source_lines_open(show->kernel, path, &show->debug_info, &show->moved,
                                  error);
}

/* --- the kernel's half --- */

static JsonObject *
registers_json(const guint64 *words, gboolean partial)
{
    JsonObject *object = json_object_new();

    for (guint i = 0; i < (partial ? N_PUSHED : G_N_ELEMENTS(shown)); i++)
        mose_table_set_hex(object, shown[i].name, words[shown[i].word]);
    return object;
}

static JsonObject *
frame_json(const MoseBtShow *show, const MoseFrame *frame)
{
    g_autofree char *name = mose_frame_name(show->kernel, frame);
    JsonObject *object = mose_json_object("name", "s", name, NULL);

    mose_table_set_hex(object, "ip", frame->ip);
    if (frame->stack)
        json_object_set_string_member(object, "stack", frame->stack);
    if (frame->regs) {
        mose_table_set_hex(object, "pt_regs", frame->regs);
        json_object_set_object_member(object, "registers",
                                      registers_json(frame->words, frame->partial));
    }
    if (show->debug_info)
        mose_source_lines_add(show->debug_info,
                              frame->ip - (frame->exact ? 0 : 1) - show->moved, object);
    return object;
}

/* --- the task's own --- */

static MoseUser *
user_of(MoseBtShow *show, const MoseTask *task, GError **error)
{
    MoseUser *user = g_hash_table_lookup(show->users, &task->mm);

    if (!user) {
        user = mose_user_new(show->kernel, task, error);
        if (user)
            g_hash_table_insert(show->users, g_memdup2(&task->mm, sizeof(task->mm)),
                                user);
    }
    return user;
}

static JsonObject *
user_frame_json(MoseUser *user, const MoseUserFrame *frame)
{
    g_autofree char *name = mose_user_frame_name(user, frame);
    JsonObject *object = mose_json_object("name", "s", name, NULL);

    mose_table_set_hex(object, "ip", frame->ip);
    if (frame->signal)
        json_object_set_boolean_member(object, "signal", TRUE);
    if (frame->guessed)
        json_object_set_boolean_member(object, "guessed", TRUE);
    return object;
}

static void
add_user(MoseBtShow *show, const MoseTask *task, const MoseBacktrace *trace,
         JsonObject *object)
{
    JsonArray *list = json_array_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *why = NULL;
    g_autoptr(GArray) frames = NULL;
    MoseUser *user = user_of(show, task, &error);

    if (user)
        frames = mose_user_trace(user, trace, show->frame_pointers, &why);
    for (guint i = 0; frames && i < frames->len; i++)
        json_array_add_object_element(
            list, user_frame_json(user, &g_array_index(frames, MoseUserFrame, i)));
    json_object_set_array_member(object, "user-frames", list);
    if (error || why)
        json_object_set_string_member(object, "user-incomplete",
                                      error ? error->message : why);
}

/* --- both --- */

static void
add_trace(MoseBtShow *show, const MoseTask *task, const MoseBacktrace *trace,
          JsonObject *object)
{
    JsonArray *frames = json_array_new();

    for (guint i = 0; i < trace->frames->len; i++)
        json_array_add_object_element(
            frames, frame_json(show, &g_array_index(trace->frames, MoseFrame, i)));
    json_object_set_array_member(object, "frames", frames);
    if (trace->why)
        json_object_set_string_member(object, "incomplete", trace->why);
    if (!trace->from_user)
        return;
    json_object_set_object_member(object, "user-registers",
                                  registers_json(trace->user, FALSE));
    if (show->user && task)
        add_user(show, task, trace, object);
}

static JsonObject *
to_json(MoseBtShow *show, const MoseTask *task, int cpu, const MoseBacktrace *trace,
        const GError *error)
{
    JsonObject *object = json_object_new();

    if (task) {
        const char state[] = { task->state, '\0' };

        json_object_set_int_member(object, "pid", task->pid);
        json_object_set_string_member(object, "comm", task->comm);
        json_object_set_string_member(object, "state", state);
        mose_table_set_hex(object, "task", task->address);
    }
    if (cpu >= 0)
        json_object_set_int_member(object, "cpu", cpu);
    if (trace)
        add_trace(show, task, trace, object);
    else
        json_object_set_object_member(object, "error",
                                      mose_cli_error_json(error, NULL));
    return object;
}

/* --- as text --- */

static void
print_registers(JsonObject *registers)
{
    guint n = json_object_get_size(registers);

    for (guint i = 0; i < n; i++)
        printf("%s%8s %-18s%s", i % 3 == 0 ? "      " : "  ", shown[i].name,
               mose_json_string(registers, shown[i].name, ""),
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
print_frames(const MoseBtShow *show, JsonArray *frames)
{
    const char *stack = NULL;

    for (guint i = 0; i < json_array_get_length(frames); i++) {
        JsonObject *frame = mose_json_element(frames, i);
        JsonObject *registers = mose_json_child(frame, "registers");

        stack = print_change(stack, mose_json_string(frame, "stack", NULL));
        printf("  #%-2u %s%s\n", i, mose_json_string(frame, "name", ""),
               registers ? "  (interrupted)" : "");
        mose_source_lines_print(frame, "      ");
        if (show->registers && registers)
            print_registers(registers);
    }
}

static void
print_user_frames(JsonArray *frames, guint first)
{
    for (guint i = 0; i < json_array_get_length(frames); i++) {
        JsonObject *frame = mose_json_element(frames, i);

        printf("  #%-2u %s%s%s\n", first + i,
               mose_json_bool(frame, "guessed", FALSE) ? "? " : "",
               mose_json_string(frame, "name", ""),
               mose_json_bool(frame, "signal", FALSE) ? "  (signal handler)" : "");
    }
}

static void
print_why(const char *why)
{
    if (why)
        printf("  -- it cannot be followed further: %s\n", why);
}

static void
print_text(const MoseBtShow *show, JsonObject *object)
{
    JsonArray *frames = mose_json_array(object, "frames");
    JsonArray *user_frames = mose_json_array(object, "user-frames");
    JsonObject *registers = mose_json_child(object, "user-registers");
    JsonObject *error = mose_json_child(object, "error");

    printf("%s%" G_GINT64_FORMAT " (%s) %s",
           json_array_get_length(show->list) > 0 ? "\n" : "",
           mose_json_int(object, "pid", -1), mose_json_string(object, "comm", "?"),
           mose_json_string(object, "state", "?"));
    if (json_object_has_member(object, "cpu"))
        printf(", on CPU %" G_GINT64_FORMAT, mose_json_int(object, "cpu", 0));
    putchar('\n');
    if (error)
        printf("  -- %s\n", mose_json_string(error, "message", ""));
    if (frames)
        print_frames(show, frames);
    print_why(mose_json_string(object, "incomplete", NULL));
    if (registers)
        printf("  -- user code at %s\n", mose_json_string(registers, "rip", ""));
    if (registers && show->registers)
        print_registers(registers);
    if (user_frames)
        print_user_frames(user_frames, json_array_get_length(frames));
    print_why(mose_json_string(object, "user-incomplete", NULL));
}

void
mose_bt_show(MoseBtShow *show, const MoseTask *task, int cpu,
             const MoseBacktrace *trace, const GError *error)
{
    JsonObject *object = to_json(show, task, cpu, trace, error);

    if (!mose_cli_json())
        print_text(show, object);
    json_array_add_object_element(show->list, object);
}

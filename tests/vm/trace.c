/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mose trace on a real guest: what the trace says was executed is a way that the code
 * can go, step by step. Each block is followed by what its last instruction leads to,
 * or by the kernel's entry for an interrupt or a fault; each return goes where the word
 * that it has read says.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/plugin.h"
#include "lib/vm.h"
#include "trace/reader.h"
#include "util/json.h"
#include "vmi/disassemble.h"
#include "vmi/linux/tasks.h"
#include "vmi/linux/user.h"

static VmGuest *the_guest;

static VmGuest *
traced_guest(void)
{
    if (the_guest)
        return the_guest;
    the_guest = vm_guest_new("traced");
    vm_run(the_guest, "--accel tcg", "-smp 2", "tsc=reliable");
    vm_wait_console(the_guest, "MOSE-GUEST READY", 120);
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", the_guest->name, NULL), ==, 0);
    return the_guest;
}

/* --- a way that the code can go --- */

typedef struct {
    guint64 address, end; /* of a block's last instruction */
    gboolean has_target;
    guint64 target;
    char text[64];
} Last;

static void
take_last(const MoseInstruction *instruction, gpointer data)
{
    Last *last = data;

    last->address = instruction->address;
    last->end = instruction->address + instruction->size;
    last->has_target = instruction->has_target;
    last->target = instruction->target;
    g_strlcpy(last->text, instruction->text, sizeof(last->text));
}

static void
last_of(const MoseTraceBlock *block, Last *ret)
{
    gsize len = 0, done;

    for (guint i = 0; i < block->n; i++)
        len += block->lengths[i];
    g_assert_true(mose_disassemble(64, block->address, block->bytes, len, len,
                                   take_last, ret, &done, NULL));
}

static gboolean
begins(const char *text, const char *with)
{
    return g_str_has_prefix(text, with);
}

/* Where only the processor leads: an entry of the kernel's for what may come at any
 * instruction (Linux arch/x86/entry/entry_64.S). */
static gboolean
is_entry(const MoseTrace *trace, guint64 address)
{
    MoseTraceFound found;

    return mose_trace_name(trace, MOSE_TRACE_NO_TASK, address, &found) &&
           found.symbol &&
           (begins(found.symbol->name, "asm_") ||
            begins(found.symbol->name, "irq_entries_start") ||
            begins(found.symbol->name, "spurious_entries_start"));
}

typedef struct {
    guint64 direct, onward, returns, indirect, entries, cut, wrong;
} Ways;

/* @last was executed to its end; @read: the word that it has read last. */
static gboolean
may_follow(const Last *last, const guint64 *read, guint64 next, Ways *ways)
{
    const char *text = last->text;

    if (begins(text, "ret") && read) {
        ways->returns++;
        return next == *read;
    }
    if (begins(text, "ret") || begins(text, "iret") || begins(text, "sys") ||
        ((begins(text, "jmp") || begins(text, "call")) && !last->has_target)) {
        ways->indirect++;
        return TRUE;
    }
    /* By memory at RIP: the target told is that of the word. */
    if ((begins(text, "jmp") || begins(text, "call")) && strchr(text, '[')) {
        ways->indirect++;
        return TRUE;
    }
    if (begins(text, "jmp") || begins(text, "call")) {
        ways->direct++;
        return next == last->target;
    }
    /* A string instruction that is repeated is a block of its own each time. */
    if (begins(text, "rep") || begins(text, "j") || begins(text, "loop")) {
        ways->direct++;
        return next == last->end || next == last->target || next == last->address;
    }
    ways->onward++;
    return next == last->end;
}

static void
check_step(const MoseTrace *trace, const MoseTraceStep *step, const guint64 *read,
           guint64 next, Ways *ways)
{
    const MoseTraceBlock *block = mose_trace_block(trace, step->block);
    Last last = { 0 };

    if (is_entry(trace, next)) {
        ways->entries++;
        return;
    }
    if (step->executed < block->n) {
        ways->cut++;
        return;
    }
    last_of(block, &last);
    if (may_follow(&last, read, next, ways))
        return;
    ways->wrong++;
    g_test_message("%" G_GUINT64_FORMAT ": %s at 0x%" G_GINT64_MODIFIER
                   "x is followed by 0x%" G_GINT64_MODIFIER "x",
                   step->instruction, last.text, last.address, next);
}

static void
check_vcpu(const MoseTrace *trace, guint vcpu, Ways *ways)
{
    g_autoptr(MoseTraceCursor) cursor = mose_trace_cursor_new(trace, vcpu);
    g_autoptr(GError) error = NULL;
    MoseTraceStep step, before;
    guint64 word = 0, number = 0;
    gboolean has_before = FALSE, has_word = FALSE;

    while (mose_trace_cursor_next(cursor, &step, &error)) {
        g_assert_cmpuint(step.instruction, ==, number);
        g_assert_cmpuint(step.lost, ==, 0);
        number += step.executed;
        if (has_before)
            check_step(trace, &before, has_word ? &word : NULL,
                       mose_trace_block(trace, step.block)->address, ways);
        before = step;
        has_before = TRUE;
        has_word = step.n_accesses > 0 &&
                   step.accesses[step.n_accesses - 1].has_value &&
                   step.accesses[step.n_accesses - 1].size == 8;
        if (has_word)
            word = step.accesses[step.n_accesses - 1].value[0];
    }
    g_assert_no_error(error);
    g_assert_cmpuint(number, ==, mose_trace_instructions(trace, vcpu));
}

static char *
make_trace(const VmGuest *guest, const char *name, const char *const *options,
           JsonObject **ret)
{
    char *path = vm_path(name);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_autofree char *out = NULL;

    g_ptr_array_add(words, (gpointer) "trace");
    g_ptr_array_add(words, guest->name);
    g_ptr_array_add(words, (gpointer) "--output");
    g_ptr_array_add(words, path);
    g_ptr_array_add(words, (gpointer) "--json");
    for (; *options; options++)
        g_ptr_array_add(words, (gpointer)*options);
    g_ptr_array_add(words, NULL);
    g_assert_cmpint(vm_mosev(&out, NULL, (const char *const *)words->pdata), ==, 0);
    *ret = mose_json_parse(out, -1, "mose trace", NULL);
    g_assert_nonnull(*ret);
    return path;
}

static void
test_way(void)
{
    static const char *const options[] = { "--memory",   "--seconds", "1",
                                           "--patience", "10000",     NULL };
    g_autoptr(JsonObject) told = NULL;
    g_autoptr(MoseTrace) trace = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    guint64 instructions = 0;
    Ways ways = { 0 };

    if (plugin_cannot_run())
        return;
    vm_shell(traced_guest(),
             "for i in 1 2 3 4; do ls -lR /etc /bin; done >/dev/null &");
    path = make_trace(traced_guest(), "way.trace", options, &told);
    trace = mose_trace_open(path, &error);
    g_assert_no_error(error);
    g_assert_true(mose_trace_is_whole(trace, NULL));
    for (guint i = 0; i < mose_trace_info(trace)->n_vcpus; i++) {
        check_vcpu(trace, i, &ways);
        instructions += mose_trace_instructions(trace, i);
    }
    g_test_message("onward %" G_GUINT64_FORMAT ", direct %" G_GUINT64_FORMAT
                   ", returns %" G_GUINT64_FORMAT ", indirect %" G_GUINT64_FORMAT
                   ", entries %" G_GUINT64_FORMAT ", cut %" G_GUINT64_FORMAT
                   ", wrong %" G_GUINT64_FORMAT,
                   ways.onward, ways.direct, ways.returns, ways.indirect, ways.entries,
                   ways.cut, ways.wrong);
    g_assert_cmpuint(instructions, ==, mose_json_int(told, "instructions", -1));
    g_assert_cmpint(mose_json_int(told, "lost-blocks", -1), ==, 0);
    g_assert_cmpuint(ways.wrong, ==, 0);
    g_assert_cmpuint(ways.direct, >, 1000);
    g_assert_cmpuint(ways.onward, >, 100);
    g_assert_cmpuint(ways.returns, >, 100);
    g_assert_cmpuint(ways.entries, >, 0);
    json_object_unref(vm_assert_healthy(traced_guest()));
}

/* --- whose it is --- */

/* All that a process executes is its code, as its own memory has it, by its name. */
static void
check_process(const MoseTrace *trace, MoseUser *user, int pid)
{
    g_autoptr(MoseTraceMerge) merge = mose_trace_merge_new(trace);
    g_autoptr(GError) error = NULL;
    MoseTraceStep step;
    guint64 in_user = 0, in_kernel = 0, named = 0;

    while (mose_trace_merge_next(merge, &step, &error)) {
        const MoseTraceBlock *block = mose_trace_block(trace, step.block);
        const MoseTraceTask *task = mose_trace_task(trace, step.task);
        guint8 bytes[MOSE_TRACE_INSTRUCTION_LEN_MAX];
        MoseTraceFound found;

        g_assert_nonnull(task);
        g_assert_cmpint(task->pid, ==, pid);
        g_assert_cmpstr(task->name, ==, mose_user_task(user)->comm);
        if (block->address >> 63) {
            in_kernel++;
            continue;
        }
        in_user++;
        g_assert_true(
            mose_user_read(user, block->address, bytes, block->lengths[0], NULL, NULL));
        g_assert_cmpmem(bytes, block->lengths[0], block->bytes, block->lengths[0]);
        named += mose_trace_name(trace, step.task, block->address, &found) &&
                 found.object && strstr(found.object->object, "busybox");
    }
    g_assert_no_error(error);
    g_test_message("%" G_GUINT64_FORMAT " blocks in user space, %" G_GUINT64_FORMAT
                   " in the kernel",
                   in_user, in_kernel);
    g_assert_cmpuint(in_user, >, 1000);
    g_assert_cmpuint(in_kernel, >, 100);
    g_assert_cmpuint(named, ==, in_user);
}

static void
test_task(void)
{
    g_autoptr(MoseGuest) opened = NULL;
    g_autoptr(MoseMemory) memory = NULL;
    g_autoptr(MoseLinux) kernel = NULL;
    g_autoptr(MoseTask) task = NULL;
    g_autoptr(MoseUser) user = NULL;
    g_autoptr(JsonObject) told = NULL;
    g_autoptr(MoseTrace) trace = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *pid = NULL, *path = NULL;

    if (plugin_cannot_run())
        return;
    pid = vm_shell_output(traced_guest(),
                          "sh -c 'while :; do :; done' & sh -c 'while :; do :; done' "
                          "& echo $!");
    g_strchomp(pid);
    {
        const char *const options[] = { "--pid", pid, "--seconds", "1", NULL };

        path = make_trace(traced_guest(), "task.trace", options, &told);
    }
    opened = mose_guest_open("traced", MOSE_GUEST_LOOK, &error);
    g_assert_no_error(error);
    memory = mose_memory_of_guest(opened, &error);
    kernel = mose_linux_find(memory, &error);
    g_assert_no_error(error);
    task = mose_task_find(kernel, pid, &error);
    g_assert_no_error(error);
    user = mose_user_new(kernel, task, &error);
    g_assert_no_error(error);
    trace = mose_trace_open(path, &error);
    g_assert_no_error(error);
    check_process(trace, user, (int)g_ascii_strtoll(pid, NULL, 10));
    vm_shell(traced_guest(), "kill $(jobs -p)");
}

/* --- the command --- */

static void
test_until(void)
{
    static const char *const options[] = { "--kernel", "--instructions", "20000",
                                           NULL };
    g_autoptr(JsonObject) told = NULL;
    g_autofree char *path = NULL, *out = NULL;
    g_auto(GStrv) lines = NULL;
    guint n = 0;

    if (plugin_cannot_run())
        return;
    path = make_trace(traced_guest(), "until.trace", options, &told);
    g_assert_cmpint(mose_json_int(told, "instructions", 0), >=, 20000);
    g_assert_cmpint(
        vm_mose(&out, NULL, "trace", "show", path, "--vcpu", "0", "-n", "5", NULL), ==,
        0);
    lines = g_strsplit(g_strchomp(out), "\n", -1);
    for (char **line = lines; *line; line++)
        n += !strstr(*line, " --- ");
    g_assert_cmpuint(n, ==, 5);
    g_assert_nonnull(strstr(lines[0], " --- "));
    g_assert_true(g_str_has_prefix(lines[1], "0          0 ffffffff"));
}

static void
test_refused(void)
{
    g_autofree char *path = vm_path("there.trace"), *err = NULL;

    if (plugin_cannot_run())
        return;
    traced_guest();
    g_assert_true(g_file_set_contents(path, "mine", -1, NULL));
    g_assert_cmpint(vm_mose(NULL, &err, "trace", "traced", "-o", path, NULL), ==, 1);
    g_assert_nonnull(strstr(err, path));
    g_clear_pointer(&err, g_free);
    g_assert_cmpint(vm_mose(NULL, &err, "trace", "show", path, NULL), ==, 1);
    g_clear_pointer(&err, g_free);
    g_assert_cmpint(
        vm_mose(NULL, &err, "trace", "traced", "--function", "no_such_thing", NULL), ==,
        1);
    g_assert_nonnull(strstr(err, "no function no_such_thing"));
    g_clear_pointer(&err, g_free);
    g_assert_cmpint(vm_mose(NULL, &err, "trace", "traced", "-k", "-u", NULL), ==, 2);
    json_object_unref(vm_assert_healthy(traced_guest()));
}

/* What it had written by then can be read; the guest goes on, and can be switched. */
static void
test_killed(void)
{
    g_autofree char *path = vm_path("killed.trace"), *none = vm_path("none.trace"),
                    *err = NULL;
    const char *const words[] = { g_getenv("MOSE"), "trace", "traced", "-m",
                                  "--level",        "1",     "-o",     path,
                                  "--patience",     "60000", NULL };
    g_autoptr(MoseTrace) trace = NULL;
    g_autoptr(GError) error = NULL;
    GPid pid;
    int status;

    if (plugin_cannot_run())
        return;
    traced_guest();
    g_assert_true(g_spawn_async(NULL, (char **)words, NULL, G_SPAWN_DO_NOT_REAP_CHILD,
                                NULL, NULL, &pid, &error));
    g_usleep(1500000);
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status));
    json_object_unref(vm_assert_healthy(traced_guest()));
    trace = mose_trace_open(path, &error);
    g_assert_no_error(error);
    g_assert_false(mose_trace_is_whole(trace, NULL));
    g_assert_cmpint(vm_mose(NULL, NULL, "virtualize", "traced", NULL), ==, 0);
    json_object_unref(vm_assert_healthy(traced_guest()));
    /* There it cannot be traced, and no file is left of the try. */
    g_assert_cmpint(vm_mose(NULL, &err, "trace", "traced", "-o", none, NULL), ==, 1);
    g_assert_nonnull(strstr(err, "is not in the emulator"));
    g_assert_false(g_file_test(none, G_FILE_TEST_EXISTS));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/trace/way", test_way);
    g_test_add_func("/trace/task", test_task);
    g_test_add_func("/trace/until", test_until);
    g_test_add_func("/trace/refused", test_refused);
    g_test_add_func("/trace/killed", test_killed);
    return vm_run_tests();
}

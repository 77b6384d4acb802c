/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What crash says of the stack of each thread, and of what idles: return addresses and
 * functions. See vmi-crash.c. */
#include <string.h>

#include "lib/vm.h"
#include "util/json.h"
#include "vmi-crash.h"

/* --- ours --- */

/* One that has ended has no stack, for both. */
static void
append_trace(GPtrArray *lines, GHashTable *tasks, JsonObject *trace)
{
    g_autofree char *task = crash_row(trace, "task");
    JsonArray *frames = mose_json_array(trace, "frames");
    g_autoptr(GString) line = g_string_new(task);

    if (!g_hash_table_add(tasks, g_strdup(task)))
        return;
    for (guint i = 0; frames && i < json_array_get_length(frames); i++) {
        g_autofree char *ip = crash_row(mose_json_element(frames, i), "ip");

        g_string_append_printf(line, " %s", ip);
    }
    g_ptr_array_add(lines, g_strdup(line->str));
}

/* "ADDRESS FUNCTION" of a frame: where it returns to, less how far that is in it. */
static void
add_function(GHashTable *functions, JsonObject *frame)
{
    const char *name = mose_json_string(frame, "name", "");
    const char *plus = strchr(name, '+');
    guint64 ip = g_ascii_strtoull(mose_json_string(frame, "ip", ""), NULL, 16);

    if (plus)
        g_hash_table_insert(functions, crash_row(frame, "ip"),
                            g_strdup_printf("%" G_GINT64_MODIFIER "x",
                                            ip - g_ascii_strtoull(plus + 1, NULL, 16)));
}

static void
take_traces(const CrashWorld *world, const char *option, GPtrArray *lines,
            GHashTable *tasks, GHashTable *functions)
{
    g_autoptr(JsonObject) object = crash_mose(world, "bt", option);
    JsonArray *traces = crash_array(object, "traces");

    for (guint i = 0; i < json_array_get_length(traces); i++) {
        JsonObject *trace = mose_json_element(traces, i);
        JsonArray *frames = mose_json_array(trace, "frames");

        append_trace(lines, tasks, trace);
        for (guint n = 0; frames && n < json_array_get_length(frames); n++)
            add_function(functions, mose_json_element(frames, n));
    }
}

/* --- theirs --- */

/* A frame, and what was interrupted in the kernel. */
#define FRAME                                                                          \
    "^(?: *#\\d+ \\[\\S+\\] (\\S+) at |    \\[exception RIP: ([^+]+)\\+.*\\]\\n    "   \
    "RIP: )"                                                                           \
    "([0-9a-f]{16})"

static void
append_stack(GPtrArray *lines, GHashTable *tasks, const char *text)
{
    g_autoptr(GPtrArray) task = crash_lines(text, "\\A\\d+ +TASK: (\\S+) ", "\\1");
    g_autoptr(GPtrArray) frames = crash_lines(text, FRAME, "\\3");
    g_autoptr(GString) line = NULL;

    /* What comes before the first; and what idles where something else runs. */
    if (task->len == 0 || !g_hash_table_contains(tasks, g_ptr_array_index(task, 0)))
        return;
    line = g_string_new(g_ptr_array_index(task, 0));
    for (guint i = 0; i < frames->len; i++)
        g_string_append_printf(line, " %s", (char *)g_ptr_array_index(frames, i));
    g_ptr_array_add(lines, g_strdup(line->str));
}

static GPtrArray *
their_stacks(const char *text, GHashTable *tasks)
{
    g_auto(GStrv) parts =
        g_regex_split_simple("^PID: ", text, G_REGEX_MULTILINE | G_REGEX_RAW, 0);
    GPtrArray *ret = g_ptr_array_new_with_free_func(g_free);

    for (char **part = parts; *part; part++)
        append_stack(ret, tasks, *part);
    return ret;
}

/* Of several names at one address each has its own choice. */
static void
assert_functions(GHashTable *functions, const char *text, const char *symbols)
{
    g_autoptr(GPtrArray) frames = crash_lines(text, FRAME, "\\3 \\1\\2");
    g_autoptr(GPtrArray) known =
        crash_lines(symbols, "^([0-9a-f]+) \\(.\\) ([^\\s.]+)", "\\1 \\2");
    g_autoptr(GHashTable) names =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, NULL);
    guint n = 0;

    for (guint i = 0; i < known->len; i++)
        g_hash_table_add(names, g_ptr_array_index(known, i));
    for (guint i = 0; i < frames->len; i++) {
        g_auto(GStrv) words = g_strsplit(g_ptr_array_index(frames, i), " ", 2);
        char *stem = strtok(words[1], ".");
        const char *start = g_hash_table_lookup(functions, words[0]);
        g_autofree char *wanted = g_strdup_printf("%s %s", start ? start : "-", stem);

        if (!start)
            continue; /* of a task that has been left out */
        if (!g_hash_table_contains(names, wanted))
            g_error("at %s is %s for crash, which does not begin at %s", words[0], stem,
                    start);
        n++;
    }
    g_assert_cmpuint(n, >, 0);
}

/* Nothing but the entry calls do_syscall_64() (Linux arch/x86/entry/entry_64.S): a
 * crash that shows something else there has taken a word that was left on the stack for
 * a return address, as it does where it does not know a kernel's ORC. */
static gboolean
is_guessed(const char *text)
{
    return g_regex_match_simple("^ *#\\d+ \\[\\S+\\] do_syscall_64 at .*\\n"
                                "(?! *#\\d+ \\[\\S+\\] entry_SYSCALL_64_)",
                                text, G_REGEX_MULTILINE | G_REGEX_RAW, 0);
}

void
test_crash_bt(const CrashWorld *world)
{
    const char *text = crash_task_answer(world, "foreach bt");
    const char *symbols = text ? crash_answer(world, "sym -l") : NULL;
    g_autoptr(GPtrArray) ours = g_ptr_array_new_with_free_func(g_free), theirs = NULL;
    g_autoptr(GHashTable) tasks =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) functions =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    if (!symbols)
        return;
    if (is_guessed(text)) {
        g_test_skip("this crash guesses at stacks: it shows what did not call");
        return;
    }
    take_traces(world, "--all", ours, tasks, functions);
    for (guint cpu = 0; cpu < CRASH_VCPUS; cpu++) {
        g_autofree char *option = g_strdup_printf("--cpu=%u", cpu);

        take_traces(world, option, ours, tasks, functions);
    }
    theirs = their_stacks(text, tasks);
    crash_compare("bt", ours, theirs);
    assert_functions(functions, text, symbols);
}

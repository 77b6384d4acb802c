/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What crash says of tasks and of what they have: state, mounts, files, mappings,
 * sockets. See vmi-crash.c. */
#include <string.h>

#include "lib/vm.h"
#include "util/json.h"
#include "vmi-crash.h"

#define ADDRESS "([0-9a-f]{16})"

const char *const crash_task_commands[] = {
    "mount -n 1",
    "mount -n @INSIDE",
    "foreach files",
    "foreach vm",
    "net",
    "foreach net -s",
    "foreach bt",
    "set @WITNESS",
    "rd -u -64 @MEMORY 8192",
    NULL,
};

/* --- one after the other --- */

/* The rows of processes, not of threads. */
static JsonObject *
processes(const CrashWorld *world)
{
    return crash_mose(world, "ps", NULL);
}

static gboolean
is_process(JsonArray *tasks, gint64 pid)
{
    for (guint i = 0; i < json_array_get_length(tasks); i++)
        if (mose_json_int(mose_json_element(tasks, i), "pid", -1) == pid)
            return TRUE;
    return FALSE;
}

GPtrArray *
crash_lines_of_each(const char *text, JsonArray *tasks, const char *pattern,
                    const char *format)
{
    g_auto(GStrv) parts =
        g_regex_split_simple("^PID: ", text, G_REGEX_MULTILINE | G_REGEX_RAW, 0);
    GPtrArray *ret = g_ptr_array_new_with_free_func(g_free);

    for (char **part = parts; *part; part++) {
        gint64 pid = g_ascii_strtoll(*part, NULL, 10);
        g_autoptr(GPtrArray) lines = crash_lines(*part, pattern, format);

        if (!is_process(tasks, pid))
            continue;
        for (guint i = 0; i < lines->len; i++)
            g_ptr_array_add(ret, g_strdup_printf("%" G_GINT64_FORMAT " %s", pid,
                                                 (char *)g_ptr_array_index(lines, i)));
    }
    return ret;
}

/* --- ps --- */

/* What crash calls a state (task.c, task_state_string()). */
static const char *
state_of(JsonObject *task)
{
    static const char states[] = "RSDTtXZIP";
    static const char *const names[] = { "RU", "IN", "UN", "ST", "TR",
                                         "DE", "ZO", "ID", "PA" };
    const char *state = mose_json_string(task, "state", "");
    const char *at = *state ? strchr(states, *state) : NULL;

    return at ? names[at - states] : state;
}

/* Threads of older kernels keep changes to themselves for a while (Linux 6.1
 * mm/memory.c, SPLIT_RSS_COUNTING). To crash they count, as they do not in /proc, which
 * MOSE goes by. */
static gboolean
counts_apart(const CrashWorld *world)
{
    g_autoptr(JsonObject) object = crash_mose(world, "type", "task_struct");
    g_autofree char *text = mose_json_text(object, FALSE);

    return strstr(text, "\"rss_stat\"") != NULL;
}

static void
append_task(GPtrArray *lines, JsonObject *task, gboolean with_resident)

{
    g_autofree char *ids = crash_row(task, "pid ppid cpu task");

    g_ptr_array_add(
        lines,
        g_strdup_printf("%s %s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %s", ids,
                        state_of(task), mose_json_int(task, "vsize", 0) >> 10,
                        with_resident ? mose_json_int(task, "rss", 0) >> 10 : 0,
                        mose_json_string(task, "comm", NULL)));
}

/* Each thread, with the sizes of its memory; but for the idle ones. */
void
test_crash_ps(const CrashWorld *world)
{
    const char *text = crash_task_answer(world, "ps");
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GPtrArray) ours = g_ptr_array_new_with_free_func(g_free), theirs = NULL;
    JsonArray *tasks;
    gboolean with_resident;

    if (!text)
        return;
    with_resident = !counts_apart(world);
    object = crash_mose(world, "ps", "--threads");
    tasks = crash_array(object, "tasks");
    for (guint i = 0; i < json_array_get_length(tasks); i++)
        append_task(ours, mose_json_element(tasks, i), with_resident);
    theirs = crash_lines(text,
                         "^[> ] +([1-9]\\d*) +(\\d+) +(\\d+) +" ADDRESS
                         " +(\\S+) +\\S+ +(\\d+) +(\\d+) +\\[?(.*?)\\]?$",
                         with_resident ? "\\1 \\2 \\3 \\4 \\5 \\6 \\7 \\8"
                                       : "\\1 \\2 \\3 \\4 \\5 \\6 0 \\8");
    crash_compare("ps", ours, theirs);
}

/* What runs where. */
void
test_crash_cpus(const CrashWorld *world)
{
    const char *text = crash_answer(world, "ps");
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GPtrArray) ours = NULL, theirs = NULL;

    if (!text)
        return;
    object = crash_mose(world, "cpus", NULL);
    ours = crash_rows(crash_array(object, "cpus"), "cpu pid task");
    theirs = crash_lines(text, "^> +(\\d+) +\\d+ +(\\d+) +" ADDRESS, "\\2 \\1 \\3");
    g_assert_cmpuint(ours->len, ==, CRASH_VCPUS);
    crash_compare("cpus", ours, theirs);
}

/* --- mounts --- */

static void
compare_mounts(const CrashWorld *world, const char *command, const char *pid)
{
    const char *text = crash_task_answer(world, command);
    g_autoptr(JsonObject) object = NULL;
    g_autoptr(GPtrArray) ours = NULL, theirs = NULL;

    if (!text)
        return;
    object = crash_mose(world, "mounts", pid);
    ours = crash_rows(crash_array(object, "mounts"), "mount type source point");
    /* Beneath the root of all processes newer kernels have an empty file system
     * (Linux 7.3 fs/nullfs.c), which is not in their /proc/mounts. */
    theirs = crash_lines(
        text, "^" ADDRESS " " ADDRESS " +(?!nullfs )(\\S+) +(\\S+) +(.*?) *$",
        "\\1 \\3 \\4 \\5");
    crash_compare(command, ours, theirs);
}

void
test_crash_mounts(const CrashWorld *world)
{
    g_autofree char *inside = crash_fill_in(world, "@INSIDE");

    compare_mounts(world, "mount -n 1", "1");
    compare_mounts(world, "mount -n @INSIDE", inside);
}

/* --- files --- */

/* crash has the path within the file system that a file is in, if nothing but the
 * kernel mounts that; that it is deleted, and numbers of pipes and sockets, it does not
 * say. */
static char *
plain_path(const char *path)
{
    static const char deleted[] = " (deleted)";
    static const char *const starts[] = { "anon_inode:", "/memfd:", "pipe:",
                                          "socket:" };
    g_autofree char *ret = g_strdup(path);

    if (g_str_has_suffix(ret, deleted))
        ret[strlen(ret) - strlen(deleted)] = 0;
    if (g_str_has_prefix(ret, starts[0]))
        return g_strdup(ret + strlen(starts[0]));
    if (g_str_has_prefix(ret, starts[1]))
        return g_strdup(ret + 1);
    if (g_str_has_prefix(ret, starts[2]) || g_str_has_prefix(ret, starts[3]))
        return g_strdup("");
    return g_steal_pointer(&ret);
}

static void
append_file(GPtrArray *lines, JsonObject *file)
{
    const char *fd = mose_json_string(file, "fd", "");
    const char *type = mose_json_string(file, "type", "");
    g_autofree char *path = plain_path(mose_json_string(file, "path", ""));
    g_autofree char *number = crash_row(file, "pid");
    g_autofree char *address = crash_row(file, "file");

    if (g_ascii_isdigit(*fd))
        g_ptr_array_add(lines,
                        g_strdup_printf("%s %s %s %s %s", number, fd, address,
                                        strcmp(type, "-") == 0 ? "UNKN" : type, path));
    else if (strcmp(fd, "exe") != 0)
        g_ptr_array_add(lines, g_strdup_printf("%s %s %s", number, fd, path));
}

static void
add_all(GPtrArray *to, GPtrArray *lines)
{
    g_ptr_array_extend_and_steal(to, lines);
}

void
test_crash_files(const CrashWorld *world)
{
    const char *text = crash_task_answer(world, "foreach files");
    g_autoptr(JsonObject) object = NULL, all = NULL;
    g_autoptr(GPtrArray) ours = g_ptr_array_new_with_free_func(g_free), theirs = NULL;
    JsonArray *files, *tasks;

    if (!text)
        return;
    all = processes(world);
    tasks = crash_array(all, "tasks");
    object = crash_mose(world, "files", NULL);
    files = crash_array(object, "files");
    for (guint i = 0; i < json_array_get_length(files); i++)
        append_file(ours, mose_json_element(files, i));
    /* What stands for the path of a socket is its protocol. */
    theirs = crash_lines_of_each(
        text, tasks, "^ *(\\d+) " ADDRESS " \\S+ \\S+ (?!SOCK)(\\S+) +(.*?) *$",
        "\\1 \\2 \\3 \\4");
    add_all(theirs,
            crash_lines_of_each(text, tasks, "^ *(\\d+) " ADDRESS " \\S+ \\S+ SOCK( )",
                                "\\1 \\2 SOCK\\3"));
    add_all(theirs,
            crash_lines_of_each(text, tasks, "^ROOT: (.*?) +CWD: ", "root \\1"));
    add_all(theirs,
            crash_lines_of_each(text, tasks, "^ROOT: .*? +CWD: (.*?) *$", "cwd \\1"));
    crash_compare("files", ours, theirs);
}

/* --- mappings --- */

static void
append_maps(GPtrArray *lines, const CrashWorld *world, JsonObject *task)
{
    g_autofree char *pid = crash_row(task, "pid"), *mm = crash_row(task, "mm");
    g_autoptr(JsonObject) object = NULL;
    JsonArray *maps;

    if (strcmp(mm, "0") == 0)
        return;
    object = crash_mose(world, "maps", pid);
    maps = crash_array(object, "maps");
    for (guint i = 0; i < json_array_get_length(maps); i++) {
        JsonObject *vma = mose_json_element(maps, i);
        g_autofree char *numbers = crash_row(vma, "vma start end flags");
        g_autofree char *file = crash_row(vma, "file");
        g_autofree char *path = plain_path(mose_json_string(vma, "name", ""));

        if (strcmp(file, "0") == 0)
            *path = 0;
        g_ptr_array_add(lines, g_strdup_printf("%s %s %s", pid, numbers,
                                               path[0] == '/' ? path + 1 : path));
    }
}

void
test_crash_maps(const CrashWorld *world)
{
    const char *text = crash_task_answer(world, "foreach vm");
    g_autoptr(JsonObject) all = NULL;
    g_autoptr(GPtrArray) ours = g_ptr_array_new_with_free_func(g_free), theirs = NULL;
    JsonArray *tasks;

    if (!text)
        return;
    all = processes(world);
    tasks = crash_array(all, "tasks");
    for (guint i = 0; i < json_array_get_length(tasks); i++)
        append_maps(ours, world, mose_json_element(tasks, i));
    /* Of shared memory that is no file's, the path has no slash there. */
    theirs = crash_lines_of_each(
        text, tasks, "^" ADDRESS " +([0-9a-f]+) +([0-9a-f]+) +([0-9a-f]+) /?(.*?) *$",
        "\\1 \\2 \\3 \\4 \\5");
    crash_compare("maps", ours, theirs);
}

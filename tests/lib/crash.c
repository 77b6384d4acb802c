/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crash(8) of a core file. See crash.h. */
#include "lib/crash.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm.h"

/* It starts in 7 s of CPU; there are commands in which some versions of it go round for
 * ever, with SIGTERM caught. */
#define CPU_SECONDS 60
#define WAIT_SECONDS 400
#define MAX_SHOWN 40
#define MAX_SAID 4000

static const char usual_debug[] = "/usr/lib/debug";

static char *
find_crash(void)
{
    const char *given = g_getenv("MOSE_CRASH");

    return g_find_program_in_path(given ? given : "crash");
}

gboolean
crash_cannot_run(void)
{
    const char *given = g_getenv("MOSE_DEBUG_VMLINUX");
    g_autofree char *crash = find_crash();

    if (!crash)
        g_test_skip("no crash");
    else if (!g_file_test(given ? given : usual_debug, G_FILE_TEST_EXISTS))
        g_test_skip("no vmlinux with debug information");
    else
        return FALSE;
    return TRUE;
}

/* The release is in the text of its banner. */
static gboolean
is_of_release(const char *path, const char *release)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, NULL);
    g_autofree char *banner = g_strdup_printf("Linux version %s (", release);

    return file && g_mapped_file_get_contents(file) &&
           memmem(g_mapped_file_get_contents(file), g_mapped_file_get_length(file),
                  banner, strlen(banner));
}

char *
crash_vmlinux(const char *release)
{
    /* As Debian's linux-image-*-dbg has had it, the older way first. */
    static const char *const places[] = { "boot/vmlinux-%s", "lib/modules/%s/vmlinux" };
    const char *given = g_getenv("MOSE_DEBUG_VMLINUX");

    if (given && g_file_test(given, G_FILE_TEST_IS_REGULAR))
        return is_of_release(given, release) ? g_strdup(given) : NULL;
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_auto(GStrv) around = g_strsplit(places[i], "%s", 2);
        g_autofree char *path = g_strdup_printf(
            "%s/%s%s%s", given ? given : usual_debug, around[0], release, around[1]);

        if (g_file_test(path, G_FILE_TEST_EXISTS))
            return g_steal_pointer(&path);
    }
    return NULL;
}

/* --- a session --- */

static void
limit_cpu(gpointer unused)
{
    struct rlimit limit = { CPU_SECONDS, CPU_SECONDS };

    (void)unused;
    setrlimit(RLIMIT_CPU, &limit);
}

static gboolean
kill_it(gpointer data)
{
    kill(*(GPid *)data, SIGKILL);
    return G_SOURCE_REMOVE;
}

static void
has_ended(GPid pid, int status, gpointer loop)
{
    (void)pid;
    g_test_message("crash ends with status 0x%x", (guint)status);
    g_main_loop_quit(loop);
}

static void
wait_for(GPid pid)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    guint timer;

    g_child_watch_add(pid, has_ended, loop);
    timer = g_timeout_add_seconds(WAIT_SECONDS, kill_it, &pid);
    g_main_loop_run(loop);
    if (g_main_context_find_source_by_id(NULL, timer))
        g_source_remove(timer);
    g_spawn_close_pid(pid);
}

/* Bare, it leaves out what keeps some versions from starting on new kernels. What it
 * says beside the commands' output is in the tests' log. */
static void
run(const char *core, const char *vmlinux, const char *script, gboolean bare)
{
    g_autofree char *crash = find_crash();
    char *argv[] = {
        crash,
        "-s",
        "-i",
        (char *)script,
        (char *)vmlinux,
        (char *)core,
        bare ? "--no_kmem_cache" : NULL, /* which ends it */
        "--no_modules",
        NULL,
    };
    g_autofree char *said = vm_path("crash-said"), *text = NULL;
    g_autoptr(GError) error = NULL;
    FILE *out = fopen(said, "w");
    GPid pid;

    g_assert_nonnull(out);
    g_spawn_async_with_fds(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, limit_cpu, NULL,
                           &pid, -1, fileno(out), fileno(out), &error);
    g_assert_no_error(error);
    wait_for(pid);
    fclose(out);
    g_file_get_contents(said, &text, NULL, &error);
    g_assert_no_error(error);
    g_test_message("crash says: %.*s", MAX_SAID, text);
}

static char *
output_path(guint n, const char *what)
{
    g_autofree char *name = g_strdup_printf("crash-%u-%s", n, what);

    return vm_path(name);
}

/* Each command's output goes to a file, and when it is there another comes to be. */
static void
write_script(const char *path, const char *const *commands, guint from)
{
    g_autoptr(GString) text = g_string_new("set scroll off\n");
    g_autofree char *started = output_path(0, "started");
    g_autoptr(GError) error = NULL;

    g_string_append_printf(text, "eval 1 > %s\n", started);
    for (guint i = from; commands[i]; i++) {
        g_autofree char *out = output_path(i, "out"), *done = output_path(i, "done");

        g_string_append_printf(text, "%s > %s\neval 1 > %s\n", commands[i], out, done);
    }
    g_string_append(text, "quit\n");
    g_file_set_contents(path, text->str, -1, &error);
    g_assert_no_error(error);
}

/* The answers from the one on; the first that is not there. */
static guint
take_answers(GHashTable *answers, const char *const *commands, guint from)
{
    for (guint i = from;; i++) {
        g_autofree char *out = output_path(i, "out"), *done = output_path(i, "done");
        g_autoptr(GError) error = NULL;
        char *text;

        if (!commands[i] || unlink(done) < 0)
            return i;
        g_file_get_contents(out, &text, NULL, &error);
        g_assert_no_error(error);
        unlink(out);
        g_hash_table_insert(answers, g_strdup(commands[i]), text);
    }
}

/* FALSE: it does not start. */
static gboolean
run_any_way(const char *core, const char *vmlinux, const char *script)
{
    g_autofree char *started = output_path(0, "started");

    run(core, vmlinux, script, FALSE);
    if (unlink(started) == 0)
        return TRUE;
    run(core, vmlinux, script, TRUE);
    return unlink(started) == 0;
}

GHashTable *
crash_ask(const char *core, const char *vmlinux, const char *const *commands)
{
    GHashTable *ret = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autofree char *script = vm_path("crash-commands");

    for (guint i = 0; commands[i]; i++) {
        write_script(script, commands, i);
        if (!run_any_way(core, vmlinux, script))
            break;
        i = take_answers(ret, commands, i);
        if (!commands[i])
            break;
        g_test_message("crash does not come to the end of '%s'", commands[i]);
    }
    return ret;
}

/* --- its answers --- */

GPtrArray *
crash_lines(const char *text, const char *pattern, const char *format)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GRegex) regex =
        g_regex_new(pattern, G_REGEX_MULTILINE | G_REGEX_RAW, 0, &error);
    GPtrArray *ret = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GMatchInfo) match = NULL;

    g_assert_no_error(error);
    g_regex_match(regex, text, 0, &match);
    for (; g_match_info_matches(match); g_match_info_next(match, NULL))
        g_ptr_array_add(ret, g_match_info_expand_references(match, format, NULL));
    return ret;
}

static int
by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
report(GString *to, guint *n, const char *who, const char *line)
{
    if ((*n)++ < MAX_SHOWN)
        g_string_append_printf(to, "\n%s: %s", who, line);
}

void
crash_compare(const char *what, GPtrArray *ours, GPtrArray *theirs)
{
    g_autoptr(GString) differences = g_string_new(NULL);
    guint i = 0, j = 0, n = 0;

    g_ptr_array_sort(ours, by_text);
    g_ptr_array_sort(theirs, by_text);
    while (i < ours->len || j < theirs->len) {
        const char *a = i < ours->len ? g_ptr_array_index(ours, i) : NULL;
        const char *b = j < theirs->len ? g_ptr_array_index(theirs, j) : NULL;
        int order = !a ? 1 : !b ? -1 : strcmp(a, b);

        if (order < 0)
            report(differences, &n, "mose ", a);
        else if (order > 0)
            report(differences, &n, "crash", b);
        i += order <= 0;
        j += order >= 0;
    }
    if (n > 0)
        g_error("%s: %u lines differ:%s", what, n, differences->str);
    g_assert_cmpuint(ours->len, >, 0);
    g_test_message("%s: %u lines are the same", what, ours->len);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mose ps` against the guest's own /proc, which is read before and after: what is the
 * same in both must be what was seen from outside in between, and what only grows must
 * lie between. All tasks there are, all that is shown of them.
 */
#include <string.h>

#include "lib/kernels.h"
#include "util/json.h"

#define TICK 10000000 /* ns: USER_HZ is 100 */
enum { PAGE = 4096 };

/* --- /proc --- */

/* Fields of /proc/PID/stat from the state on, by their numbers in proc(5). */
enum {
    STATE = 3,
    PPID = 4,
    PGRP = 5,
    SESSION = 6,
    TTY = 7,
    TPGID = 8,
    FLAGS = 9,
    UTIME = 14,
    STIME = 15,
    PRIORITY = 18,
    NICE = 19,
    THREADS = 20,
    START = 22,
    VSIZE = 23,
    RSS = 24,
    CPU = 39,
    RT_PRIORITY = 40,
    POLICY = 41,
    N_FIELDS = 45,
};

typedef struct {
    char *name;
    char *state;
    gint64 fields[N_FIELDS];
} Stat;

static void
stat_free(gpointer data)
{
    Stat *stat = data;

    g_free(stat->name);
    g_free(stat->state);
    g_free(stat);
}

/* "12 (a name) S 1 ..." */
static void
add_stat(GHashTable *stats, const char *line)
{
    const char *begin = strchr(line, '('), *end = strrchr(line, ')');
    g_auto(GStrv) words = NULL;
    Stat *stat;

    if (!begin || !end)
        return; /* it has ended meanwhile: "No such process" */
    stat = g_new0(Stat, 1);
    stat->name = g_strndup(begin + 1, end - begin - 1);
    words = g_strsplit(end + 2, " ", -1);
    stat->state = g_strdup(words[0]);
    for (guint i = STATE + 1; i < N_FIELDS && words[i - STATE]; i++)
        stat->fields[i] = g_ascii_strtoll(words[i - STATE], NULL, 10);
    g_hash_table_insert(stats, GINT_TO_POINTER((gint)strtol(line, NULL, 10)), stat);
}

static GHashTable *
read_stats(const KernelsGuest *guest, const char *files)
{
    GHashTable *stats = g_hash_table_new_full(NULL, NULL, NULL, stat_free);
    g_autofree char *command = g_strdup_printf("cat %s 2>/dev/null", files);
    g_autofree char *said = vm_guest_output(guest->vm, command, NULL);
    g_auto(GStrv) lines = g_strsplit(said, "\n", -1);

    for (char **line = lines; *line; line++)
        add_stat(stats, *line);
    g_assert_cmpuint(g_hash_table_size(stats), >, 40);
    return stats;
}

/* --- stat --- */

static const char *
text_of(JsonObject *row, const char *member)
{
    return mose_json_string(row, member, "");
}

static gint64
number_of(JsonObject *row, const char *member)
{
    return mose_json_int(row, member, G_MININT32);
}

static void
assert_number(JsonObject *row, const char *member, gint64 unit, const Stat *stat,
              guint field)
{
    if (number_of(row, member) / unit != stat->fields[field])
        g_error("%s (%s): %s is %" G_GINT64_FORMAT ", and in /proc %" G_GINT64_FORMAT,
                text_of(row, "name"), stat->name, member, number_of(row, member) / unit,
                stat->fields[field]);
}

/* What does not change is to be the same. */
static void
check_fields(JsonObject *row, const Stat *before, const Stat *after)
{
    static const struct {
        const char *member;
        gint64 unit;
        guint field;
    } fields[] = {
        { "ppid", 1, PPID },           { "pgrp", 1, PGRP },
        { "session", 1, SESSION },     { "tty-number", 1, TTY },
        { "tty-pgrp", 1, TPGID },      { "priority", 1, PRIORITY },
        { "nice", 1, NICE },           { "threads", 1, THREADS },
        { "started-ns", TICK, START }, { "rt-priority", 1, RT_PRIORITY },
        { "policy", 1, POLICY },       { "vsize", 1, VSIZE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        if (before->fields[fields[i].field] == after->fields[fields[i].field])
            assert_number(row, fields[i].member, fields[i].unit, before,
                          fields[i].field);
}

/* A worker works shortly at this and that, which is behind its own name. *@workers
 * counts those of which that, too, was the same. */
static void
check_name(JsonObject *row, const Stat *before, const Stat *after, guint *workers)
{
    const char *name = text_of(row, "name");
    gsize own = strcspn(before->name, "+-");

    if (strcmp(before->name, after->name) != 0)
        return;
    if (!g_str_has_prefix(before->name, "kworker/") ||
        g_str_has_prefix(before->name, "kworker/R-")) {
        g_assert_cmpstr(name, ==, before->name);
        return;
    }
    g_assert_cmpuint(strcspn(name, "+-"), ==, own);
    g_assert_cmpint(strncmp(name, before->name, own), ==, 0);
    *workers += before->name[own] != '\0' && strcmp(name, before->name) == 0;
}

static gboolean
has_run(const Stat *before, const Stat *after)
{
    return before->fields[UTIME] != after->fields[UTIME] ||
           before->fields[STIME] != after->fields[STIME];
}

/* Of one that runs, /proc counts up to now, and the scheduler up to its last tick. */
static void
check_times(JsonObject *row, const Stat *before, const Stat *after)
{
    gint64 slack = has_run(before, after) ? 1 : 0;

    g_assert_cmpint(number_of(row, "utime-ns") / TICK, >=,
                    before->fields[UTIME] - slack);
    g_assert_cmpint(number_of(row, "utime-ns") / TICK, <=, after->fields[UTIME]);
    g_assert_cmpint(number_of(row, "stime-ns") / TICK, >=,
                    before->fields[STIME] - slack);
    g_assert_cmpint(number_of(row, "stime-ns") / TICK, <=, after->fields[STIME]);
}

/* /proc of some kernels leaves out what single CPUs have counted: at most their batch
 * for each of the three sums (Linux lib/percpu_counter.c). */
static void
check_rss(const KernelsGuest *guest, JsonObject *row, const Stat *before,
          const Stat *after)
{
    gint64 rss = number_of(row, "rss") / PAGE;
    gint64 slack = 3 * (gint64)MAX(32, guest->n_vcpus * 2) * guest->n_vcpus;

    if (before->fields[RSS] == 0 && after->fields[RSS] == 0) {
        g_assert_cmpint(rss, ==, 0);
        return;
    }
    g_assert_cmpint(rss, >=, MIN(before->fields[RSS], after->fields[RSS]) - slack);
    g_assert_cmpint(rss, <=, MAX(before->fields[RSS], after->fields[RSS]) + slack);
}

/* A task that nothing has woken is in the state in which it was. *@n counts those. */
static void
check_state(JsonObject *row, const Stat *before, const Stat *after, guint *n)
{
    if (has_run(before, after) || strcmp(before->state, after->state) != 0 ||
        strcmp(before->state, "R") == 0 || !g_str_has_prefix(before->name, "wit"))
        return;
    g_assert_cmpstr(text_of(row, "state"), ==, before->state);
    (*n)++;
}

static void
check_all(const KernelsGuest *guest, const char *files, gboolean threads)
{
    g_autoptr(GHashTable) before = read_stats(guest, files);
    g_autoptr(JsonObject) said =
        threads ? vm_mose_json("ps", guest->vm->name, "--threads", NULL)
                : vm_mose_json("ps", guest->vm->name, NULL);
    g_autoptr(GHashTable) after = read_stats(guest, files);
    JsonArray *tasks = json_object_get_array_member(said, "tasks");
    guint found = 0, common = 0, states = 0, workers = 0;
    GHashTableIter iter;
    gpointer pid;

    for (guint i = 0; i < json_array_get_length(tasks); i++) {
        JsonObject *row = json_array_get_object_element(tasks, i);
        gpointer key = GINT_TO_POINTER((gint)number_of(row, "pid"));
        const Stat *first = g_hash_table_lookup(before, key);
        const Stat *last = g_hash_table_lookup(after, key);

        g_assert_false(json_object_has_member(row, "unreadable"));
        if (!first || !last || first->fields[START] != last->fields[START])
            continue;
        found++;
        check_fields(row, first, last);
        check_name(row, first, last, &workers);
        check_times(row, first, last);
        check_rss(guest, row, first, last);
        check_state(row, first, last, &states);
    }
    /* None that was there all the time is left out. */
    g_hash_table_iter_init(&iter, before);
    while (g_hash_table_iter_next(&iter, &pid, NULL))
        common += g_hash_table_contains(after, pid);
    g_assert_cmpuint(found, ==, common);
    g_assert_cmpuint(states, >, 20);
    g_assert_cmpuint(workers, >, 0);
}

static void
test_processes(const KernelsGuest *guest)
{
    check_all(guest, "/proc/[0-9]*/stat", FALSE);
}

static void
test_threads(const KernelsGuest *guest)
{
    check_all(guest, "/proc/[0-9]*/task/[0-9]*/stat", TRUE);
}

/* --- by the process --- */

static JsonObject *
row_of(JsonObject *said, gint64 pid)
{
    JsonArray *tasks = json_object_get_array_member(said, "tasks");

    for (guint i = 0; i < json_array_get_length(tasks); i++) {
        JsonObject *row = json_array_get_object_element(tasks, i);

        if (number_of(row, "pid") == pid)
            return row;
    }
    return NULL;
}

/* As strstr(), of bytes that may have a NUL among them. */
static const char *
find(const char *bytes, gsize len, const char *what)
{
    return memmem(bytes, len, what, strlen(what));
}

/* Call @check for each of /proc/PID/@file that is there before and after with the same
 * content, and for its row. */
static guint
compare_files(const KernelsGuest *guest, const char *file,
              void (*check)(JsonObject *row, const char *content, gsize len))
{
    /* "==> /proc/12/status <==\n" before each. */
    g_autofree char *command =
        g_strdup_printf("tail -v -c +1 /proc/[0-9]*/%s 2>/dev/null", file);
    gsize before_len, after_len;
    g_autofree char *before = vm_guest_output(guest->vm, command, &before_len);
    g_autoptr(JsonObject) said = vm_mose_json("ps", guest->vm->name, NULL);
    g_autofree char *after = vm_guest_output(guest->vm, command, &after_len);
    const char *at = before;
    guint n = 0;

    while ((at = find(at, before + before_len - at, "==> /proc/"))) {
        const char *begin = strstr(at, " <==\n") + strlen(" <==\n");
        gint64 pid = g_ascii_strtoll(at + strlen("==> /proc/"), NULL, 10);
        g_autofree char *header =
            g_strdup_printf("==> /proc/%" G_GINT64_FORMAT "/%s <==\n", pid, file);
        const char *again = find(after, after_len, header);
        const char *end = find(begin, before + before_len - begin, "\n==> /proc/");
        JsonObject *row = row_of(said, pid);
        gsize len = (end ? end : before + before_len) - begin;

        at = begin;
        if (!row || !again)
            continue;
        again += strlen(header);
        if (again + len > after + after_len || memcmp(again, begin, len) != 0)
            continue;
        check(row, begin, len);
        n++;
    }
    return n;
}

static void
assert_line(const char *status, const char *name, const gint64 *numbers, guint n)
{
    g_autofree char *start = g_strdup_printf("\n%s:", name);
    g_autoptr(GString) want = g_string_new(start);

    for (guint i = 0; i < n; i++)
        g_string_append_printf(want, "\t%" G_GINT64_FORMAT, numbers[i]);
    g_string_append_c(want, '\n');
    if (!strstr(status, want->str))
        g_error("no '%s' in %s", want->str, status);
}

static void
check_status(JsonObject *row, const char *content, gsize len)
{
    static const char *const uids[] = { "ruid", "euid", "suid", "fsuid" };
    static const char *const gids[] = { "rgid", "egid", "sgid", "fsgid" };
    g_autofree char *status = g_strndup(content, len);
    JsonArray *pids = json_object_get_array_member(row, "pids");
    gint64 numbers[64], threads = number_of(row, "threads");

    for (guint i = 0; i < 4; i++)
        numbers[i] = number_of(row, uids[i]);
    assert_line(status, "Uid", numbers, 4);
    for (guint i = 0; i < 4; i++)
        numbers[i] = number_of(row, gids[i]);
    assert_line(status, "Gid", numbers, 4);
    for (guint i = 0; i < json_array_get_length(pids); i++)
        numbers[i] = json_array_get_int_element(pids, i);
    assert_line(status, "NSpid", numbers, json_array_get_length(pids));
    assert_line(status, "Threads", &threads, 1);
}

/* Many change all the time (context switches): those that do not are enough, as there
 * is one of each kind among them. */
static void
test_status(const KernelsGuest *guest)
{
    g_autofree char *user = kernels_line(guest->witness, "task", "name", "wit-user");
    g_autoptr(JsonObject) said = NULL;

    g_assert_cmpuint(compare_files(guest, "status", check_status), >, 40);
    said = vm_mose_json("ps", guest->vm->name, "wit-user", NULL);
    g_assert_cmpint(json_array_get_length(json_object_get_array_member(said, "tasks")),
                    ==, 1);
    g_assert_cmpint(
        number_of(row_of(said, (gint64)kernels_number(user, "pid")), "euid"), ==,
        (gint64)kernels_number(user, "uid"));
}

/* What is printed of ASCII: the rest, and backslashes, as \\xNN. */
static char *
printable(const char *bytes, gsize len)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < len; i++)
        if (g_ascii_isprint(bytes[i]) && bytes[i] != '\\')
            g_string_append_c(text, bytes[i]);
        else
            g_string_append_printf(text, "\\x%02x", (guint8)bytes[i]);
    return g_string_free(text, FALSE);
}

/* Each argument has a NUL behind it. */
static void
check_command(JsonObject *row, const char *content, gsize len)
{
    JsonArray *arguments = json_object_get_array_member(row, "arguments");
    gsize at = 0;

    for (guint i = 0; i < json_array_get_length(arguments); i++) {
        gsize size = strnlen(content + at, len - at);
        g_autofree char *text = printable(content + at, size);

        g_assert_cmpstr(json_array_get_string_element(arguments, i), ==, text);
        at += size + 1;
    }
    g_assert_cmpuint(MIN(at, len), ==, len);
}

/* Empty ones, blanks, and what would move a terminal's cursor. */
static void
test_command(const KernelsGuest *guest)
{
    g_autofree char *out = NULL;

    vm_shell(guest->vm, "sh -c 'sleep 1000; :' \"$(printf 'odd\\n\\033name')\" '' "
                        "' a b' '' >/dev/null 2>&1 </dev/null &");
    g_assert_cmpuint(compare_files(guest, "cmdline", check_command), >, 40);
    g_assert_cmpint(vm_mose(&out, NULL, "ps", guest->vm->name, "-o", "args", NULL), ==,
                    0);
    g_assert_nonnull(strstr(out, " odd\\x0a\\x1bname   a b\n"));
}

/* --- control groups --- */

static void
check_cgroups(JsonObject *row, const char *content, gsize len)
{
    JsonArray *lines = json_object_get_array_member(row, "cgroups");
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(lines); i++)
        g_string_append_printf(text, "%s\n", json_array_get_string_element(lines, i));
    if (text->len != len || memcmp(text->str, content, len) != 0)
        g_error("%s: %s, and in /proc: %.*s", text_of(row, "name"), text->str, (int)len,
                content);
}

/* In v2 three levels deep; one group that is gone under its last task; and a hierarchy
 * of v1 beside it. */
static void
test_cgroups(const KernelsGuest *guest)
{
    static const char make[] =
        "mkdir -p /run/c1 /run/c2; mount -t cgroup2 none /run/c2; "
        "mount -t cgroup -o none,name=mose none /run/c1; "
        "mkdir -p /run/c2/one/two/three /run/c1/v1/below /run/c2/gone; "
        "sleep 1000 & echo $! >/run/c2/one/two/three/cgroup.procs; "
        "sleep 1000 & echo $! >/run/c1/v1/below/cgroup.procs; "
        "cat /proc/$!/cgroup";
    g_autofree char *said = vm_shell_output(guest->vm, make);
    g_autofree char *status = NULL;

    g_assert_nonnull(strstr(said, "name=mose:/v1/below"));
    g_assert_nonnull(strstr(said, "0::/"));
    g_assert_cmpuint(compare_files(guest, "cgroup", check_cgroups), >, 40);
}

/* --- namespaces --- */

/* "lrwxrwxrwx ... /proc/12/ns/pid -> pid:[4026531836]" */
static guint
check_links(JsonObject *said, const char *before, const char *after)
{
    g_auto(GStrv) lines = g_strsplit(before, "\n", -1);
    guint n = 0;

    for (char **line = lines; *line; line++) {
        const char *at = strstr(*line, "/proc/");
        const char *number = at ? strrchr(at, '[') : NULL;
        g_auto(GStrv) words = number ? g_strsplit(at, "/", 6) : NULL;
        g_autofree char *name = NULL;
        JsonObject *row;

        if (!number || !strstr(after, at))
            continue;
        row = row_of(said, g_ascii_strtoll(words[2], NULL, 10));
        if (!row)
            continue;
        name = g_strndup(words[4], strcspn(words[4], " "));
        if (mose_json_int(json_object_get_object_member(row, "namespaces"), name, 0) !=
            g_ascii_strtoll(number + 1, NULL, 10))
            g_error("%s: not in %s", text_of(row, "name"), at);
        n++;
    }
    return n;
}

static void
test_namespaces(const KernelsGuest *guest)
{
    static const char list[] = "ls -l /proc/[0-9]*/ns/* 2>/dev/null";
    g_autofree char *inside =
        kernels_line(guest->witness, "namespaces", "name", "wit-inside");
    g_autofree char *before = vm_guest_output(guest->vm, list, NULL);
    g_autoptr(JsonObject) said = vm_mose_json("ps", guest->vm->name, NULL);
    g_autofree char *after = vm_guest_output(guest->vm, list, NULL);
    JsonObject *row = row_of(said, (gint64)kernels_number(inside, "pid"));
    JsonArray *pids = json_object_get_array_member(row, "pids");

    g_assert_cmpuint(check_links(said, before, after), >, 400);
    g_assert_cmpint(json_array_get_length(pids), ==, 2);
    g_assert_cmpint(json_array_get_int_element(pids, 1), ==, 1);
}

/* --- the tree --- */

static void
test_tree(const KernelsGuest *guest)
{
    g_autofree char *self = kernels_line(guest->witness, "self", NULL, NULL);
    g_autofree char *pid =
        g_strdup_printf("%" G_GUINT64_FORMAT, kernels_number(self, "pid"));
    g_autoptr(JsonObject) all = vm_mose_json("ps", guest->vm->name, "--tree", NULL);
    g_autoptr(JsonObject) below =
        vm_mose_json("ps", guest->vm->name, "--tree", pid, NULL);
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    JsonArray *tasks = json_object_get_array_member(all, "tasks");
    guint roots = 0;

    for (guint i = 0; i < json_array_get_length(tasks); i++) {
        JsonObject *row = json_array_get_object_element(tasks, i);

        if (!g_hash_table_contains(seen, GINT_TO_POINTER((gint)number_of(row, "ppid"))))
            roots++;
        g_hash_table_add(seen, GINT_TO_POINTER((gint)number_of(row, "pid")));
    }
    /* init and kthreadd */
    g_assert_cmpuint(roots, ==, 2);
    g_assert_nonnull(row_of(below, (gint64)kernels_number(self, "pid")));
    g_assert_null(row_of(below, 1));
    g_assert_cmpuint(
        json_array_get_length(json_object_get_array_member(below, "tasks")), >, 5);
}

static void
test_wrong_use(const KernelsGuest *guest)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(
        vm_mose(NULL, &err, "ps", guest->vm->name, "-o", "pid,nothing", NULL), ==, 2);
    g_assert_nonnull(strstr(err, "no column 'nothing'"));
    g_clear_pointer(&err, g_free);
    g_assert_cmpint(vm_mose(NULL, &err, "ps", guest->vm->name, "nobody", NULL), ==, 1);
    g_assert_nonnull(strstr(err, "has no such task"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    kernels_add("/vmi-ps/processes", test_processes);
    kernels_add("/vmi-ps/threads", test_threads);
    kernels_add("/vmi-ps/status", test_status);
    kernels_add("/vmi-ps/command", test_command);
    kernels_add("/vmi-ps/namespaces", test_namespaces);
    kernels_add("/vmi-ps/tree", test_tree);
    kernels_add("/vmi-ps/wrong-use", test_wrong_use);
    kernels_add("/vmi-ps/cgroups", test_cgroups);
    return kernels_run_tests();
}

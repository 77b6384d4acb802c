/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mose ps` against the guest's own /proc, which is read before and after: what is the
 * same in both must be what was seen from outside in between, and what only grows must
 * lie between. All tasks there are, all that is shown of them.
 */
#include <string.h>

#include "util/json.h"
#include "vm/vmi-ps.h"
#include "vm/vmi.h"

#define TICK 10000000 /* ns: USER_HZ is 100 */
enum { PAGE = 4096 };

/* --- rows --- */

const char *
vmi_ps_text(JsonObject *row, const char *member)
{
    return mose_json_string(row, member, "");
}

gint64
vmi_ps_number(JsonObject *row, const char *member)
{
    return mose_json_int(row, member, G_MININT32);
}

JsonObject *
vmi_ps_row(JsonObject *said, gint64 pid)
{
    JsonArray *tasks = json_object_get_array_member(said, "tasks");

    for (guint i = 0; i < json_array_get_length(tasks); i++) {
        JsonObject *row = json_array_get_object_element(tasks, i);

        if (vmi_ps_number(row, "pid") == pid)
            return row;
    }
    return NULL;
}

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

static void
assert_number(JsonObject *row, const char *member, gint64 unit, const Stat *stat,
              guint field)
{
    if (vmi_ps_number(row, member) / unit != stat->fields[field])
        g_error("%s (%s): %s is %" G_GINT64_FORMAT ", and in /proc %" G_GINT64_FORMAT,
                vmi_ps_text(row, "name"), stat->name, member,
                vmi_ps_number(row, member) / unit, stat->fields[field]);
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
    const char *name = vmi_ps_text(row, "name");
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

/* Of one that runs, /proc counts up to now, and the scheduler up to its last tick; and
 * how its time is parted between user and system is made anew from ticks each time
 * (Linux kernel/sched/cputime.c:cputime_adjust). */
static void
check_times(JsonObject *row, const Stat *before, const Stat *after)
{
    gint64 slack = has_run(before, after) ? 1 : 0;

    g_assert_cmpint(vmi_ps_number(row, "utime-ns") / TICK, >=,
                    before->fields[UTIME] - slack);
    g_assert_cmpint(vmi_ps_number(row, "utime-ns") / TICK, <=,
                    after->fields[UTIME] + slack);
    g_assert_cmpint(vmi_ps_number(row, "stime-ns") / TICK, >=,
                    before->fields[STIME] - slack);
    g_assert_cmpint(vmi_ps_number(row, "stime-ns") / TICK, <=,
                    after->fields[STIME] + slack);
}

/* /proc of some kernels leaves out what single CPUs have counted: at most their batch
 * for each of the three sums (Linux lib/percpu_counter.c). */
static void
check_rss(const KernelsGuest *guest, JsonObject *row, const Stat *before,
          const Stat *after)
{
    gint64 rss = vmi_ps_number(row, "rss") / PAGE;
    gint64 slack = 3 * (gint64)MAX(32, guest->n_vcpus * 2) * guest->n_vcpus;

    if (before->fields[VSIZE] == 0 && after->fields[VSIZE] == 0) {
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
    g_assert_cmpstr(vmi_ps_text(row, "state"), ==, before->state);
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
        gpointer key = GINT_TO_POINTER((gint)vmi_ps_number(row, "pid"));
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

        if (!g_hash_table_contains(seen,
                                   GINT_TO_POINTER((gint)vmi_ps_number(row, "ppid"))))
            roots++;
        g_hash_table_add(seen, GINT_TO_POINTER((gint)vmi_ps_number(row, "pid")));
    }
    /* init and kthreadd */
    g_assert_cmpuint(roots, ==, 2);
    g_assert_nonnull(vmi_ps_row(below, (gint64)kernels_number(self, "pid")));
    g_assert_null(vmi_ps_row(below, 1));
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

void
vmi_ps_add(void)
{
    kernels_add("/vmi-ps/processes", test_processes);
    kernels_add("/vmi-ps/threads", test_threads);
    kernels_add("/vmi-ps/status", vmi_ps_test_status);
    kernels_add("/vmi-ps/command", vmi_ps_test_command);
    kernels_add("/vmi-ps/namespaces", vmi_ps_test_namespaces);
    kernels_add("/vmi-ps/tree", test_tree);
    kernels_add("/vmi-ps/wrong-use", test_wrong_use);
    kernels_add("/vmi-ps/cgroups", vmi_ps_test_cgroups);
}

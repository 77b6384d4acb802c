/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mose irq` against /proc/interrupts and /proc/softirqs, read before and after: counts
 * lie between, all else is the same. `mose cpus` against what must be true of any
 * processor in one moment, and a task that is known to run.
 */
#include <string.h>

#include "lib/kernels.h"
#include "util/json.h"
#include "vm/vmi.h"

enum { ROUNDS = 12, TRIES = 100 };

/* --- lines of /proc/interrupts --- */

typedef struct {
    char *name;
    gint64 counts[8];
    guint n;
    char *rest; /* words with one blank in between */
} Line;

static void
line_free(gpointer data)
{
    Line *line = data;

    g_free(line->name);
    g_free(line->rest);
    g_free(line);
}

static Line *
parse_line(const char *text, guint n_cpus)
{
    Line *line = g_new0(Line, 1);
    const char *at = strchr(text, ':') + 1;
    g_auto(GStrv) words = NULL;
    g_autoptr(GString) rest = g_string_new(NULL);
    g_autofree char *name = g_strndup(text, at - 1 - text);

    line->name = g_strdup(g_strstrip(name));
    words = g_strsplit_set(at, " ", -1);
    for (char **word = words; *word; word++) {
        char *end;
        gint64 number = g_ascii_strtoll(*word, &end, 10);

        if (!**word)
            continue;
        if (line->n < n_cpus && rest->len == 0 && *end == '\0')
            line->counts[line->n++] = number;
        else
            g_string_append_printf(rest, "%s%s", rest->len ? " " : "", *word);
    }
    line->rest = g_strdup(rest->str);
    return line;
}

static GPtrArray *
read_lines(const KernelsGuest *guest, const char *file)
{
    g_autofree char *command = g_strdup_printf("cat /proc/%s", file);
    g_autofree char *said = vm_guest_output(guest->vm, command, NULL);
    g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
    GPtrArray *ret = g_ptr_array_new_with_free_func(line_free);

    for (char **line = lines; *line; line++)
        if (strchr(*line, ':'))
            g_ptr_array_add(ret, parse_line(*line, guest->n_vcpus));
    return ret;
}

/* What /proc has behind the counts. */
static char *
rest_of(JsonObject *row)
{
    JsonArray *actions;
    g_autoptr(GString) text = g_string_new(NULL);

    if (strcmp(mose_json_string(row, "kind", ""), "device") != 0)
        return g_strdup(mose_json_string(row, "text", ""));
    actions = json_object_get_array_member(row, "actions");
    g_string_printf(text, "%s %" G_GINT64_FORMAT "-%s",
                    mose_json_string(row, "chip", "?"), mose_json_int(row, "hwirq", -1),
                    mose_json_string(row, "flow", "?"));
    for (guint i = 0; i < json_array_get_length(actions); i++)
        g_string_append_printf(text, "%s %s", i ? "," : "",
                               json_array_get_string_element(actions, i));
    return g_strdup(text->str);
}

static void
check_row(JsonObject *row, const Line *before, const Line *after)
{
    JsonArray *counts = json_object_has_member(row, "counts")
                            ? json_object_get_array_member(row, "counts")
                            : NULL;
    g_autofree char *rest = rest_of(row);

    g_assert_cmpstr(mose_json_string(row, "irq", ""), ==, before->name);
    g_assert_cmpstr(after->name, ==, before->name);
    g_assert_cmpstr(rest, ==, before->rest);
    g_assert_cmpuint(counts ? json_array_get_length(counts) : 1, ==, before->n);
    for (guint i = 0; i < before->n; i++) {
        gint64 count = counts ? json_array_get_int_element(counts, i)
                              : mose_json_int(row, "total", -1);

        if (count < before->counts[i] || count > after->counts[i])
            g_error("%s of CPU %u: %" G_GINT64_FORMAT ", not from %" G_GINT64_FORMAT
                    " to %" G_GINT64_FORMAT,
                    before->name, i, count, before->counts[i], after->counts[i]);
    }
}

/* All rows whose kind is @softirq or not, in the order of /proc/@file. */
static void
check_file(const KernelsGuest *guest, const char *file, gboolean softirq)
{
    g_autoptr(GPtrArray) before = read_lines(guest, file);
    g_autoptr(JsonObject) said = vm_mose_json("irq", guest->vm->name, NULL);
    g_autoptr(GPtrArray) after = read_lines(guest, file);
    JsonArray *rows = json_object_get_array_member(said, "interrupts");
    guint n = 0;

    g_assert_cmpuint(after->len, ==, before->len);
    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = json_array_get_object_element(rows, i);

        if ((strcmp(mose_json_string(row, "kind", ""), "softirq") == 0) != softirq)
            continue;
        g_assert_cmpuint(n, <, before->len);
        check_row(row, before->pdata[n], after->pdata[n]);
        n++;
    }
    g_assert_cmpuint(n, ==, before->len);
    g_assert_cmpuint(n, >, 8);
}

static void
test_interrupts(const KernelsGuest *guest)
{
    check_file(guest, "interrupts", FALSE);
}

static void
test_softirqs(const KernelsGuest *guest)
{
    check_file(guest, "softirqs", TRUE);
}

/* --- processors --- */

static const char *
text_of(JsonObject *row, const char *member)
{
    return mose_json_string(row, member, "");
}

/* In one moment all of this is so; of two it would not be. */
static void
check_cpu(JsonObject *row)
{
    gboolean user = strcmp(text_of(row, "state"), "user") == 0;
    gboolean idle = strcmp(text_of(row, "state"), "idle") == 0;
    JsonObject *count = json_object_get_object_member(row, "preempt-count");

    g_assert_true(json_object_get_boolean_member(row, "online"));
    g_assert_true(json_object_has_member(row, "vcpu"));
    g_assert_nonnull(count);
    g_assert_cmpint(mose_json_int(row, "pid", -1) == 0, ==, idle);
    g_assert_cmpint(mose_json_int(row, "privilege", -1), ==, user ? 3 : 0);
    if (idle)
        g_assert_true(g_str_has_prefix(text_of(row, "comm"), "swapper/"));
    if (user) {
        g_assert_cmpstr(text_of(row, "interrupts"), ==, "on");
        g_assert_cmpstr(text_of(row, "tables-of"), ==, "task");
        g_assert_cmpint(mose_json_int(count, "preempt", -1), ==, 0);
        g_assert_cmpint(mose_json_int(count, "hardirq", -1), ==, 0);
        g_assert_false(g_str_has_prefix(text_of(row, "where"), "0xffff"));
    } else {
        g_assert_cmpstr(text_of(row, "symbol"), !=, "");
    }
    if (json_object_get_boolean_member(row, "halted"))
        g_assert_true(idle);
}

static JsonArray *
read_cpus(const KernelsGuest *guest, JsonObject **ret_said)
{
    JsonArray *rows;

    *ret_said = vm_mose_json("cpus", guest->vm->name, NULL);
    rows = json_object_get_array_member(*ret_said, "cpus");
    g_assert_cmpuint(json_array_get_length(rows), ==, guest->n_vcpus);
    for (guint i = 0; i < guest->n_vcpus; i++) {
        JsonObject *row = json_array_get_object_element(rows, i);

        g_assert_cmpint(mose_json_int(row, "cpu", -1), ==, i);
        check_cpu(row);
    }
    return rows;
}

static gboolean
is_seen(JsonArray *rows, const char *comm, const char *state)
{
    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = json_array_get_object_element(rows, i);

        if (strcmp(text_of(row, "comm"), comm) == 0 &&
            strcmp(text_of(row, "state"), state) == 0)
            return TRUE;
    }
    return FALSE;
}

/* Nothing runs but what is asked; then a task that never leaves user mode by itself. */
static void
test_cpus(const KernelsGuest *guest)
{
    gboolean seen = FALSE;

    for (guint i = 0; i < ROUNDS; i++) {
        g_autoptr(JsonObject) said = NULL;

        read_cpus(guest, &said);
    }
    vm_shell(guest->vm, "(printf mose-hog >/proc/self/comm; while :; do :; done) & "
                        "hog=$!");
    for (guint i = 0; i < TRIES && !seen; i++) {
        g_autoptr(JsonObject) said = NULL;

        seen = is_seen(read_cpus(guest, &said), "mose-hog", "user");
    }
    vm_shell(guest->vm, "kill $hog");
    g_assert_true(seen);
}

static void
test_registers(const KernelsGuest *guest)
{
    g_autofree char *out = NULL;

    g_assert_cmpint(vm_mose(&out, NULL, "cpus", guest->vm->name, "--registers", NULL),
                    ==, 0);
    g_assert_nonnull(strstr(out, "\nCPU 0\n"));
    g_assert_nonnull(strstr(out, " cr3 0x"));
}

/* A guest without a system: registers alone. */
static void
test_unknown(void)
{
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autoptr(JsonObject) said = NULL;

    if (vm_cannot_run())
        return;
    g_assert_cmpint(vm_mose(NULL, NULL, "run", "nothing", "--accel", "tcg", "--",
                            "-nodefaults", "-m", "64", "-smp", "2", NULL),
                    ==, 0);
    g_assert_cmpint(vm_mose(&out, &err, "cpus", "nothing", NULL), ==, 0);
    g_assert_nonnull(strstr(err, "registers alone"));
    g_assert_nonnull(strstr(out, "PAGING"));
    g_assert_nonnull(strstr(out, " off "));
    said = vm_mose_json("cpus", "nothing", NULL);
    g_assert_cmpstr(mose_json_string(said, "system", ""), ==, "unknown");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(said, "cpus")),
                     ==, 2);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", "nothing", NULL), ==, 0);
}

void
vmi_cpus_add(void)
{
    kernels_add_once("/vmi-cpus/unknown", test_unknown);
    kernels_add("/vmi-cpus/interrupts", test_interrupts);
    kernels_add("/vmi-cpus/softirqs", test_softirqs);
    kernels_add("/vmi-cpus/registers", test_registers);
    kernels_add("/vmi-cpus/cpus", test_cpus);
}

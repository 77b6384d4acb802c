/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `mose ps` against the files of each process in the guest's /proc: those that are the
 * same before and after. */
#include <string.h>

#include "util/json.h"
#include "vm/vmi-ps.h"

/* --- each process's file --- */

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
        JsonObject *row = vmi_ps_row(said, pid);
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
    gint64 numbers[64], threads = vmi_ps_number(row, "threads");

    for (guint i = 0; i < 4; i++)
        numbers[i] = vmi_ps_number(row, uids[i]);
    assert_line(status, "Uid", numbers, 4);
    for (guint i = 0; i < 4; i++)
        numbers[i] = vmi_ps_number(row, gids[i]);
    assert_line(status, "Gid", numbers, 4);
    for (guint i = 0; i < json_array_get_length(pids); i++)
        numbers[i] = json_array_get_int_element(pids, i);
    assert_line(status, "NSpid", numbers, json_array_get_length(pids));
    assert_line(status, "Threads", &threads, 1);
}

/* Many change all the time (context switches): those that do not are enough, as there
 * is one of each kind among them. */
void
vmi_ps_test_status(const KernelsGuest *guest)
{
    g_autofree char *user = kernels_line(guest->witness, "task", "name", "wit-user");
    g_autoptr(JsonObject) said = NULL;

    g_assert_cmpuint(compare_files(guest, "status", check_status), >, 40);
    said = vm_mose_json("ps", guest->vm->name, "wit-user", NULL);
    g_assert_cmpint(json_array_get_length(json_object_get_array_member(said, "tasks")),
                    ==, 1);
    g_assert_cmpint(
        vmi_ps_number(vmi_ps_row(said, (gint64)kernels_number(user, "pid")), "euid"),
        ==, (gint64)kernels_number(user, "uid"));
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
void
vmi_ps_test_command(const KernelsGuest *guest)
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
        g_error("%s: %s, and in /proc: %.*s", vmi_ps_text(row, "name"), text->str,
                (int)len, content);
}

/* In v2 three levels deep; one group that is gone under its last task; and a hierarchy
 * of v1 beside it. */
void
vmi_ps_test_cgroups(const KernelsGuest *guest)
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
        row = vmi_ps_row(said, g_ascii_strtoll(words[2], NULL, 10));
        if (!row)
            continue;
        name = g_strndup(words[4], strcspn(words[4], " "));
        if (mose_json_int(json_object_get_object_member(row, "namespaces"), name, 0) !=
            g_ascii_strtoll(number + 1, NULL, 10))
            g_error("%s: not in %s", vmi_ps_text(row, "name"), at);
        n++;
    }
    return n;
}

void
vmi_ps_test_namespaces(const KernelsGuest *guest)
{
    static const char list[] = "ls -l /proc/[0-9]*/ns/* 2>/dev/null";
    g_autofree char *inside =
        kernels_line(guest->witness, "namespaces", "name", "wit-inside");
    g_autofree char *before = vm_guest_output(guest->vm, list, NULL);
    g_autoptr(JsonObject) said = vm_mose_json("ps", guest->vm->name, NULL);
    g_autofree char *after = vm_guest_output(guest->vm, list, NULL);
    JsonObject *row = vmi_ps_row(said, (gint64)kernels_number(inside, "pid"));
    JsonArray *pids = json_object_get_array_member(row, "pids");

    g_assert_cmpuint(check_links(said, before, after), >, 400);
    g_assert_cmpint(json_array_get_length(pids), ==, 2);
    g_assert_cmpint(json_array_get_int_element(pids, 1), ==, 1);
}

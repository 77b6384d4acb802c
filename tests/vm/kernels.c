/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guests that tests of introspection look into are what those believe them to be:
 * kernels of several versions, somewhere else at each boot, with a world that is as the
 * witness tells it, by the kernel's own word; and what /proc says comes out whole.
 */
#include <string.h>

#include "lib/kernels.h"

#define LINKED_AT "ffffffff81000000 "

/* /proc/PID/stat of it says so. */
static void
assert_stat(const KernelsGuest *guest, const char *line, const char *state)
{
    g_autofree char *name = kernels_word(line, "name");
    g_autofree char *command = g_strdup_printf("cat /proc/%" G_GUINT64_FORMAT "/stat",
                                               kernels_number(line, "pid"));
    g_autofree char *said = vm_shell_output(guest->vm, command);
    g_autofree char *expected = g_strdup_printf(" (%s) %s ", name, state);

    if (!strstr(said, expected))
        g_error("not '%s', but: %s", expected, said);
}

static void
test_kernel(const KernelsGuest *guest)
{
    g_autofree char *said = vm_shell_output(guest->vm, "uname -r; nproc");
    g_autofree char *vcpus = g_strdup_printf("\n%u\n", guest->n_vcpus);
    g_autofree char *release = g_strdup_printf("%s.", guest->kernel);

    g_assert_true(g_str_has_prefix(said, release));
    g_assert_nonnull(strstr(said, vcpus));
}

static guint
count_lines(const char *text, gsize len)
{
    guint ret = 0;

    for (gsize i = 0; i < len; i++)
        ret += text[i] == '\n';
    return ret;
}

/* The longest that there is: as many symbols as the guest counts, with addresses. */
static void
test_symbols(const KernelsGuest *guest)
{
    g_autofree char *count = vm_shell_output(guest->vm, "wc -l </proc/kallsyms");
    gsize len;
    g_autofree char *said = vm_guest_output(guest->vm, "cat /proc/kallsyms", &len);
    g_autofree char *text =
        vm_shell_output(guest->vm, "grep -m 1 ' _text$' /proc/kallsyms");

    g_assert_cmpuint(len, ==, strlen(said));
    g_assert_cmpuint(count_lines(said, len), ==, g_ascii_strtoull(count, NULL, 10));
    g_assert_cmpuint(count_lines(said, len), >, 50000);
    g_assert_true(g_str_has_prefix(text, "ffffffff"));
    g_assert_nonnull(strstr(said, text));
}

/* The kernel is not always where it was linked: one boot in 500 may be there. */
static void
test_kaslr(const KernelsGuest *guest)
{
    static guint tried, moved;
    g_autofree char *text =
        vm_shell_output(guest->vm, "grep -m 1 ' _text$' /proc/kallsyms");

    tried++;
    moved += !g_str_has_prefix(text, LINKED_AT);
    g_assert_cmpuint(moved + 1, >=, tried);
}

static void
test_tasks(const KernelsGuest *guest)
{
    static const char *const states[][2] = {
        { "wit-sleep", "S" },  { "wit-stop", "T" }, { "wit-trace", "t" },
        { "wit-zombie", "Z" }, { "wit-disk", "D" }, { "wit-00020", "S" },
    };
    g_autofree char *user = kernels_line(guest->witness, "task", "name", "wit-user");
    g_autofree char *status = NULL;
    g_autofree char *command = g_strdup_printf("cat /proc/%" G_GUINT64_FORMAT "/status",
                                               kernels_number(user, "pid"));

    for (guint i = 0; i < G_N_ELEMENTS(states); i++) {
        g_autofree char *line =
            kernels_line(guest->witness, "task", "name", states[i][0]);

        assert_stat(guest, line, states[i][1]);
    }
    status = vm_shell_output(guest->vm, command);
    g_assert_nonnull(strstr(status, "Uid:\t1234\t1234\t1234\t1234\n"));
    g_assert_nonnull(strstr(status, "Gid:\t2345\t2345\t2345\t2345\n"));
    g_assert_nonnull(strstr(status, "Groups:\t3456 \n"));
}

static void
test_namespaces(const KernelsGuest *guest)
{
    static const char *const names[] = { "uts", "mnt", "net", "pid" };
    g_autofree char *in =
        kernels_line(guest->witness, "namespaces", "name", "wit-inside");
    g_autofree char *out =
        kernels_line(guest->witness, "namespaces", "name", "witness");
    g_autofree char *command = g_strdup_printf(
        "cat /proc/%" G_GUINT64_FORMAT "/mountinfo", kernels_number(in, "pid"));
    g_autofree char *mounts = vm_shell_output(guest->vm, command);
    g_autofree char *outside = vm_shell_output(guest->vm, "cat /proc/self/mountinfo");

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_cmpuint(kernels_number(in, names[i]), !=,
                         kernels_number(out, names[i]));
    g_assert_nonnull(strstr(mounts, " - tmpfs wit-source "));
    g_assert_null(strstr(outside, "wit-source"));
}

static void
assert_socket(const KernelsGuest *guest, const char *kind, const char *file)
{
    g_autofree char *line = kernels_line(guest->witness, "socket", "kind", kind);
    g_autofree char *inode = kernels_word(line, "inode");
    g_autofree char *command =
        g_strdup_printf("grep -c ' %s ' /proc/net/%s", inode, file);
    g_autofree char *said = vm_shell_output(guest->vm, command);

    g_assert_cmpstr(said, ==, "1\n");
}

/* What is said to be open, mapped, bound is. */
static void
test_things(const KernelsGuest *guest)
{
    g_autofree char *self = kernels_line(guest->witness, "self", NULL, NULL);
    guint64 pid = kernels_number(self, "pid");
    g_autofree char *unlinked = kernels_line(guest->witness, "fd", "kind", "unlinked");
    g_autofree char *command =
        g_strdup_printf("readlink /proc/%" G_GUINT64_FORMAT "/fd/%" G_GUINT64_FORMAT,
                        pid, kernels_number(unlinked, "fd"));
    g_autofree char *link = vm_shell_output(guest->vm, command);
    g_autofree char *mapping =
        kernels_line(guest->witness, "mapping", "kind", "protected");
    g_autofree char *maps_command =
        g_strdup_printf("cat /proc/%" G_GUINT64_FORMAT "/maps", pid);
    g_autofree char *maps = vm_shell_output(guest->vm, maps_command);
    g_autofree char *range = g_strdup_printf("-%" G_GINT64_MODIFIER "x ---p ",
                                             kernels_number(mapping, "start") +
                                                 kernels_number(mapping, "size"));

    g_assert_cmpstr(link, ==, "/run/witness/unlinked (deleted)\n");
    g_assert_nonnull(strstr(maps, range));
    assert_socket(guest, "tcp-listen", "tcp");
    assert_socket(guest, "tcp6-listen", "tcp6");
    assert_socket(guest, "udp", "udp");
    assert_socket(guest, "unix-listen", "unix");
}

static void
test_log(const KernelsGuest *guest)
{
    static const char *const kinds[] = { "written", "continued", "dictionary" };
    g_autofree char *log = vm_guest_output(guest->vm, "dmesg", NULL);

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *line = kernels_line(guest->witness, "log", "kind", kinds[i]);

        g_assert_cmpuint(kernels_number(line, "sequence"), >, 0);
    }
    g_assert_nonnull(strstr(log, "witness: first\n"));
    g_assert_nonnull(strstr(log, "sysrq: HELP : "));
}

/* What else tests compare with is there. */
static void
test_oracle(const KernelsGuest *guest)
{
    static const char *const commands[] = {
        "cat /proc/modules",           "cat /proc/1/maps",
        "cat /proc/interrupts",        "cat /proc/1/stat",
        "cat /proc/1/mountinfo",       "ls -l /proc/1/fd",
        "cat /sys/kernel/btf/vmlinux",
    };

    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        gsize len;
        g_autofree char *said = vm_guest_output(guest->vm, commands[i], &len);

        g_assert_cmpuint(len, >, 50);
        g_assert_null(g_strstr_len(said, len, "No such file"));
        g_assert_null(g_strstr_len(said, len, "not found"));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    kernels_add("/kernels/kernel", test_kernel);
    kernels_add("/kernels/symbols", test_symbols);
    kernels_add("/kernels/kaslr", test_kaslr);
    kernels_add("/kernels/tasks", test_tasks);
    kernels_add("/kernels/namespaces", test_namespaces);
    kernels_add("/kernels/things", test_things);
    kernels_add("/kernels/log", test_log);
    kernels_add("/kernels/oracle", test_oracle);
    return kernels_run_tests();
}

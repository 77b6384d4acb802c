/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program starts itself again on a full KVM. See full-kvm.h. */
#include "lib/full-kvm.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/clock.h"
#include "util/fd.h"
#include "util/unix-socket.h"

#define INSIDE "MOSE_TEST_INSIDE"

gboolean
full_kvm_is_inside(void)
{
    return g_getenv(INSIDE) != NULL;
}

static char *
output_of(const char *const *argv)
{
    char *out = NULL;
    int status = 1;

    if (!g_spawn_sync(NULL, (char **)argv, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
                      &out, NULL, &status, NULL) ||
        status != 0)
        g_clear_pointer(&out, g_free);
    return out ? g_strchomp(out) : NULL;
}

static void
add(GPtrArray *words, const char *option, char *value)
{
    g_ptr_array_add(words, g_strdup(option));
    g_ptr_array_add(words, value);
}

/* The firmware that a pc needs, wherever this QEMU has it. */
static void
add_firmware(GPtrArray *words)
{
    static const char *const names[] = { "bios-256k.bin", "kvmvapic.bin",
                                         "linuxboot_dma.bin", "pvh.bin" };
    static const char *const argv[] = { "qemu-system-x86_64", "-L", "help", NULL };
    g_autofree char *text = output_of(argv);
    g_auto(GStrv) directories = text ? g_strsplit(text, "\n", -1) : NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        for (char **dir = directories; dir && *dir; dir++) {
            g_autofree char *file = g_build_filename(*dir, names[i], NULL);

            if (!g_file_test(file, G_FILE_TEST_EXISTS))
                continue;
            add(words, "--with", g_steal_pointer(&file));
            break;
        }
    }
}

/* The inner Linux must not guess the TSC's frequency while others are busy. */
static guint64
tsc_khz(void)
{
    MoseTscSample from = mose_tsc_sample(), to;

    g_usleep(200000);
    to = mose_tsc_sample();
    return mose_tsc_khz(&from, &to);
}

static GPtrArray *
command_line(const char *qemu, const char *guest, const FullKvm *what, char **argv)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = g_path_get_dirname(qemu);

    g_ptr_array_add(words, g_strdup(g_getenv("KVM_IN_TCG")));
    add(words, "--memory", g_strdup_printf("%u", what->memory_mb));
    add(words, "--cpus", g_strdup("2"));
    add(words, "--seconds", g_strdup(g_getenv("SECONDS_INSIDE")));
    add(words, "--append",
        g_strdup_printf("tsc_early_khz=%" G_GUINT64_FORMAT, tsc_khz()));
    add(words, "--set", g_strdup_printf("PATH=/bin:%s", path));
    add(words, "--set", g_strdup(INSIDE "=1"));
    add(words, "--set", g_strdup_printf("MOSE=%s", g_getenv("MOSE")));
    add(words, "--with", g_strdup(g_getenv("MOSE")));
    add(words, "--with", g_strdup(qemu));
    if (what->file) {
        add(words, "--with", g_strdup(g_getenv(what->file)));
        add(words, "--set", g_strdup_printf("%s=%s", what->file, g_getenv(what->file)));
    }
    add_firmware(words);
    g_ptr_array_add(words, g_strdup("--guest"));
    g_ptr_array_add(words, g_strdup(guest));
    for (; *argv; argv++)
        g_ptr_array_add(words, g_strdup(*argv));
    g_ptr_array_add(words, NULL);
    return words;
}

/* Pass on the program's TAP from between the lines BEGIN and END; its status. */
static int
pass_on(FILE *from)
{
    gboolean begun = FALSE;
    int status = -1;
    char line[4096];

    while (fgets(line, sizeof(line), from)) {
        gboolean tap;

        line[strcspn(line, "\r\n")] = '\0';
        if (begun && sscanf(line, "END %d", &status) == 1)
            continue;
        tap = g_str_has_prefix(line, "ok ") || g_str_has_prefix(line, "not ok ") ||
              g_str_has_prefix(line, "1..") || g_str_has_prefix(line, "Bail out!") ||
              line[0] == '#';
        printf("%s%s\n", begun && tap ? "" : "# ", line);
        fflush(stdout);
        begun = begun || strcmp(line, "BEGIN") == 0;
    }
    return status;
}

static void
die_with_parent(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static int
run_inside(const char *qemu, const char *guest, const FullKvm *what, char **argv)
{
    g_autoptr(GPtrArray) words = command_line(qemu, guest, what, argv);
    g_autoptr(GError) error = NULL;
    int out, status, wait_status;
    FILE *from;
    GPid pid;

    if (!g_spawn_async_with_pipes(NULL, (char **)words->pdata, NULL,
                                  G_SPAWN_DO_NOT_REAP_CHILD, die_with_parent, NULL,
                                  &pid, NULL, &out, NULL, &error))
        g_error("%s", error->message);
    from = fdopen(out, "r");
    status = pass_on(from);
    fclose(from);
    waitpid(pid, &wait_status, 0);
    if (status == 0)
        return 0;
    printf("Bail out! the program ended with status %d\n", status);
    return 1;
}

int
full_kvm_run(const FullKvm *what, char **argv, const char **ret_why_not)
{
    g_autofree char *qemu = g_find_program_in_path("qemu-system-x86_64");
    const char *const build[] = { g_getenv("MOSE_GUEST_BUILD"), NULL };
    g_autofree char *guest = qemu ? output_of(build) : NULL;

    if (guest)
        return run_inside(qemu, guest, what, argv);
    *ret_why_not = qemu ? "guest/linux/build cannot make the demo guest here"
                        : "qemu-system-x86_64 is not installed";
    return -1;
}

char *
full_kvm_ask(const VmGuest *guest, const char *command, int seconds)
{
    gint64 deadline = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) fd = mose_unix_connect(guest->shell, &error);
    g_autofree char *line = g_strdup_printf("\n%s\necho ANS''WERED\n", command);
    g_autoptr(GString) said = g_string_new(NULL);
    char *end = NULL;

    g_assert_no_error(error);
    mose_fd_write_all(fd, line, strlen(line), guest->shell, &error);
    g_assert_no_error(error);
    while (!end) {
        gint64 left = deadline - g_get_monotonic_time();
        struct pollfd readable = { fd, POLLIN, 0 };
        char piece[512];
        ssize_t n;

        if (left <= 0 || poll(&readable, 1, (int)(left / 1000)) <= 0)
            return NULL;
        n = read(fd, piece, sizeof(piece));
        if (n <= 0)
            return NULL;
        g_string_append_len(said, piece, n);
        end = strstr(said->str, "ANSWERED");
    }
    return g_strndup(said->str, end - said->str);
}

/* --- a whole program of such tests --- */

static const char *why_not_here;

static void
skip(void)
{
    g_test_skip(why_not_here);
}

int
full_kvm_main(const FullKvm *what, int argc, char **argv, const FullKvmTest *tests,
              gsize n)
{
    gboolean inside = full_kvm_is_inside();
    int status = inside ? -1 : full_kvm_run(what, argv, &why_not_here);

    if (status >= 0)
        return status;
    g_test_init(&argc, &argv, NULL);
    if (inside)
        vm_setup();
    for (gsize i = 0; i < n; i++)
        g_test_add_func(tests[i].path, inside ? tests[i].run : skip);
    return inside ? vm_run_tests() : g_test_run();
}

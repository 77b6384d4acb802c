/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program starts itself again on a full KVM. See full-kvm.h. */
#include "lib/full-kvm.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "guest/clock.h"

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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests with several kernels, and the witness in them. See kernels.h. */
#include "lib/kernels.h"

#include <stdlib.h>
#include <string.h>

#define READY_SECONDS 120
#define WITNESS_FILE "/run/witness.out"

const char *const kernels_all[] = { "6.1", "6.12", "7", "5.10", NULL };

static const guint vcpus_all[] = { 1, 4 };

typedef struct {
    KernelsTest test;
    const char *kernel;
    guint n_vcpus;
} Case;

static GPtrArray *shared; /* KernelsGuest */

gboolean
kernels_is_older(const KernelsGuest *guest, int major, int minor)
{
    char *end;
    int own = (int)g_ascii_strtoll(guest->kernel, &end, 10);

    return own < major ||
           (own == major && *end == '.' && g_ascii_strtoll(end + 1, NULL, 10) < minor);
}

/* The directory of its images; NULL, and *@ret_why, where it cannot be made. */
static char *
build(const char *kernel, char **ret_why)
{
    const char *argv[] = { g_getenv("MOSE_GUEST_BUILD"), "--kernel", kernel, NULL };
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, &err, &status,
                     &error) &&
        g_spawn_check_wait_status(status, &error))
        return g_strdup(g_strstrip(out));
    *ret_why = g_strdup_printf("the guest with Linux %s cannot be made: %s\n%s", kernel,
                               error->message, err ? err : "");
    return NULL;
}

/* The same, asked for once: an archive that does not answer takes its time not to. */
static const char *
images_of(const char *kernel, const char **ret_why)
{
    static GHashTable *made, *failed;
    char *images, *why = NULL;

    if (!made) {
        made = g_hash_table_new(g_str_hash, g_str_equal);
        failed = g_hash_table_new(g_str_hash, g_str_equal);
    }
    if (!g_hash_table_contains(made, kernel)) {
        images = build(kernel, &why);
        g_hash_table_insert(made, g_strdup(kernel), images);
        g_hash_table_insert(failed, g_strdup(kernel), why);
    }
    *ret_why = g_hash_table_lookup(failed, kernel);
    return g_hash_table_lookup(made, kernel);
}

VmGuest *
kernels_guest(const char *name, const char *kernel, guint n_vcpus, const char *append)
{
    g_autofree char *extra = g_strdup_printf("-smp %u", n_vcpus);
    g_autofree char *line = NULL;
    const char *images, *why;
    VmGuest *guest;

    if (vm_cannot_run())
        return NULL;
    images = images_of(kernel, &why);
    if (!images) {
        g_test_skip(why);
        return NULL;
    }
    guest = vm_guest_new(name);
    guest->images = g_strdup(images);
    /* TCG gives each vCPU the same TSC, whatever Linux thinks when it tries. */
    line = g_strdup_printf("tsc=reliable %s", append ? append : "");
    vm_run(guest, "--accel tcg", extra, line);
    vm_wait_console(guest, "MOSE-GUEST READY", READY_SECONDS);
    return guest;
}

char *
kernels_witness(const VmGuest *guest, const char *options)
{
    g_autofree char *start =
        g_strdup_printf("witness %s >" WITNESS_FILE " 2>&1 </dev/null &\n"
                        "until grep -q '^WITNESS ' " WITNESS_FILE "; do\n"
                        "kill -0 $! || break; usleep 50000; done",
                        options ? options : "");
    char *ret;

    vm_shell(guest, start);
    ret = vm_guest_output(guest, "cat " WITNESS_FILE, NULL);
    if (!g_str_has_suffix(ret, "\nWITNESS READY\n"))
        g_error("%s: the witness fails: %s", guest->name, ret);
    return ret;
}

static void
free_shared(KernelsGuest *guest)
{
    vm_guest_free(guest->vm);
    g_free(guest->witness);
    g_free(guest);
}

/* NULL where the test has been skipped. */
static const KernelsGuest *
get_shared(const char *kernel, guint n_vcpus)
{
    g_autofree char *name = g_strdup_printf("kernel-%s-%u", kernel, n_vcpus);
    KernelsGuest *ret;
    VmGuest *vm;

    for (guint i = 0; i < shared->len; i++) {
        ret = g_ptr_array_index(shared, i);
        if (strcmp(ret->kernel, kernel) == 0 && ret->n_vcpus == n_vcpus)
            return ret;
    }
    vm = kernels_guest(g_strdelimit(name, ".", '_'), kernel, n_vcpus, NULL);
    if (!vm)
        return NULL;
    ret = g_new0(KernelsGuest, 1);
    ret->kernel = kernel;
    ret->n_vcpus = n_vcpus;
    ret->vm = vm;
    ret->witness = kernels_witness(vm, "--tasks 20");
    g_ptr_array_add(shared, ret);
    return ret;
}

static void
run_case(gconstpointer data)
{
    const Case *wanted = data;
    const KernelsGuest *guest = get_shared(wanted->kernel, wanted->n_vcpus);

    if (guest)
        wanted->test(guest);
}

static void
add_case(const char *path, KernelsTest test, const char *kernel, guint n_vcpus)
{
    g_autofree char *full = g_strdup_printf("%s/%s/%u", path, kernel, n_vcpus);
    Case *wanted = g_new0(Case, 1);

    wanted->test = test;
    wanted->kernel = kernel;
    wanted->n_vcpus = n_vcpus;
    g_test_add_data_func_full(full, wanted, run_case, g_free);
}

static gboolean
is_wanted(const char *kernel)
{
    const char *only = g_getenv("MOSE_TEST_KERNEL");

    return !only || strcmp(only, kernel) == 0;
}

static gboolean
is_wanted_with(const char *kernel, guint n_vcpus)
{
    const char *only = g_getenv("MOSE_TEST_VCPUS");

    return is_wanted(kernel) && (!only || (guint)atoi(only) == n_vcpus);
}

void
kernels_add(const char *path, KernelsTest test)
{
    if (!shared)
        shared = g_ptr_array_new_with_free_func((GDestroyNotify)free_shared);
    for (const char *const *kernel = kernels_all; *kernel; kernel++)
        for (guint i = 0; i < G_N_ELEMENTS(vcpus_all); i++)
            if (is_wanted_with(*kernel, vcpus_all[i]))
                add_case(path, test, *kernel, vcpus_all[i]);
}

void
kernels_add_once(const char *path, GTestFunc test)
{
    if (is_wanted(kernels_all[0]))
        g_test_add_func(path, test);
}

int
kernels_run_tests(void)
{
    int ret = vm_run_tests();

    g_clear_pointer(&shared, g_ptr_array_unref);
    return ret;
}

char *
kernels_word(const char *line, const char *name)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    g_autofree char *start = g_strdup_printf("%s=", name);

    for (char **word = words; *word; word++)
        if (g_str_has_prefix(*word, start))
            return g_strdup(*word + strlen(start));
    g_error("no %s in '%s'", name, line);
}

guint64
kernels_number(const char *line, const char *name)
{
    g_autofree char *word = kernels_word(line, name);
    char *end;
    guint64 ret = g_ascii_strtoull(word, &end, 0);

    if (end == word || *end)
        g_error("%s is no number in '%s'", name, line);
    return ret;
}

static gboolean
fits(const char *line, const char *kind, const char *wanted)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);

    return words[0] && strcmp(words[0], kind) == 0 &&
           (!wanted || g_strv_contains((const char *const *)words, wanted));
}

char *
kernels_line(const char *witness, const char *kind, const char *name, const char *value)
{
    g_auto(GStrv) lines = g_strsplit(witness, "\n", -1);
    g_autofree char *wanted = name ? g_strdup_printf("%s=%s", name, value) : NULL;

    for (char **line = lines; *line; line++)
        if (fits(*line, kind, wanted))
            return g_strdup(*line);
    return g_strdup("");
}

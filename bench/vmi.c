/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What looking into a guest costs: the first command on a kernel that is not known and
 * later ones, on each kernel; a thousand tasks; the stop for registers; and, where
 * there are crash and a kernel with debug information (MOSE_DEBUG_VMLINUX), crash
 * beside it on a dump.
 */
#include <string.h>

#include "bench/plain.h"
#include "bench/result.h"
#include "lib/kernels.h"
#include "util/json.h"

#define TIMES 20
#define CRASH_TIMES 3
#define TASKS 1000
#define US_PER_MS 1e3

/* Milliseconds that `mose` takes with these words. */
static double
time_mose(const char *const *words)
{
    gint64 begin = g_get_monotonic_time();

    g_assert_cmpint(vm_mosev(NULL, NULL, words), ==, 0);
    return (double)(g_get_monotonic_time() - begin) / US_PER_MS;
}

/* With a cache that has nothing of any kernel; and again, with what that has left. */
static void
measure_kernel(const char *kernel)
{
    g_autofree char *guest_name = g_strdup_printf("vmi-%s", kernel);
    g_autofree char *first_figure = g_strdup_printf("vmi/first-%s", kernel);
    g_autofree char *later_figure = g_strdup_printf("vmi/later-%s", kernel);
    g_autofree char *first_what =
        g_strdup_printf("`mose ps` of a Linux %s that is not known", kernel);
    static const char later_what[] = "... and once it is";
    g_autofree char *cache = g_dir_make_tmp("mose-bench-XXXXXX", NULL);
    g_autofree char *before = g_strdup(g_getenv("MOSE_CACHE_DIR"));
    g_autoptr(GArray) first = bench_values_new(), later = bench_values_new();
    g_autoptr(VmGuest) guest = kernels_guest(guest_name, kernel, 1, NULL);

    if (!guest) {
        bench_skipped(first_figure, first_what, "that kernel cannot be had here");
        return;
    }
    g_setenv("MOSE_CACHE_DIR", cache, TRUE);
    for (int i = 0; i < TIMES; i++) {
        const char *const words[] = { "ps", guest->name, NULL };

        vm_remove_tree(cache);
        bench_add(first, time_mose(words));
        bench_add(later, time_mose(words));
    }
    vm_remove_tree(cache);
    if (before)
        g_setenv("MOSE_CACHE_DIR", before, TRUE);
    else
        g_unsetenv("MOSE_CACHE_DIR");
    bench_result(&(BenchResult){ first_figure, first_what, "ms", 1000, first });
    bench_result(&(BenchResult){ later_figure, later_what, "ms", 50, later });
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

static void
measure_tasks(const VmGuest *guest)
{
    g_autofree char *options = g_strdup_printf("--tasks %d", TASKS);
    g_autofree char *told = kernels_witness(guest, options);
    g_autoptr(GArray) values = bench_values_new();

    for (int i = 0; i < TIMES; i++) {
        const char *const words[] = { "ps", guest->name, NULL };

        bench_add(values, time_mose(words));
    }
    bench_result(&(BenchResult){ "vmi/ps-1000", "`mose ps` of 1,000 processes", "ms",
                                 100, values });
}

static void
measure_stop(const VmGuest *guest)
{
    g_autoptr(GArray) values = bench_values_new();

    for (int i = 0; i < TIMES; i++) {
        g_autoptr(JsonObject) report = vm_mose_json("cpus", guest->name, NULL);

        bench_add(values, (double)mose_json_int(report, "stopped-us", -1) / US_PER_MS);
    }
    bench_result(
        &(BenchResult){ "vmi/stop",
                        "a guest under TCG is stopped for its registers (`mose "
                        "cpus`)",
                        "ms", 1, values });
}

/* --- crash, on the same dump --- */

static double
time_crash(const char *crash, const char *vmlinux, const char *core,
           const char *commands)
{
    const char *const words[] = { crash, "-s", "-i", commands, vmlinux, core, NULL };
    gint64 begin = g_get_monotonic_time();
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)words, NULL,
                               G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                               NULL, NULL, NULL, NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    return (double)(g_get_monotonic_time() - begin) / US_PER_MS;
}

static void
measure_crash(const VmGuest *guest)
{
    static const char what[] = "`mose ps` of a dump beside crash's `ps`, by time";
    g_autofree char *crash = g_find_program_in_path("crash");
    g_autofree char *core = vm_path("core"), *commands = vm_path("commands");
    const char *vmlinux = g_getenv("MOSE_DEBUG_VMLINUX");
    const char *const words[] = { "ps", core, NULL };
    g_autoptr(GArray) values = bench_values_new();

    if (!crash || !vmlinux) {
        bench_skipped("vmi/crash", what,
                      !crash ? "crash is not installed"
                             : "MOSE_DEBUG_VMLINUX names no kernel with debug "
                               "information");
        return;
    }
    g_assert_true(g_file_set_contents(commands, "ps\nexit\n", -1, NULL));
    g_assert_cmpint(vm_mose(NULL, NULL, "dump", guest->name, core, NULL), ==, 0);
    for (int i = 0; i < CRASH_TIMES; i++) {
        double mine = time_mose(words);

        bench_add(values, mine / time_crash(crash, vmlinux, core, commands));
    }
    bench_result(&(BenchResult){ "vmi/crash", what, "", 0, values });
}

int
main(int argc, char **argv)
{
    g_autoptr(VmGuest) guest = NULL;

    bench_begin(&argc, &argv);
    for (const char *const *kernel = kernels_all; *kernel; kernel++)
        measure_kernel(*kernel);
    guest = kernels_guest("vmi", kernels_all[0], 1, NULL);
    if (guest) {
        measure_stop(guest);
        measure_crash(guest);
        measure_tasks(guest);
    }
    bench_end();
    return 0;
}

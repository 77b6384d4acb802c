/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What forks cost: how long one takes, of a guest that stands still and of one that
 * runs, over sizes of RAM; the memory of ten; and how long the guest stands still when
 * the last one goes, by how much it has written meanwhile.
 */
#include "bench/plain.h"
#include "bench/result.h"
#include "guest/guest.h"
#include "lib/vm.h"
#include "qemu/command.h"
#include "qemu/ram.h"
#include "util/json.h"

#define TIMES 20
#define MEMORY_TIMES 3
#define TEN 10
#define MB (G_GUINT64_CONSTANT(1) << 20)
/* What the kernel and its userland need, and what the host shall keep. */
#define GUEST_OWN_MB 160
#define HOST_OWN_MB 1024
#define BIG_MB 4096
/* For what has ended to be gone, and the guest to be idle. */
#define REST_US 200000

static gboolean
has_room(guint mb, const char *figure, const char *what)
{
    if (mose_ram_available() / MB >= mb + HOST_OWN_MB)
        return TRUE;
    bench_skipped(figure, what, "the host has not got the memory");
    return FALSE;
}

static void
write_memory(const VmGuest *guest, const char *file, guint mb)
{
    g_autofree char *command = g_strdup_printf(
        "mkdir -p /tmp/full; grep -q /tmp/full /proc/mounts || mount -t tmpfs -o "
        "size=100%% full /tmp/full; dd if=/dev/zero of=/tmp/full/%s bs=1M count=%u "
        "2>/dev/null",
        file, mb);

    vm_shell(guest, command);
}

/* One that has written nearly all of its memory. */
static VmGuest *
start(guint mb, guint spare_mb)
{
    g_autofree char *name = g_strdup_printf("fork-%u", mb);
    g_autofree char *extra = g_strdup_printf("-m %u", mb);
    VmGuest *guest = vm_guest_new(name);

    vm_run(guest, NULL, extra, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    write_memory(guest, "x", (mb - GUEST_OWN_MB - spare_mb) / 10 * 9);
    return guest;
}

static void
stop(const VmGuest *guest)
{
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    g_usleep(REST_US);
}

static void
tell_qemu(const VmGuest *vm, const char *command)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(vm->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseQmp) qmp = mose_guest_connect(guest, MOSE_MONITOR_QUERY, NULL);

    g_assert_true(qmp && mose_qmp_run(qmp, command, NULL, NULL));
}

/* A fork and its end; milliseconds until it ran, and that the guest stood still. */
static void
fork_once(const VmGuest *guest, GArray *ran, GArray *still)
{
    g_autoptr(JsonObject) report = vm_mose_json("fork", guest->name, "f", NULL);
    JsonObject *freeze = mose_json_child(report, "freeze");

    bench_add(ran, (double)mose_json_int(report, "ran-us", 0) / 1e3);
    if (still)
        bench_add(still, (double)mose_json_int(freeze, "blackout-us", 0) / 1e3);
    g_assert_cmpint(vm_mose(NULL, NULL, "discard", "f", NULL), ==, 0);
    g_usleep(REST_US);
}

/* --- time --- */

static void
measure_size(guint mb)
{
    g_autofree char *stopped = g_strdup_printf("fork/stopped-%u", mb);
    g_autofree char *running = g_strdup_printf("fork/running-%u", mb);
    g_autofree char *blackout = g_strdup_printf("fork/blackout-%u", mb);
    g_autofree char *of_stopped =
        g_strdup_printf("a fork of a guest of %u MB that stands still runs after", mb);
    g_autofree char *of_running = g_strdup_printf("... of one of %u MB that runs", mb);
    g_autofree char *still =
        g_strdup_printf("for which that guest of %u MB stands still", mb);
    g_autoptr(GArray) first = bench_values_new(), second = bench_values_new(),
                      third = bench_values_new();
    g_autoptr(VmGuest) guest = NULL;

    if (!has_room(mb, stopped, of_stopped))
        return;
    guest = start(mb, 0);
    for (int i = 0; i < TIMES; i++)
        fork_once(guest, second, third);
    tell_qemu(guest, "stop");
    for (int i = 0; i < TIMES; i++)
        fork_once(guest, first, NULL);
    bench_result(&(BenchResult){ stopped, of_stopped, "ms", 100, first });
    bench_result(&(BenchResult){ running, of_running, "ms", 0, second });
    bench_result(&(BenchResult){ blackout, still, "ms", 20, third });
    stop(guest);
}

/* --- memory --- */

/* Megabytes that fork @name's guest has written. */
static double
written_mb(const char *name)
{
    g_autoptr(JsonObject) status = vm_mose_json("status", name, NULL);

    return (double)mose_json_int(status, "written-bytes", 0) / MB;
}

/* Beyond what they, and the guest, write. */
static double
cost_of_ten(const VmGuest *guest)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    guint64 before = mose_ram_available(), after;
    double written = 0;

    g_ptr_array_add(words, g_strdup("fork"));
    g_ptr_array_add(words, g_strdup(guest->name));
    for (int i = 0; i < TEN; i++)
        g_ptr_array_add(words, g_strdup_printf("ten-%d", i));
    g_ptr_array_add(words, NULL);
    g_assert_cmpint(vm_mosev(NULL, NULL, (const char *const *)words->pdata), ==, 0);
    g_usleep(2 * G_USEC_PER_SEC);
    after = mose_ram_available();
    written += written_mb(guest->name);
    for (int i = 0; i < TEN; i++)
        written += written_mb(words->pdata[2 + i]);
    /* `discard` and their names. */
    g_ptr_array_remove_index(words, 1);
    g_free(words->pdata[0]);
    words->pdata[0] = g_strdup("discard");
    g_assert_cmpint(vm_mosev(NULL, NULL, (const char *const *)words->pdata), ==, 0);
    g_usleep(2 * G_USEC_PER_SEC);
    return ((double)before - (double)after) / MB - written;
}

static void
measure_memory(void)
{
    static const char what[] =
        "ten forks of a guest of 4 GB that runs take, beyond what is written";
    g_autoptr(GArray) values = bench_values_new();
    g_autoptr(VmGuest) guest = NULL;

    if (!has_room(BIG_MB, "fork/ten", what))
        return;
    guest = start(BIG_MB, 0);
    for (int i = 0; i < MEMORY_TIMES; i++)
        bench_add(values, cost_of_ten(guest));
    bench_result(&(BenchResult){ "fork/ten", what, "MB", 1024, values });
    stop(guest);
}

/* --- the end --- */

static void
measure_thaw(void)
{
    static const guint sizes[] = { 0, 64, 256, 1024 };
    g_autoptr(VmGuest) guest = NULL;

    if (!has_room(BIG_MB, "fork/thaw", "the guest stands still when its fork goes"))
        return;
    guest = start(BIG_MB, sizes[G_N_ELEMENTS(sizes) - 1]);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *figure = g_strdup_printf("fork/thaw-%u", sizes[i]);
        g_autofree char *what = g_strdup_printf(
            "the guest of 4 GB stands still when its fork goes, %u MB written",
            sizes[i]);
        g_autoptr(GArray) values = bench_values_new();

        for (int k = 0; k < TIMES / 2; k++) {
            g_autoptr(JsonObject) report = NULL;

            g_assert_cmpint(vm_mose(NULL, NULL, "fork", guest->name, "f", NULL), ==, 0);
            if (sizes[i])
                write_memory(guest, "y", sizes[i]);
            report = vm_mose_json("discard", "f", NULL);
            bench_add(values,
                      (double)mose_json_int(
                          mose_json_element(mose_json_array(report, "thawed"), 0),
                          "blackout-us", 0) /
                          1e3);
            g_usleep(REST_US);
        }
        bench_result(&(BenchResult){ figure, what, "ms", 0, values });
    }
    stop(guest);
}

int
main(int argc, char **argv)
{
    static const guint sizes[] = { 256, 1024, 4096, 8192 };

    bench_begin(&argc, &argv);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++)
        measure_size(sizes[i]);
    measure_memory();
    measure_thaw();
    bench_end();
    return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a switch takes: over sizes of RAM; beside a bare migration
 * (switch-bare.c); what memory it needs (switch-memory.c).
 */
#include <sys/stat.h>

#include "bench/result.h"
#include "bench/switch.h"
#include "qemu/ram.h"
#include "util/json.h"

#define TIMES 20
#define MB (G_GUINT64_CONSTANT(1) << 20)
/* What the kernel and its userland need, and what the host shall keep. */
#define GUEST_OWN_MB 160
#define HOST_OWN_MB 1024

static struct {
    GArray *launch, *beyond;
} all;

/* The guest writes to nearly all of its RAM, so that it is really there. */
static void
fill_memory(const VmGuest *guest, guint mb)
{
    g_autofree char *command =
        g_strdup_printf("mkdir -p /tmp/full && mount -t tmpfs -o size=100%% full "
                        "/tmp/full && dd if=/dev/zero of=/tmp/full/x bs=1M count=%u "
                        "2>/dev/null",
                        (mb - GUEST_OWN_MB) / 10 * 9);

    vm_shell(guest, command);
}

/* Megabytes of the guest's RAM that are there: blocks of the memfd. */
static double
touched_mb(const VmGuest *guest)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/fd/%d", (int)guest_pid(guest->name), MOSE_RAM_FD);
    struct stat st;

    g_assert_cmpint(stat(path, &st), ==, 0);
    return (double)st.st_blocks * 512 / MB;
}

static void
measure_size(guint mb)
{
    g_autofree char *name = g_strdup_printf("size-%u", mb);
    g_autofree char *figure = g_strdup_printf("switch/blackout-%u", mb);
    g_autofree char *extra = g_strdup_printf("-m %u", mb);
    g_autofree char *what = NULL;
    g_autoptr(GArray) blackout = bench_values_new();
    g_autoptr(VmGuest) guest = NULL;

    if (mose_ram_available() / MB < mb + HOST_OWN_MB) {
        what = g_strdup_printf("guest of %u MB stands still", mb);
        bench_skipped(figure, what, "the host has not got the memory");
        return;
    }
    guest = vm_guest_new(name);
    vm_run(guest, NULL, extra, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    fill_memory(guest, mb);
    for (int i = 0; i < 2 * TIMES; i++) {
        g_autoptr(JsonObject) report =
            vm_mose_json(i % 2 ? "virtualize" : "emulate", guest->name, NULL);
        gint64 launch = mose_json_int(report, "launch-us", 0);

        bench_add(blackout, (double)mose_json_int(report, "blackout-us", 0) / 1e3);
        bench_add(all.launch, (double)launch / 1e3);
        bench_add(all.beyond,
                  (double)(mose_json_int(report, "total-us", 0) - launch) / 1e3);
        rest();
    }
    what = g_strdup_printf("idle guest of %u MB (%.0f MB written) stands still", mb,
                           touched_mb(guest));
    bench_result(&(BenchResult){ figure, what, "ms", 10, blackout });
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

static void
measure_sizes(void)
{
    static const guint sizes[] = { 256, 1024, 4096, 8192 };

    all.launch = bench_values_new();
    all.beyond = bench_values_new();
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++)
        measure_size(sizes[i]);
    bench_result(&(BenchResult){ "switch/launch",
                                 "start of the other QEMU, while the guest runs", "ms",
                                 0, all.launch });
    bench_result(&(BenchResult){ "switch/beyond-launch", "all the rest of the command",
                                 "ms", 300, all.beyond });
    g_array_unref(all.launch);
    g_array_unref(all.beyond);
}

/* What the last switch has ended is gone, and the guest idle again. */
void
rest(void)
{
    g_usleep(100000);
}

int
main(int argc, char **argv)
{
    bench_begin(&argc, &argv);
    measure_sizes();
    measure_beside_bare();
    measure_memory();
    bench_end();
    return 0;
}

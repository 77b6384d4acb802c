/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A switch by copy beside QEMU's own migration: how much memory goes over in a second,
 * with the same number of channels, through unix sockets. Two guests of 1 GB of random
 * contents that are idle, one MOSE's, one plain QEMU's with the same command line; in
 * turn, in one run, who is first in turn, too.
 */
#include "bench/plain.h"
#include "bench/random-kernel.h"
#include "bench/result.h"
#include "bench/warm.h"
#include "lib/vm.h"
#include "qemu/ram.h"
#include "switch/switch.h"
#include "util/json.h"

/* An even number, of which each half has another first. */
/* A copy takes a multiple of some 50 ms, QEMU's own step, and up to three times as long
 * where the host gives memory slowly: only many of them tell. */
#define ROUNDS 30
#define RAM_MB 1024u
/* Two guests, one of them twice while it is copied, and what the host shall keep. */
#define NEEDED_MB (3 * RAM_MB + 1024)
#define FILL_SECONDS 120

/* With what; one channel goes through MOSE, more go beside it. */
static const struct {
    guint channels;
    double floor; /* of MOSE's throughput, beside QEMU's */
} ways[] = { { 1, 0.6 }, { 2, 0.9 }, { 4, 0.9 } };

/* What was measured of each. */
static struct {
    GArray *mose, *bare; /* MB/s */
} figures[G_N_ELEMENTS(ways)];

/* As MOSE does it (libmose/switch/move-connect.c). */
static void
set_up(MoseQmp *qmp, guint channels)
{
    plain_set_capability(qmp, "events", TRUE);
    plain_set_capability(qmp, "return-path", TRUE);
    plain_set_capability(qmp, "multifd", channels > 1);
    plain_command(qmp, "migrate-set-parameters",
                  mose_json_object("max-bandwidth", "i", (gint64)0, "downtime-limit",
                                   "i", (gint64)MOSE_FIRST_DOWNTIME_MS,
                                   "multifd-channels", "i", (gint64)channels, NULL));
}

/* MB/s. */
static double
throughput(gint64 us)
{
    return RAM_MB * 1e6 / (double)us;
}

/* From `migrate` to the guest's running again. */
static double
migrate_bare(Plain **now, const GPtrArray *incoming, guint channels)
{
    g_autofree char *socket = vm_path("bare.migration");
    g_autofree char *uri = g_strdup_printf("unix:%s", socket);
    Plain *next = plain_start(incoming, PLAIN_DESTINATION, -1);
    MoseQmp *from = (*now)->qmp;
    gint64 begin, moved;

    set_up(from, channels);
    set_up(next->qmp, channels);
    plain_command(next->qmp, "migrate-incoming",
                  mose_json_object("uri", "s", uri, NULL));
    begin = g_get_monotonic_time();
    plain_command(from, "migrate", mose_json_object("uri", "s", uri, NULL));
    plain_wait_completed(from);
    plain_wait_completed(next->qmp);
    plain_command(next->qmp, "cont", NULL);
    plain_wait_event(next->qmp, "RESUME");
    moved = g_get_monotonic_time();
    plain_free(*now);
    *now = next;
    return throughput(moved - begin);
}

/* The same by MOSE's report, which has it from `migrate` to RESUME as well. */
static double
migrate_mose(const VmGuest *guest, gboolean back, guint channels)
{
    g_autofree char *number = g_strdup_printf("%u", channels);
    g_autoptr(JsonObject) report =
        vm_mose_json(back ? "virtualize" : "emulate", "--copy", "--channels", number,
                     guest->name, NULL);

    return throughput(mose_json_int(report, "move-us", 0));
}

/* Once with each, MOSE first or not. */
static void
measure_pair(const VmGuest *guest, Plain **bare, const GPtrArray *incoming, gsize way,
             gboolean mose_first)
{
    static guint trips;
    guint channels = ways[way].channels;
    double mose = 0, plain = 0;

    for (int turn = 0; turn < 2; turn++) {
        bench_warm_memory(RAM_MB);
        if ((turn == 0) == mose_first)
            mose = migrate_mose(guest, trips++ % 2 == 0, channels);
        else
            plain = migrate_bare(bare, incoming, channels);
    }
    bench_add(figures[way].mose, mose);
    bench_add(figures[way].bare, plain);
}

/* @guest's twin without MOSE; *@ret_incoming is how its next QEMU is started. */
static Plain *
start_bare(const VmGuest *guest, GPtrArray **ret_incoming)
{
    pid_t pid = guest_pid(guest->name);
    VmGuest twin = { .console = vm_path("bare.console") };
    g_autoptr(GPtrArray) first = plain_argv(pid, PLAIN_SOURCE, "copied.", "bare.");
    Plain *bare = plain_start(first, PLAIN_SOURCE, -1);

    *ret_incoming = plain_argv(pid, PLAIN_DESTINATION, "copied.", "bare.");
    plain_command(bare->qmp, "cont", NULL);
    vm_wait_console(&twin, "R", FILL_SECONDS);
    g_free(twin.console);
    return bare;
}

static void
measure(void)
{
    g_autofree char *kernel = vm_path("random.kernel");
    g_autofree char *extra = g_strdup_printf("-m %u -kernel %s", RAM_MB, kernel);
    g_autoptr(VmGuest) guest = vm_guest_new("copied");
    g_autoptr(GPtrArray) incoming = NULL;
    Plain *bare;

    bench_random_kernel(kernel, RAM_MB);
    guest->port = 0;
    vm_run(guest, "--accel tcg --ram-private", extra, NULL);
    vm_wait_console(guest, "R", FILL_SECONDS);
    /* From a QEMU that is incoming itself: both command lines can be made of it. */
    g_assert_cmpint(vm_mose(NULL, NULL, "emulate", "--copy", guest->name, NULL), ==, 0);
    bare = start_bare(guest, &incoming);
    for (guint round = 0; round < ROUNDS; round++) {
        for (gsize i = 0; i < G_N_ELEMENTS(ways); i++) {
            gsize way = round % 2 ? G_N_ELEMENTS(ways) - 1 - i : i;

            measure_pair(guest, &bare, incoming, way, round / 2 % 2);
        }
    }
    plain_free(bare);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

static void
tell_one(gsize way, const char *which, const char *what, const char *unit, double floor,
         GArray *values)
{
    guint n = ways[way].channels;
    g_autofree char *figure = g_strdup_printf("copy/%s-%u", which, n);
    g_autofree char *text =
        g_strdup_printf("copy of 1 GB, %u channel%s: %s", n, n == 1 ? "" : "s", what);

    bench_result(&(BenchResult){ .figure = figure,
                                 .what = text,
                                 .unit = unit,
                                 .floor = floor,
                                 .values = values });
    g_array_unref(values);
}

static void
tell(void)
{
    for (gsize way = 0; way < G_N_ELEMENTS(ways); way++) {
        gboolean one = ways[way].channels == 1;

        GArray *ratio = bench_values_new();

        bench_add(ratio,
                  bench_median(figures[way].mose) / bench_median(figures[way].bare));
        tell_one(way, "mose", one ? "MOSE (all through it)" : "MOSE", "MB/s", 0,
                 figures[way].mose);
        tell_one(way, "bare", "QEMU to QEMU", "MB/s", 0, figures[way].bare);
        tell_one(way, "ratio", "MOSE / QEMU to QEMU", "", ways[way].floor, ratio);
    }
}

int
main(int argc, char **argv)
{
    bench_begin(&argc, &argv);
    for (gsize way = 0; way < G_N_ELEMENTS(ways); way++) {
        figures[way].mose = bench_values_new();
        figures[way].bare = bench_values_new();
    }
    if (mose_ram_available() >> 20 >= NEEDED_MB) {
        measure();
        tell();
    } else {
        bench_skipped("copy/ratio-1", "copy of 1 GB",
                      "the host has not got the memory");
    }
    bench_end();
    return 0;
}

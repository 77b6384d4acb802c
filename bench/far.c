/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of 1 GB, random and idle, moves from one network namespace to another by ssh,
 * and back, beside what plain ssh carries there, in turn: as fast as this machine can,
 * and over a link of 1 Gbit/s that is 20 ms long. Both hosts are this machine: QEMU,
 * MOSE and ssh of both share its cores.
 */
#include <string.h>

#include "bench/random-kernel.h"
#include "bench/result.h"
#include "bench/ssh.h"
#include "lib/vm.h"
#include "util/json.h"

#define RAM_MB 1024u
#define FILL_SECONDS 120
#define MBIT 1000
#define DELAY_MS 20
#define FLOOR 0.8
#define DOWNTIME_MS 200

typedef struct {
    const char *name, *what;
    guint rounds, chunks;
    gboolean shaped;
} Line;

static const Line lines[] = {
    { "fast", "between two namespaces", 5, 16, FALSE },
    { "slow", "1 Gbit/s, 20 ms", 2, 6, TRUE },
};

typedef struct {
    GArray *ssh, *there, *home, *downtime;
} Figures;

static Hosts *hosts;

static void
note(JsonObject *report, GArray *rate, GArray *downtime)
{
    gint64 bytes = mose_json_int(mose_json_child(report, "copy"), "bytes", 0);

    bench_add(rate, (double)bytes / (1 << 20) * 1e6 /
                        (double)mose_json_int(report, "move-us", 1));
    bench_add(downtime, (double)mose_json_int(report, "blackout-us", 0) / 1e3);
}

static void
measure_round(const VmGuest *guest, const Line *line, Figures *figures)
{
    g_autoptr(JsonObject) there = NULL, home = NULL;

    bench_add(figures->ssh, bench_ssh(hosts, NULL, line->chunks));
    there =
        vm_mose_json("emulate", guest->name, "--on", hosts_address(hosts, HOST_THERE),
                     "--rsh", hosts_rsh(hosts), NULL);
    note(there, figures->there, figures->downtime);
    home = vm_mose_json("virtualize", guest->name, NULL);
    note(home, figures->home, figures->downtime);
}

static void
tell_one(const Line *line, const char *figure, const char *what, const char *unit,
         double goal, double floor, GArray *values)
{
    g_autofree char *name = g_strdup_printf("far/%s-%s", figure, line->name);
    g_autofree char *text = g_strdup_printf("%s, %s", what, line->what);

    bench_result(&(BenchResult){ .figure = name,
                                 .what = text,
                                 .unit = unit,
                                 .goal = goal,
                                 .floor = floor,
                                 .values = values });
}

static void
tell(const Line *line, const Figures *figures)
{
    g_autoptr(GArray) there = bench_values_new(), home = bench_values_new();
    double ssh = bench_median(figures->ssh);

    bench_add(there, bench_median(figures->there) / ssh);
    bench_add(home, bench_median(figures->home) / ssh);
    tell_one(line, "ssh", "ssh alone", "MB/s", 0, 0, figures->ssh);
    tell_one(line, "there", "a guest of 1 GB goes there", "MB/s", 0, 0, figures->there);
    tell_one(line, "home", "it comes home", "MB/s", 0, 0, figures->home);
    tell_one(line, "there-ratio", "there: MOSE / ssh", "", 0, FLOOR, there);
    tell_one(line, "home-ratio", "home: MOSE / ssh", "", 0, FLOOR, home);
    tell_one(line, "downtime", "it stands still", "ms", line->shaped ? 0 : DOWNTIME_MS,
             0, figures->downtime);
}

static void
measure(const VmGuest *guest, const Line *line)
{
    g_autoptr(GArray) ssh = bench_values_new(), there = bench_values_new(),
                      home = bench_values_new(), downtime = bench_values_new();
    Figures figures = { ssh, there, home, downtime };

    if (line->shaped && !hosts_shape(hosts, MBIT, DELAY_MS)) {
        bench_skipped("far/slow", "1 Gbit/s, 20 ms", "there is no tap");
        return;
    }
    for (guint i = 0; i < line->rounds; i++)
        measure_round(guest, line, &figures);
    if (line->shaped)
        hosts_unshape(hosts);
    tell(line, &figures);
}

static void
measure_all(void)
{
    g_autofree char *kernel = vm_path("random.kernel");
    g_autofree char *extra = g_strdup_printf("-m %u -kernel %s", RAM_MB, kernel);
    g_autoptr(VmGuest) guest = vm_guest_new("far");

    bench_random_kernel(kernel, RAM_MB);
    guest->port = 0;
    vm_run(guest, "--accel tcg", extra, NULL);
    vm_wait_console(guest, "R", FILL_SECONDS);
    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++)
        measure(guest, &lines[i]);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

int
main(int argc, char **argv)
{
    bench_begin(&argc, &argv);
    hosts = hosts_new();
    if (hosts)
        measure_all();
    else
        bench_skipped("far/ssh-fast", "ssh", hosts_why_not());
    hosts_free(hosts);
    bench_end();
    return 0;
}

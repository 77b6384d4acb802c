/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of 1 GB, random and idle, moves from one network namespace to another and
 * back: by ssh beside what plain ssh carries there, by TCP beside iperf3, and by both
 * beside QEMU's own migration, in turn; as fast as this machine can, and over a link of
 * 1 Gbit/s that is 20 ms long. Both hosts are this machine: QEMU, MOSE and ssh of both
 * share its cores, so that where these are the limit no QEMU can go as fast as ssh or
 * iperf3 alone: what QEMU reaches there tells how far.
 */
#include <glib/gstdio.h>

#include "bench/far-bare.h"
#include "bench/line.h"
#include "bench/plain.h"
#include "bench/random-kernel.h"
#include "bench/warm.h"
#include "lib/certificates.h"
#include "lib/vm.h"
#include "util/json.h"

#define RAM_MB 1024u
#define FILL_SECONDS 120
#define FLOOR 0.8
#define DOWNTIME_MS 200
#define TCP_CHANNELS 4 /* switch/move.c:MOSE_TCP_CHANNELS */

typedef struct {
    const char *name, *what, *line; /* of the figures; what is below it */
    double floor;                   /* of the ratio */
    gboolean tcp, tls;
} Way;

static const Way ways[] = {
    { "ssh", "by ssh", "ssh alone", FLOOR, FALSE, FALSE },
    { "tcp", "by TCP", "iperf3, as many connections", FLOOR, TRUE, FALSE },
    { "tls", "by TCP with TLS", "iperf3, as many connections", 0, TRUE, TRUE },
};

typedef struct {
    GArray *line, *bare, *there, *home, *downtime;
} Figures;

static Hosts *hosts;
static FarBare *bare;
static GSubprocess *iperf; /* NULL: not installed */
static char *certificates;

static void
note(JsonObject *report, GArray *rate, GArray *downtime)
{
    gint64 bytes = mose_json_int(mose_json_child(report, "copy"), "bytes", 0);

    bench_add(rate, (double)bytes / (1 << 20) * 1e6 /
                        (double)mose_json_int(report, "move-us", 1));
    bench_add(downtime, (double)mose_json_int(report, "blackout-us", 0) / 1e3);
}

static void
measure_round(const VmGuest *guest, const Way *way, guint chunks, Figures *figures)
{
    const char *tls = way->tls ? "--tls" : NULL;
    g_autoptr(JsonObject) there = NULL, home = NULL;

    bench_add(figures->line, way->tcp ? bench_iperf(hosts, TCP_CHANNELS)
                                      : bench_ssh(hosts, NULL, chunks));
    bench_warm_memory(RAM_MB);
    bench_add(figures->bare,
              RAM_MB * 1e6 /
                  (double)far_bare_migrate(bare, way->tcp ? TCP_CHANNELS : 0));
    bench_warm_memory(RAM_MB);
    there =
        vm_mose_json("emulate", guest->name, "--on", hosts_address(hosts, HOST_THERE),
                     "--rsh", hosts_rsh(hosts), way->tcp ? "--tcp" : NULL,
                     hosts_ip(HOST_THERE), tls, certificates, NULL);
    note(there, figures->there, figures->downtime);
    bench_warm_memory(RAM_MB);
    home = vm_mose_json("virtualize", guest->name, way->tcp ? "--tcp" : NULL,
                        hosts_ip(HOST_HERE), tls, certificates, NULL);
    note(home, figures->home, figures->downtime);
}

static void
tell_one(gboolean slow, const Way *way, const char *figure, const char *what,
         BenchResult result)
{
    g_autofree char *name = g_strdup_printf("far/%s-%s", way->name, figure);

    result.figure = name;
    result.what = what;
    bench_line_result(slow, &result);
}

static void
tell(gboolean slow, const Way *way, const Figures *figures)
{
    g_autoptr(GArray) there = bench_values_new(), home = bench_values_new();
    double line = bench_median(figures->line);
    g_autofree char *goes = g_strdup_printf("a guest of 1 GB goes there %s", way->what),
                    *comes = g_strdup_printf("it comes home %s", way->what),
                    *ratio_there =
                        g_strdup_printf("there %s / %s", way->what, way->line),
                    *ratio_home = g_strdup_printf("home %s / %s", way->what, way->line),
                    *still = g_strdup_printf("it stands still, %s", way->what);
    g_autofree char *qemu = g_strdup_printf("QEMU to QEMU %s", way->what);
    BenchResult rate = { .unit = "MB/s" }, ratio = { .unit = "", .floor = way->floor };

    bench_add(there, bench_median(figures->there) / line);
    bench_add(home, bench_median(figures->home) / line);
    rate.values = figures->line;
    tell_one(slow, way, "line", way->line, rate);
    if (!way->tls) {
        rate.values = figures->bare;
        tell_one(slow, way, "bare", qemu, rate);
    }
    rate.values = figures->there;
    tell_one(slow, way, "there", goes, rate);
    rate.values = figures->home;
    tell_one(slow, way, "home", comes, rate);
    ratio.values = there;
    tell_one(slow, way, "there-ratio", ratio_there, ratio);
    ratio.values = home;
    tell_one(slow, way, "home-ratio", ratio_home, ratio);
    tell_one(slow, way, "downtime", still,
             (BenchResult){ .unit = "ms",
                            .goal = slow ? 0 : DOWNTIME_MS,
                            .values = figures->downtime });
}

static void
measure(const VmGuest *guest, gboolean slow, const Way *way)
{
    g_autoptr(GArray) line = bench_values_new(), there = bench_values_new(),
                      home = bench_values_new(), downtime = bench_values_new(),
                      plain = bench_values_new();
    Figures figures = { line, plain, there, home, downtime };

    if (way->tcp && !iperf) {
        bench_skipped("far/tcp-line", way->what, "iperf3 is not installed");
        return;
    }
    for (guint i = 0; i < (slow ? 2 : 7); i++)
        measure_round(guest, way, slow ? 6 : 16, &figures);
    tell(slow, way, &figures);
}

static void
measure_ways(const VmGuest *guest, gboolean slow)
{
    for (gsize i = 0; i < G_N_ELEMENTS(ways); i++)
        measure(guest, slow, &ways[i]);
}

static void
measure_all(void)
{
    const char *const addresses[] = { hosts_ip(HOST_HERE), hosts_ip(HOST_THERE), NULL };
    g_autofree char *kernel = vm_path("random.kernel");
    g_autofree char *extra = g_strdup_printf("-m %u -kernel %s", RAM_MB, kernel);
    g_autoptr(VmGuest) guest = vm_guest_new("far");

    certificates = vm_path("certificates");
    g_assert_cmpint(g_mkdir(certificates, 0700), ==, 0);
    certificates_make(certificates, addresses);
    iperf = bench_iperf_new(hosts);
    bench_random_kernel(kernel, RAM_MB);
    guest->port = 0;
    vm_run(guest, "--accel tcg", extra, NULL);
    vm_wait_console(guest, "R", FILL_SECONDS);
    bare = far_bare_new(hosts, guest_pid(guest->name), "far.");
    measure_ways(guest, FALSE);
    if (bench_slow(hosts, "far/ssh-line")) {
        measure_ways(guest, TRUE);
        hosts_unshape(hosts);
    }
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    far_bare_free(bare);
    bench_iperf_free(iperf);
    g_free(certificates);
}

int
main(int argc, char **argv)
{
    bench_begin(&argc, &argv);
    hosts = hosts_new();
    if (hosts)
        measure_all();
    else
        bench_skipped("far/ssh-line", "ssh", hosts_why_not());
    hosts_free(hosts);
    bench_end();
    return 0;
}

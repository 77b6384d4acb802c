/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies below a move to another host: how much plain ssh carries from one network
 * namespace to another, by cipher, and how much TCP does, with one and with four
 * connections. Once as fast as this machine can, once over a link of 1 Gbit/s that is
 * 20 ms long. Both hosts are this machine: they share its cores.
 */
#include <string.h>

#include "bench/line.h"

#define ROUNDS 3

static const char *const ciphers[] = { NULL, /* what both agree upon */
                                       "aes128-gcm@openssh.com",
                                       "chacha20-poly1305@openssh.com" };
static const guint streams[] = { 1, 4 };

static Hosts *hosts;

static void
measure_ciphers(gboolean slow, guint chunks)
{
    for (gsize i = 0; i < G_N_ELEMENTS(ciphers); i++) {
        g_autoptr(GArray) values = bench_values_new();
        g_autofree char *figure = g_strdup_printf(
            "link/ssh-%.*s", ciphers[i] ? (int)strcspn(ciphers[i], "@") : 7,
            ciphers[i] ? ciphers[i] : "default");
        g_autofree char *what = NULL;

        for (int round = 0; round < ROUNDS; round++)
            bench_add(values, bench_ssh(hosts, ciphers[i], chunks));
        what = g_strdup_printf("ssh, %s%s", ciphers[i] ? ciphers[i] : "as it likes: ",
                               ciphers[i] ? "" : bench_ssh_agreed());
        bench_line_result(slow, &(BenchResult){ .figure = figure,
                                                .what = what,
                                                .unit = "MB/s",
                                                .values = values });
    }
}

static void
measure_streams(gboolean slow)
{
    for (gsize i = 0; i < G_N_ELEMENTS(streams); i++) {
        g_autoptr(GArray) values = bench_values_new();
        g_autofree char *figure = g_strdup_printf("link/tcp-%u", streams[i]);
        g_autofree char *what =
            g_strdup_printf("TCP, connections: %u (iperf3)", streams[i]);

        for (int round = 0; round < ROUNDS; round++)
            bench_add(values, bench_iperf(hosts, streams[i]));
        bench_line_result(slow, &(BenchResult){ .figure = figure,
                                                .what = what,
                                                .unit = "MB/s",
                                                .values = values });
    }
}

static void
measure(gboolean slow, guint chunks, GSubprocess *server)
{
    measure_ciphers(slow, chunks);
    if (server)
        measure_streams(slow);
    else
        bench_skipped("link/tcp-1", "TCP (iperf3)", "iperf3 is not installed");
}

static void
measure_all(void)
{
    GSubprocess *server = bench_iperf_new(hosts);

    measure(FALSE, 32, server);
    if (bench_slow(hosts, "link/ssh-slow"))
        measure(TRUE, 8, server);
    bench_iperf_free(server);
}

int
main(int argc, char **argv)
{
    bench_begin(&argc, &argv);
    hosts = hosts_new();
    if (hosts)
        measure_all();
    else
        bench_skipped("link/ssh-default", "ssh", hosts_why_not());
    hosts_free(hosts);
    bench_end();
    return 0;
}

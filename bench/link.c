/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies below a move to another host: how much plain ssh carries from one network
 * namespace to another, by cipher, and how much TCP does, with one and with four
 * connections. Once as fast as this machine can, once over a link of 1 Gbit/s that is
 * 20 ms long. Both hosts are this machine: they share its cores.
 */
#include <stdio.h>
#include <string.h>

#include "bench/result.h"
#include "bench/ssh.h"
#include "lib/hosts.h"
#include "util/json.h"

#define ROUNDS 3
#define IPERF_SECONDS "5"
#define MBIT 1000
#define DELAY_MS 20

static const char *const ciphers[] = { NULL, /* what both agree upon */
                                       "aes128-gcm@openssh.com",
                                       "chacha20-poly1305@openssh.com" };
static const char *const streams[] = { "1", "4" };

static Hosts *hosts;

static void
tell(const char *way, const char *link, const char *what, GArray *values)
{
    g_autofree char *figure = g_strdup_printf("link/%s-%s", way, link);
    g_autofree char *text = g_strdup_printf(
        "%s, %s", what,
        strcmp(link, "fast") == 0 ? "between two namespaces" : "1 Gbit/s, 20 ms");

    bench_result(&(BenchResult){
        .figure = figure, .what = text, .unit = "MB/s", .values = values });
}

static void
measure_ciphers(const char *link, guint chunks)
{
    for (gsize i = 0; i < G_N_ELEMENTS(ciphers); i++) {
        g_autoptr(GArray) values = bench_values_new();
        g_autofree char *way =
            g_strdup_printf("ssh-%.*s", ciphers[i] ? (int)strcspn(ciphers[i], "@") : 7,
                            ciphers[i] ? ciphers[i] : "default");
        g_autofree char *what = NULL;

        for (int round = 0; round < ROUNDS; round++)
            bench_add(values, bench_ssh(hosts, ciphers[i], chunks));
        what = g_strdup_printf("ssh, %s%s", ciphers[i] ? ciphers[i] : "as it likes: ",
                               ciphers[i] ? "" : bench_ssh_agreed());
        tell(way, link, what, values);
    }
}

/* MB/s of all connections, as the receiver has counted them. */
static double
measure_iperf(const char *n)
{
    const char *words[] = { "iperf3", "-J",          "-c", hosts_ip(HOST_THERE),
                            "-t",     IPERF_SECONDS, "-P", n,
                            NULL };
    g_autofree char *out = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) report = NULL;
    JsonObject *received;

    g_assert_cmpint(hosts_runv(hosts, HOST_HERE, &out, NULL, words), ==, 0);
    report = mose_json_parse(out, -1, "iperf3", &error);
    g_assert_no_error(error);
    received = mose_json_child(mose_json_child(report, "end"), "sum_received");
    return json_object_get_double_member_with_default(received, "bits_per_second", 0) /
           8 / (1 << 20);
}

static void
measure_streams(const char *link)
{
    for (gsize i = 0; i < G_N_ELEMENTS(streams); i++) {
        g_autoptr(GArray) values = bench_values_new();
        g_autofree char *way = g_strdup_printf("tcp-%s", streams[i]);
        g_autofree char *what =
            g_strdup_printf("TCP, connections: %s (iperf3)", streams[i]);

        for (int round = 0; round < ROUNDS; round++)
            bench_add(values, measure_iperf(streams[i]));
        tell(way, link, what, values);
    }
}

/* Its first line is printed when it listens. */
static GSubprocess *
start_iperf_server(void)
{
    const char *words[] = { "iperf3", "-s", "--forceflush", NULL };
    g_autofree char *found = g_find_program_in_path(words[0]);
    GSubprocess *server;
    char byte;

    if (!found)
        return NULL;
    server = hosts_spawn(hosts, HOST_THERE, G_SUBPROCESS_FLAGS_STDOUT_PIPE, words);
    g_input_stream_read(g_subprocess_get_stdout_pipe(server), &byte, 1, NULL, NULL);
    return server;
}

static void
measure(const char *link, guint chunks, GSubprocess *server)
{
    measure_ciphers(link, chunks);
    if (server)
        measure_streams(link);
    else
        bench_skipped("link/tcp-1", "TCP (iperf3)", "iperf3 is not installed");
}

static void
measure_all(void)
{
    GSubprocess *server = start_iperf_server();

    measure("fast", 32, server);
    if (hosts_shape(hosts, MBIT, DELAY_MS))
        measure("slow", 8, server);
    else
        bench_skipped("link/ssh-slow", "ssh, 1 Gbit/s, 20 ms", "there is no tap");
    if (server)
        g_subprocess_force_exit(server);
    g_clear_object(&server);
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

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
#include "lib/hosts.h"
#include "util/json.h"

#define ROUNDS 3
#define CHUNK (64u << 20) /* random, so that nothing gains by packing it */
#define IPERF_SECONDS "5"
#define MBIT 1000
#define DELAY_MS 20
#define CIPHER_LINE "kex: client->server cipher: "

static const char *const ciphers[] = { NULL, /* what both agree upon */
                                       "aes128-gcm@openssh.com",
                                       "chacha20-poly1305@openssh.com" };
static const char *const streams[] = { "1", "4" };

static Hosts *hosts;
static guint32 *chunk;
static char *agreed; /* the cipher */

static void
fill_chunk(void)
{
    guint32 x = 1;

    chunk = g_malloc(CHUNK);
    for (gsize i = 0; i < CHUNK / sizeof(*chunk); i++) {
        x = x * 1664525 + 1013904223;
        chunk[i] = x;
    }
}

/* Where ssh -v tells it. */
static void
read_agreed(const char *err)
{
    const char *at = strstr(err, CIPHER_LINE);

    if (at && !agreed) {
        at += strlen(CIPHER_LINE);
        agreed = g_strndup(at, strcspn(at, " "));
    }
}

static GSubprocess *
start_ssh(const char *cipher)
{
    g_autofree char *line = g_strdup_printf(
        "%s -v %s%s %s 'cat >/dev/null'", hosts_rsh(hosts), cipher ? "-c " : "",
        cipher ? cipher : "", hosts_address(hosts, HOST_THERE));
    g_auto(GStrv) words = NULL;

    g_assert_true(g_shell_parse_argv(line, NULL, &words, NULL));
    return hosts_spawn(hosts, HOST_HERE,
                       G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE,
                       (const char *const *)words);
}

/* MB/s, the login not counted in: the clock starts when the other side has begun to
 * take what is sent. */
static double
measure_ssh(const char *cipher, guint chunks)
{
    g_autoptr(GSubprocess) process = start_ssh(cipher);
    GOutputStream *in = g_subprocess_get_stdin_pipe(process);
    g_autoptr(GBytes) none = g_bytes_new(NULL, 0);
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    gint64 begin;

    g_output_stream_write_all(in, chunk, CHUNK, NULL, NULL, &error);
    g_assert_no_error(error);
    begin = g_get_monotonic_time();
    for (guint i = 0; i < chunks; i++) {
        g_output_stream_write_all(in, chunk, CHUNK, NULL, NULL, &error);
        g_assert_no_error(error);
    }
    g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &err, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_subprocess_get_exit_status(process), ==, 0);
    read_agreed(err);
    return (double)chunks * (CHUNK >> 20) * 1e6 /
           (double)(g_get_monotonic_time() - begin);
}

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
            bench_add(values, measure_ssh(ciphers[i], chunks));
        what = g_strdup_printf("ssh, %s%s", ciphers[i] ? ciphers[i] : "as it likes: ",
                               ciphers[i] ? ""
                               : agreed   ? agreed
                                          : "unknown");
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

    fill_chunk();
    measure("fast", 32, server);
    if (hosts_shape(hosts, MBIT, DELAY_MS))
        measure("slow", 8, server);
    else
        bench_skipped("link/ssh-slow", "ssh, 1 Gbit/s, 20 ms", "there is no tap");
    if (server)
        g_subprocess_force_exit(server);
    g_clear_object(&server);
    g_free(chunk);
    g_free(agreed);
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

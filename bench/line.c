/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See line.h. */
#include "bench/line.h"

#include <string.h>

#include "util/json.h"

#define CHUNK                                                                          \
    (BENCH_SSH_CHUNK_MB << 20) /* random, so that nothing gains by packing it */
#define IPERF_SECONDS "5"
#define CIPHER_LINE "kex: client->server cipher: "

/* --- ssh --- */

static guint32 *chunk;
static char *agreed;

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

const char *
bench_ssh_agreed(void)
{
    return agreed ? agreed : "unknown";
}

static GSubprocess *
start_ssh(Hosts *hosts, const char *cipher)
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

double
bench_ssh(Hosts *hosts, const char *cipher, guint chunks)
{
    g_autoptr(GSubprocess) process = start_ssh(hosts, cipher);
    GOutputStream *in = g_subprocess_get_stdin_pipe(process);
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    gint64 begin;

    if (!chunk)
        fill_chunk();
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
    if (!cipher)
        read_agreed(err);
    return (double)chunks * BENCH_SSH_CHUNK_MB * 1e6 /
           (double)(g_get_monotonic_time() - begin);
}

/* --- TCP --- */

/* Its first line is printed when it listens. */
GSubprocess *
bench_iperf_new(Hosts *hosts)
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

void
bench_iperf_free(GSubprocess *server)
{
    if (server)
        g_subprocess_force_exit(server);
    g_clear_object(&server);
}

double
bench_iperf(Hosts *hosts, guint n)
{
    g_autofree char *number = g_strdup_printf("%u", n);
    const char *words[] = { "iperf3", "-J",          "-c", hosts_ip(HOST_THERE),
                            "-t",     IPERF_SECONDS, "-P", number,
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

/* --- the line --- */

static const char *
words_of(gboolean slow)
{
    return slow ? "1 Gbit/s, 20 ms" : "between two namespaces";
}

gboolean
bench_slow(Hosts *hosts, const char *figure)
{
    if (hosts_shape(hosts, BENCH_SLOW_MBIT, BENCH_SLOW_DELAY_MS))
        return TRUE;
    bench_skipped(figure, words_of(TRUE), "there is no tap");
    return FALSE;
}

void
bench_line_result(gboolean slow, const BenchResult *result)
{
    BenchResult whole = *result;
    g_autofree char *figure =
        g_strdup_printf("%s-%s", result->figure, slow ? "slow" : "fast");
    g_autofree char *what = g_strdup_printf("%s, %s", result->what, words_of(slow));

    whole.figure = figure;
    whole.what = what;
    bench_result(&whole);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See ssh.h. */
#include "bench/ssh.h"

#include <string.h>

#define CHUNK                                                                          \
    (BENCH_SSH_CHUNK_MB << 20) /* random, so that nothing gains by packing it */
#define CIPHER_LINE "kex: client->server cipher: "

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

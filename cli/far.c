/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of a switch between two hosts; see far.h. */
#include "cli/far.h"

#include <stdio.h>
#include <string.h>

#define MAX_BANDWIDTH_MB 1000000

static char *on, *rsh, *command, *network, *tcp, *tls;
static char **maps;
static int bandwidth_mb, compress_level;

const GOptionEntry mose_cli_far_entries[] = {
    { "on", 0, 0, G_OPTION_ARG_STRING, &on,
      "to another host, as ssh takes it, on which MOSE is installed", "HOST" },
    { "rsh", 0, 0, G_OPTION_ARG_STRING, &rsh,
      "--on: the remote shell and its options (\"ssh\")", "COMMAND" },
    { "mose-path", 0, 0, G_OPTION_ARG_STRING, &command,
      "--on: what to run there (\"mose\")", "COMMAND" },
    { "map", 0, 0, G_OPTION_ARG_STRING_ARRAY, &maps,
      "--on: a path of the guest's that has another name there", "/HERE=/THERE" },
    { "network", 0, 0, G_OPTION_ARG_STRING, &network,
      "--on: there (the default): its taps are those of that host; home: they stay "
      "here",
      "WHERE" },
    { "tcp", 0, 0, G_OPTION_ARG_STRING, &tcp,
      "to or from another host: its memory over TCP (--channels) beside ssh, to that "
      "address of who takes it, or auto",
      "ADDRESS" },
    { "tls", 0, 0, G_OPTION_ARG_FILENAME, &tls,
      "--tcp: with TLS, by the certificates of that directory, on both hosts", "DIR" },
    { "bandwidth", 0, 0, G_OPTION_ARG_INT, &bandwidth_mb,
      "to or from another host: so much of the guest at most", "MB/S" },
    { "compress", 0, 0, G_OPTION_ARG_INT, &compress_level,
      "to or from another host: what goes between them, by zstd", "1..19" },
    { NULL },
};

gboolean
mose_cli_far_wanted(void)
{
    return on != NULL;
}

gboolean
mose_cli_far_check(void)
{
    g_autoptr(GError) error = NULL;
    const char *wrong = NULL;

    if (!on && (rsh || command || maps || network))
        wrong = "--rsh, --mose-path, --map and --network go with --on";
    else if (network && strcmp(network, "there") != 0 && strcmp(network, "home") != 0)
        wrong = "--network: there or home";
    else if (tls && !tcp)
        wrong = "--tls goes with --tcp";
    else if (tls && !g_path_is_absolute(tls))
        wrong = "--tls: a directory of both hosts, from / on";
    else if (tcp && !*tcp)
        wrong = "--tcp: an address, or auto";
    else if (bandwidth_mb < 0 || bandwidth_mb > MAX_BANDWIDTH_MB)
        wrong = "--bandwidth: 1 to 1000000 MB/s";
    else if (compress_level < 0 || compress_level > MOSE_LINK_MAX_COMPRESS)
        wrong = "--compress: 1 to 19";
    else if (!mose_far_check_maps((const char *const *)maps, &error))
        wrong = error->message;
    if (wrong)
        fprintf(stderr, "%s: %s\n", g_get_prgname(), wrong);
    return !wrong;
}

MoseTcpOptions
mose_cli_far_tcp(void)
{
    return (MoseTcpOptions){ tcp, tls, tcp ? (guint)compress_level : 0 };
}

gboolean
mose_cli_far_home_net(void)
{
    return g_strcmp0(network, "home") == 0;
}

guint64
mose_cli_far_bytes_per_second(void)
{
    return (guint64)bandwidth_mb * 1000 * 1000;
}

MoseFar *
mose_cli_far_record(void)
{
    MoseFar *far = mose_far_new(on);

    far->rsh = g_strdup(rsh);
    far->command = g_strdup(command);
    far->maps = g_strdupv(maps);
    return far;
}

MoseFarEnd *
mose_cli_far_open(const MoseFar *far, int interrupt_fd, GError **error)
{
    const MoseLinkOptions options = { .compress_level = compress_level };

    return mose_far_end_open(far, &options, interrupt_fd, error);
}

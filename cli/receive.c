/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose receive: the far end of a switch between two hosts, on standard input and
 * output. People do not call it; the other host's MOSE does, through ssh. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "switch/receive.h"

static int compress_level;

static const GOptionEntry entries[] = {
    { "compress", 0, 0, G_OPTION_ARG_INT, &compress_level,
      "compress what this host sends, by zstd", "1..19" },
    { NULL },
};

int
mose_cmd_receive(int argc, char **argv)
{
    MoseLinkOptions options = { 0 };
    g_autoptr(GError) error = NULL;
    MoseLink *link;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 0, 0, &ret))
        return ret;
    if (isatty(STDIN_FILENO)) {
        fprintf(stderr, "mose receive: it is started by another host's `mose emulate "
                        "NAME --on HOST`\n");
        return MOSE_EXIT_USAGE;
    }
    if (compress_level < 0 || compress_level > MOSE_LINK_MAX_COMPRESS) {
        fprintf(stderr, "mose receive: --compress: 1 to %d\n", MOSE_LINK_MAX_COMPRESS);
        return MOSE_EXIT_USAGE;
    }
    options.compress_level = compress_level;
    link = mose_link_accept(STDIN_FILENO, STDOUT_FILENO, &options, &error);
    if (!link || !mose_receive(link, &error))
        return mose_cli_fail(error, NULL);
    return MOSE_EXIT_DONE;
}

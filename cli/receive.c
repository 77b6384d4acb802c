/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose receive: the far end of a switch between two hosts, on standard input and
 * output. People do not call it; the other host's MOSE does, through ssh. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "switch/receive.h"

int
mose_cmd_receive(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    MoseLink *link;
    int ret;

    if (!mose_cli_parse(&argc, &argv, NULL, 0, 0, &ret))
        return ret;
    if (isatty(STDIN_FILENO)) {
        fprintf(stderr, "mose receive: it is started by another host's `mose emulate "
                        "NAME --on HOST`\n");
        return MOSE_EXIT_USAGE;
    }
    link = mose_link_accept(STDIN_FILENO, STDOUT_FILENO, NULL, &error);
    if (!link || !mose_receive(link, &error))
        return mose_cli_fail(error, NULL);
    return MOSE_EXIT_DONE;
}

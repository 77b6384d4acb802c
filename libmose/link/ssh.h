/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of ssh that starts the far end of a link. */
#pragma once

#include <glib.h>

/* The address of this host, or of the other one, by which the ssh that has started this
 * process has connected them (ssh(1), SSH_CONNECTION); NULL where there is none. */
char *mose_ssh_self(void);
char *mose_ssh_peer(void);

/*
 * The argv of "ssh OPTIONS HOST mose receive", freed with g_strfreev().
 *
 * @host: "host" or "user@host", or an alias of ssh_config(5). INVALID where ssh would
 * take it for an option, or where it is empty or has white space or control characters.
 * @rsh: the remote shell with its options, split as a shell would split it; NULL for
 * "ssh". Where its program is ssh by name, it gets options: no terminal there, a limit
 * for the connection, and without a terminal here no questions (BatchMode). Others get
 * none. INVALID where it cannot be split.
 * @far_command: what to run there, a word or more for the shell of that host; NULL for
 * "mose". "receive" is added, and "--compress" @compress_level if that is not 0.
 */
char **mose_ssh_argv(const char *host, const char *rsh, const char *far_command,
                     guint compress_level, GError **error);

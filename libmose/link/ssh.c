/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of ssh; see ssh.h. */
#include "link/ssh.h"

#include <fcntl.h>
#include <string.h>

#include "util/error.h"
#include "util/fd.h"

/* An ssh that nobody can answer must not ask. */
static gboolean
has_terminal(void)
{
    g_auto(MoseFd) fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    return fd >= 0;
}

static gboolean
check_host(const char *host, GError **error)
{
    gboolean good = *host != '\0' && *host != '-';

    for (const char *p = host; *p; p++)
        good = good && !g_ascii_iscntrl(*p) && !g_ascii_isspace(*p);
    /* ssh looks for the host behind the last @. */
    good = good && !g_str_has_suffix(host, "@") && !strstr(host, "@-");
    if (!good)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "'%s' is no host: it is 'host' or 'user@host'", host);
    return good;
}

/* The link has its own signs of life and its own limit; ssh's is for the time before,
 * and for what is left of it when we are gone. */
static void
add_ssh_options(GPtrArray *argv)
{
    static const char *const options[] = { "-T",
                                           "-x",
                                           "-a",
                                           "-o",
                                           "ConnectTimeout=15",
                                           "-o",
                                           "ServerAliveInterval=5",
                                           "-o",
                                           "ServerAliveCountMax=3" };

    for (gsize i = 0; i < G_N_ELEMENTS(options); i++)
        g_ptr_array_add(argv, g_strdup(options[i]));
    if (!has_terminal()) {
        g_ptr_array_add(argv, g_strdup("-o"));
        g_ptr_array_add(argv, g_strdup("BatchMode=yes"));
    }
}

char **
mose_ssh_argv(const char *host, const char *rsh, const char *far_command,
              guint compress_level, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) cause = NULL;
    g_auto(GStrv) words = NULL;
    g_autofree char *program = NULL;

    if (!check_host(host, error))
        return NULL;
    if (!g_shell_parse_argv(rsh ? rsh : "ssh", NULL, &words, &cause)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the remote shell '%s' cannot be split: %s", rsh, cause->message);
        return NULL;
    }
    for (char **word = words; *word; word++)
        g_ptr_array_add(argv, g_strdup(*word));
    program = g_path_get_basename(words[0]);
    /* Of what is said twice, ssh takes the first: the user's. */
    if (strcmp(program, "ssh") == 0)
        add_ssh_options(argv);
    g_ptr_array_add(argv, g_strdup(host));
    g_ptr_array_add(argv, g_strdup(far_command ? far_command : "mose"));
    g_ptr_array_add(argv, g_strdup("receive"));
    if (compress_level) {
        g_ptr_array_add(argv, g_strdup("--compress"));
        g_ptr_array_add(argv, g_strdup_printf("%u", compress_level));
    }
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&argv), FALSE);
}

static char *
connection_word(guint number)
{
    const char *text = g_getenv("SSH_CONNECTION");
    g_auto(GStrv) words = text ? g_strsplit(text, " ", -1) : NULL;

    return words && g_strv_length(words) == 4 ? g_strdup(words[number]) : NULL;
}

char *
mose_ssh_peer(void)
{
    return connection_word(0);
}

char *
mose_ssh_self(void)
{
    return connection_word(2);
}

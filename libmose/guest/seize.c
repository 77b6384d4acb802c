/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lock that is not waited for; see seize.h. */
#include "guest/seize.h"

#include <signal.h>
#include <string.h>

#include "guest/guest-dir.h"
#include "util/error.h"

/* How long a command that was ended, and its guardians, may keep a guest. */
#define SEIZE_MS 20000
#define SEIZE_POLL_MS 20

/* The name of the program that @process ("self", a pid) runs. */
static char *
program_of(const char *process)
{
    g_autofree char *link = g_build_filename("/proc", process, "exe", NULL);
    g_autofree char *path = g_file_read_link(link, NULL);
    char *name = path ? g_path_get_basename(path) : NULL;

    /* One that an upgrade has replaced meanwhile. */
    if (name && g_str_has_suffix(name, " (deleted)"))
        name[strlen(name) - strlen(" (deleted)")] = '\0';
    return name;
}

/* Whether @pid is a `mose receive`. */
static gboolean
is_receiver(pid_t pid)
{
    g_autofree char *process = g_strdup_printf("%d", (int)pid);
    g_autofree char *path = g_build_filename("/proc", process, "cmdline", NULL);
    g_autofree char *ours = program_of("self");
    g_autofree char *theirs = program_of(process);
    g_autofree char *words = NULL;
    gsize len = 0;
    const char *end;

    if (pid <= 0 || !ours || g_strcmp0(ours, theirs) != 0 ||
        !g_file_get_contents(path, &words, &len, NULL))
        return FALSE;
    end = memchr(words, '\0', len);
    /* What g_file_get_contents() has read is followed by a NUL. */
    return end && end + 1 < words + len && strcmp(end + 1, "receive") == 0;
}

MoseGuest *
mose_guest_seize(const char *name, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + SEIZE_MS * 1000;

    for (;;) {
        g_autoptr(GError) cause = NULL;
        g_autoptr(MoseGuest) look = NULL;
        MoseGuest *guest = mose_guest_open(name, MOSE_GUEST_LOCK, &cause);
        pid_t holder;

        if (guest)
            return guest;
        if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_BUSY) ||
            g_get_monotonic_time() > deadline) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        look = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);
        holder = look ? mose_guest_dir_holder(look->dir) : 0;
        if (is_receiver(holder))
            kill(holder, SIGKILL);
        /* The kernel tells nobody of a lock that becomes free. */
        g_usleep(SEIZE_POLL_MS * 1000);
    }
}

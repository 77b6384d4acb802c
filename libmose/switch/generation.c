/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The processes of a guest, found where no description names them; see generation.h. */
#include "switch/generation.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"

/* Whether process @pid is ours, and was started with our pidfile @path: anybody may
 * name the path, and somebody may be looking at the file. */
static gboolean
has_pidfile(pid_t pid, const char *path)
{
    g_autofree char *dir = g_strdup_printf("/proc/%d", (int)pid);
    g_autofree char *file = g_build_filename(dir, "cmdline", NULL);
    g_autofree char *text = NULL;
    const char *before = "";
    struct stat st;
    gsize len;

    if (stat(dir, &st) < 0 || st.st_uid != geteuid() ||
        !g_file_get_contents(file, &text, &len, NULL))
        return FALSE;
    for (const char *p = text; p < text + len; p += strlen(p) + 1) {
        if (strcmp(before, "-pidfile") == 0 && strcmp(p, path) == 0)
            return TRUE;
        before = p;
    }
    return FALSE;
}

MoseProcess *
mose_find_generation(const MoseGuest *guest, guint generation)
{
    g_autofree char *path = mose_guest_pidfile(guest, generation);
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *name;

    while (proc && (name = g_dir_read_name(proc))) {
        pid_t pid = g_ascii_strtoll(name, NULL, 10);
        MoseProcess *process;

        if (pid <= 0 || !has_pidfile(pid, path))
            continue;
        process = mose_process_open(pid, mose_process_start_time(pid), NULL);
        if (process)
            return process;
    }
    return NULL;
}

gboolean
mose_end_generation(const MoseGuest *guest, guint generation, GError **error)
{
    g_autoptr(MoseProcess) process = mose_find_generation(guest, generation);

    if (!process || mose_process_kill(process))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "QEMU (pid %d) does not end",
                (int)process->pid);
    return FALSE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The processes of a guest, found where no description names them; see generation.h. */
#include "guest/generation.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"

/* How long an execve(2) may take on a busy host. */
#define EXEC_TRIES 100
#define EXEC_WAIT_US 2000

/*
 * The arguments of the process of /proc directory @dir; NULL if it has none. One that
 * has a program and no arguments is in the middle of execve(2): its descriptors are
 * closed by then, the guest's lock among them, and its arguments are still to come
 * (Linux fs/exec.c:begin_new_exec, fs/binfmt_elf.c:create_elf_tables). A QEMU that a
 * command has started and not survived would be missed. No event tells of the end.
 */
static char *
read_arguments(const char *dir, gsize *ret_len)
{
    g_autofree char *file = g_build_filename(dir, "cmdline", NULL);
    g_autofree char *program = g_build_filename(dir, "exe", NULL);

    for (int i = 0; i < EXEC_TRIES; i++) {
        g_autofree char *text = NULL;
        g_autofree char *exe = NULL;

        if (!g_file_get_contents(file, &text, ret_len, NULL))
            return NULL;
        if (*ret_len > 0)
            return g_steal_pointer(&text);
        exe = g_file_read_link(program, NULL);
        if (!exe)
            return NULL; /* of the kernel's, or a zombie */
        g_usleep(EXEC_WAIT_US);
    }
    return NULL;
}

/* Whether process @pid is ours, and was started with our pidfile @path: anybody may
 * name the path, and somebody may be looking at the file. */
static gboolean
has_pidfile(pid_t pid, const char *path)
{
    g_autofree char *dir = g_strdup_printf("/proc/%d", (int)pid);
    g_autofree char *text = NULL;
    const char *before = "";
    struct stat st;
    gsize len;

    if (stat(dir, &st) < 0 || st.st_uid != geteuid() ||
        !(text = read_arguments(dir, &len)))
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

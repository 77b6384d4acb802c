/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest RAM: room for it, a memfd made, and found again. See ram.h. */
#include "qemu/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/command.h"
#include "util/error.h"
#include "util/fd.h"

/* The value of "@key   N kB" in /proc/meminfo, in bytes. */
static guint64
meminfo(const char *text, const char *key)
{
    const char *line = strstr(text, key);

    return line ? g_ascii_strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

static gboolean
read_number(const char *dir, const char *file, guint64 *ret)
{
    g_autofree char *path = g_build_filename("/sys/fs/cgroup", dir, file, NULL);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL) || !g_ascii_isdigit(*text))
        return FALSE; /* absent, or "max" */
    *ret = g_ascii_strtoull(text, NULL, 10);
    return TRUE;
}

/* What is left in cgroup @dir and those above it. */
static guint64
cgroup_left(const char *dir, const char *limit_file, const char *usage_file)
{
    g_autofree char *at = g_strdup(dir);
    guint64 left = G_MAXUINT64, limit, usage;

    for (;;) {
        char *slash;

        if (read_number(at, limit_file, &limit) && read_number(at, usage_file, &usage))
            left = MIN(left, limit > usage ? limit - usage : 0);
        slash = strrchr(at, '/');
        if (!slash || *at == '\0')
            return left;
        *slash = '\0';
    }
}

static guint64
cgroups_left(void)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    guint64 left = G_MAXUINT64;

    if (!g_file_get_contents("/proc/self/cgroup", &text, NULL, NULL))
        return left;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) fields = g_strsplit(*line, ":", 3);

        if (g_strv_length(fields) != 3)
            continue;
        if (strcmp(fields[0], "0") == 0)
            left = MIN(left, cgroup_left(fields[2], "memory.max", "memory.current"));
        else if (strcmp(fields[1], "memory") == 0) {
            g_autofree char *dir = g_strconcat("memory", fields[2], NULL);

            left = MIN(left, cgroup_left(dir, "memory.limit_in_bytes",
                                         "memory.usage_in_bytes"));
        }
    }
    return left;
}

guint64
mose_ram_available(void)
{
    g_autofree char *text = NULL;
    guint64 host;

    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL))
        return cgroups_left();
    host = meminfo(text, "MemAvailable:") + meminfo(text, "SwapFree:");
    return MIN(host, cgroups_left());
}

gboolean
mose_ram_has_room(guint64 size, GError **error)
{
    guint64 available = mose_ram_available();

    if (size <= available)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES,
                "no room for %" G_GUINT64_FORMAT " MB of guest RAM: this host has "
                "%" G_GUINT64_FORMAT " MB left",
                size >> 20, available >> 20);
    return FALSE;
}

int
mose_ram_create(const char *name, guint64 size, gboolean overcommit, GError **error)
{
    g_autofree char *label = g_strdup_printf("mose-ram-%s", name);
    g_auto(MoseFd) fd = MOSE_FD_NONE;

    if (!overcommit && !mose_ram_has_room(size, error))
        return -1;
    fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    /* Nobody who holds it can take it away from under those who map it. */
    if (fd < 0 || ftruncate(fd, size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        mose_error_set_errno(error, errno,
                             "cannot make %" G_GUINT64_FORMAT " MB of guest RAM",
                             size >> 20);
        return -1;
    }
    return mose_fd_steal(&fd);
}

int
mose_ram_open(const MoseProcess *process, GError **error)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/fd/%d", (int)process->pid, MOSE_RAM_FD);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        mose_error_set_errno(error, errno, "cannot open the guest's RAM at %s", path);
    return fd;
}

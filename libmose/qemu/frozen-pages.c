/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pages of a guest's memory in /proc; see frozen-pages.h. */
#include "qemu/frozen-pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "qemu/ram.h"
#include "util/error.h"
#include "util/fd.h"

#define PAGE ((guint64)4096)
/* Entries of pagemap read at once. */
#define MAP_PIECE 65536
/* Of pagemap: Documentation/admin-guide/mm/pagemap.rst. */
#define PM_PRESENT (G_GUINT64_CONSTANT(1) << 63)
#define PM_SWAPPED (G_GUINT64_CONSTANT(1) << 62)
#define PM_FILE (G_GUINT64_CONSTANT(1) << 61)

/* --- where the memory is mapped --- */

/* One line of /proc/PID/maps, if it is of the file @st. */
static gboolean
parse_line(const char *line, const struct stat *st, FrozenMapping *ret)
{
    char mode[5];
    unsigned int major, minor;
    guint64 inode;

    if (sscanf(line,
               "%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x %4s %" G_GINT64_MODIFIER
               "x %x:%x %" G_GINT64_MODIFIER "u",
               &ret->start, &ret->end, mode, &ret->offset, &major, &minor, &inode) != 7)
        return FALSE;
    ret->shared = mode[3] == 's';
    return inode == st->st_ino && makedev(major, minor) == st->st_dev;
}

gboolean
mose_frozen_stat(const MoseProcess *process, struct stat *ret)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/fd/%d", (int)process->pid, MOSE_RAM_FD);
    g_autofree char *target = g_file_read_link(path, NULL);

    return target && g_str_has_prefix(target, "/memfd:mose-ram-") &&
           stat(path, ret) == 0;
}

/* Of FrozenMapping; @st is of the memory's file. */
GArray *
mose_frozen_mappings(const MoseProcess *process, const struct stat *st, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/maps", (int)process->pid);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(FrozenMapping));
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, error)) {
        g_prefix_error(error, "cannot see how the guest's memory is mapped: ");
        return NULL;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        FrozenMapping mapping;

        if (parse_line(*line, st, &mapping))
            g_array_append_val(all, mapping);
    }
    return g_steal_pointer(&all);
}

/* --- what it has written --- */

int
mose_frozen_open(const MoseProcess *process, const char *file, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)process->pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        mose_error_set_errno(error, errno, "cannot open %s", path);
    return fd;
}

static gboolean
is_own(guint64 entry)
{
    return (entry & (PM_PRESENT | PM_SWAPPED)) && !(entry & PM_FILE);
}

/* @n entries from @address on: the runs among them. */
static gboolean
find_runs(const guint64 *entries, gsize n, guint64 address, guint64 offset,
          FrozenRunFunc func, gpointer data, GError **error)
{
    for (gsize i = 0; i < n;) {
        gsize begin = i;

        while (i < n && is_own(entries[i]))
            i++;
        if (i > begin && !func(address + begin * PAGE, offset + begin * PAGE,
                               (i - begin) * PAGE, data, error))
            return FALSE;
        while (i < n && !is_own(entries[i]))
            i++;
    }
    return TRUE;
}

static gboolean
scan_mapping(int pagemap, const FrozenMapping *mapping, guint64 *entries,
             FrozenRunFunc func, gpointer data, GError **error)
{
    guint64 n_pages = (mapping->end - mapping->start) / PAGE;

    for (guint64 at = 0; at < n_pages;) {
        gsize n = MIN(n_pages - at, MAP_PIECE);
        guint64 address = mapping->start + at * PAGE;
        ssize_t got = pread(pagemap, entries, n * sizeof(*entries),
                            (off_t)(address / PAGE * sizeof(*entries)));

        if (got < (ssize_t)sizeof(*entries)) {
            mose_error_set_errno(error, got < 0 ? errno : EIO,
                                 "cannot see what the guest has written");
            return FALSE;
        }
        n = (gsize)got / sizeof(*entries);
        if (!find_runs(entries, n, address, mapping->offset + at * PAGE, func, data,
                       error))
            return FALSE;
        at += n;
    }
    return TRUE;
}

gboolean
mose_frozen_scan(const MoseProcess *process, const GArray *mappings, FrozenRunFunc func,
                 gpointer data, GError **error)
{
    g_auto(MoseFd) pagemap = mose_frozen_open(process, "pagemap", error);
    g_autofree guint64 *entries = g_new(guint64, MAP_PIECE);

    if (pagemap < 0)
        return FALSE;
    for (guint i = 0; i < mappings->len; i++)
        if (!scan_mapping(pagemap, &g_array_index(mappings, FrozenMapping, i), entries,
                          func, data, error))
            return FALSE;
    return TRUE;
}

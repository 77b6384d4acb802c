/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest RAM in a memfd: made, found again, read. See ram.h. */
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

struct MoseRam {
    guint8 *base;
    gsize size;
    GArray *ranges; /* MoseRamRange */
};

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

int
mose_ram_create(const char *name, guint64 size, gboolean overcommit, GError **error)
{
    g_autofree char *label = g_strdup_printf("mose-ram-%s", name);
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    guint64 available = mose_ram_available();

    if (!overcommit && size > available) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES,
                    "no room for %" G_GUINT64_FORMAT " MB of guest RAM: this host has "
                    "%" G_GUINT64_FORMAT " MB left",
                    size >> 20, available >> 20);
        return -1;
    }
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

/*
 * One line of a flat view:
 *   0000000100000000-000000023fffffff (prio 0, ram): mose-ram @00000000c0000000 KVM
 */
static gboolean
parse_line(const char *line, MoseRamRange *ret)
{
    char *end;
    guint64 last;
    const char *name, *at;

    ret->address = g_ascii_strtoull(line, &end, 16);
    if (end == line || *end != '-')
        return FALSE;
    last = g_ascii_strtoull(end + 1, &end, 16);
    name = strstr(end, "ram): " MOSE_RAM_ID);
    if (!name || last < ret->address || last - ret->address == G_MAXUINT64)
        return FALSE;
    name += strlen("ram): " MOSE_RAM_ID);
    if (*name != ' ' && *name != '\0')
        return FALSE;
    at = strchr(name, '@');
    ret->size = last - ret->address + 1;
    ret->offset = at ? g_ascii_strtoull(at + 1, NULL, 16) : 0;
    return TRUE;
}

GArray *
mose_ram_layout_parse(const char *mtree)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(MoseRamRange));
    g_auto(GStrv) lines = g_strsplit(mtree, "\n", -1);
    gboolean wanted = FALSE;

    for (char **line = lines; *line; line++) {
        char *text = g_strchug(*line);
        MoseRamRange range;

        /* Views that several address spaces share are printed once, with all
         * their names first; take the one of the memory address space. */
        if (g_str_has_prefix(text, "FlatView"))
            wanted = FALSE;
        else if (g_str_has_prefix(text, "AS \"memory\""))
            wanted = TRUE;
        else if (wanted && parse_line(text, &range))
            g_array_append_val(ranges, range);
    }
    return ranges;
}

MoseRam *
mose_ram_map(int fd, MoseQmp *qmp, GError **error)
{
    g_autoptr(MoseRam) ram = g_new0(MoseRam, 1);
    g_autofree char *mtree = mose_qmp_hmp(qmp, "info mtree -f", error);
    struct stat st;
    void *base;

    if (!mtree)
        return NULL;
    ram->ranges = mose_ram_layout_parse(mtree);
    if (ram->ranges->len == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                    "QEMU's memory tree shows no block " MOSE_RAM_ID);
        return NULL;
    }
    if (fstat(fd, &st) < 0 ||
        (base = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED) {
        mose_error_set_errno(error, errno, "cannot map the guest's RAM");
        return NULL;
    }
    ram->base = base;
    ram->size = st.st_size;
    return g_steal_pointer(&ram);
}

void
mose_ram_free(MoseRam *ram)
{
    if (!ram)
        return;
    if (ram->base)
        munmap(ram->base, ram->size);
    g_clear_pointer(&ram->ranges, g_array_unref);
    g_free(ram);
}

gboolean
mose_ram_read(const MoseRam *ram, guint64 address, void *to, gsize len)
{
    for (guint i = 0; i < ram->ranges->len; i++) {
        const MoseRamRange *range = &g_array_index(ram->ranges, MoseRamRange, i);
        guint64 in = address - range->address;

        if (address < range->address || in >= range->size || len > range->size - in)
            continue;
        if (range->offset > ram->size || in > ram->size - range->offset ||
            len > ram->size - range->offset - in)
            return FALSE;
        memcpy(to, ram->base + range->offset + in, len);
        return TRUE;
    }
    return FALSE;
}

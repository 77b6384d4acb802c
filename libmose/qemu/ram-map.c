/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest RAM read and written by guest-physical address: mapped, or in QEMU's own
 * memory. See ram.h. */
#include "qemu/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/command.h"
#include "qemu/frozen.h"
#include "util/error.h"
#include "util/fd.h"

struct MoseRam {
    guint8 *base; /* NULL: `fd` is /proc/PID/mem of QEMU */
    gsize size;
    MoseFd fd;
    GArray *ranges; /* MoseRamRange */
};

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

/* One whose layout the QEMU behind @qmp tells. */
static MoseRam *
ram_new(MoseQmp *qmp, GError **error)
{
    g_autofree char *mtree = mose_qmp_hmp(qmp, "info mtree -f", error);
    g_autoptr(MoseRam) ram = NULL;

    if (!mtree)
        return NULL;
    ram = g_new0(MoseRam, 1);
    ram->fd = MOSE_FD_NONE;
    ram->ranges = mose_ram_layout_parse(mtree);
    if (ram->ranges->len > 0)
        return g_steal_pointer(&ram);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP,
                "QEMU's memory tree shows no block " MOSE_RAM_ID);
    return NULL;
}

MoseRam *
mose_ram_map(int fd, MoseQmp *qmp, GError **error)
{
    g_autoptr(MoseRam) ram = ram_new(qmp, error);
    struct stat st;
    void *base;

    if (!ram)
        return NULL;
    ram->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (ram->fd < 0 || fstat(fd, &st) < 0 ||
        (base = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED) {
        mose_error_set_errno(error, errno, "cannot map the guest's RAM");
        return NULL;
    }
    ram->base = base;
    ram->size = st.st_size;
    return g_steal_pointer(&ram);
}

/* Where QEMU's own memory has guest-physical @address. */
static gboolean
host_address(MoseQmp *qmp, guint64 address, guint64 *ret, GError **error)
{
    g_autofree char *line =
        g_strdup_printf("gpa2hva 0x%" G_GINT64_MODIFIER "x", address);
    g_autofree char *said = mose_qmp_hmp(qmp, line, error);
    const char *at = said ? strstr(said, " is 0x") : NULL;

    if (!said)
        return FALSE;
    if (!at) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "%s: %s", line,
                    g_strstrip(said));
        return FALSE;
    }
    *ret = g_ascii_strtoull(at + strlen(" is "), NULL, 16);
    return TRUE;
}

MoseRam *
mose_ram_attach(const MoseProcess *process, MoseQmp *qmp, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/mem", (int)process->pid);
    g_autoptr(MoseRam) ram = ram_new(qmp, error);

    if (!ram)
        return NULL;
    for (guint i = 0; i < ram->ranges->len; i++) {
        MoseRamRange *range = &g_array_index(ram->ranges, MoseRamRange, i);

        if (!host_address(qmp, range->address, &range->offset, error))
            return NULL;
    }
    ram->fd = open(path, O_RDWR | O_CLOEXEC);
    if (ram->fd >= 0)
        return g_steal_pointer(&ram);
    mose_error_set_errno(error, errno, "cannot open the guest's private memory (%s)",
                         path);
    return NULL;
}

MoseRam *
mose_ram_of(const MoseProcess *process, MoseQmp *qmp, GError **error)
{
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    MoseFrozen state;

    if (!mose_frozen_look(process, FALSE, &state, error))
        return NULL;
    if (!state.shared || state.frozen)
        return mose_ram_attach(process, qmp, error);
    fd = mose_ram_open(process, error);
    return fd < 0 ? NULL : mose_ram_map(fd, qmp, error);
}

void
mose_ram_free(MoseRam *ram)
{
    if (!ram)
        return;
    if (ram->base)
        munmap(ram->base, ram->size);
    mose_fd_close(ram->fd);
    g_clear_pointer(&ram->ranges, g_array_unref);
    g_free(ram);
}

const GArray *
mose_ram_ranges(const MoseRam *ram)
{
    return ram->ranges;
}

/* Where @len bytes at guest-physical @address are: in the mapped file, or in QEMU's
 * memory. FALSE where that is not all RAM. */
static gboolean
find_offset(const MoseRam *ram, guint64 address, gsize len, guint64 *ret)
{
    for (guint i = 0; i < ram->ranges->len; i++) {
        const MoseRamRange *range = &g_array_index(ram->ranges, MoseRamRange, i);
        guint64 in = address - range->address;

        if (address < range->address || in >= range->size || len > range->size - in)
            continue;
        *ret = range->offset + in;
        return range->offset <= G_MAXINT64 - in && *ret <= G_MAXINT64 - len &&
               (!ram->base || *ret + len <= ram->size);
    }
    return FALSE;
}

gboolean
mose_ram_read(const MoseRam *ram, guint64 address, void *to, gsize len)
{
    guint64 offset;

    if (!find_offset(ram, address, len, &offset))
        return FALSE;
    if (!ram->base)
        return pread(ram->fd, to, len, (off_t)offset) == (ssize_t)len;
    memcpy(to, ram->base + offset, len);
    return TRUE;
}

gboolean
mose_ram_write(MoseRam *ram, guint64 address, const void *from, gsize len,
               GError **error)
{
    guint64 offset;

    if (!find_offset(ram, address, len, &offset)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "guest-physical 0x%" G_GINT64_MODIFIER "x is no RAM", address);
        return FALSE;
    }
    if (pwrite(ram->fd, from, len, (off_t)offset) == (ssize_t)len)
        return TRUE;
    mose_error_set_errno(error, errno,
                         "cannot write the guest's memory at 0x%" G_GINT64_MODIFIER "x",
                         address);
    return FALSE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process has written over frozen memory; see frozen.h. */
#include "qemu/frozen.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "qemu/frozen-pages.h"
#include "qemu/module.h"
#include "util/error.h"
#include "util/fd.h"

/* Bytes copied at once. */
#define COPY_PIECE (1024 * 1024)

char *
mose_frozen_module(GError **error)
{
    char *path = mose_module_path(&mose_module_frozen);

    if (!path)
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
            "%s is missing, which keeps a guest's memory apart from its forks'; "
            "install MOSE whole, or name it in $%s",
            mose_module_frozen.installed, mose_module_frozen.variable);
    return path;
}

static gboolean
judge(const GArray *mappings, gboolean *ret_frozen, GError **error)
{
    for (guint i = 0; i < mappings->len; i++) {
        gboolean private = !g_array_index(mappings, FrozenMapping, i).shared;

        if (i > 0 && private != *ret_frozen) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                        "the guest's memory is mapped in part as its own and in part "
                        "as shared");
            return FALSE;
        }
        *ret_frozen = private;
    }
    return TRUE;
}

static gboolean
count_run(guint64 address, guint64 offset, guint64 len, gpointer data, GError **error)
{
    guint64 *total = data;

    *total += len;
    return TRUE;
}

/* /proc/PID/status, "VmLck:  123 kB". */
static gboolean
has_locked_memory(const MoseProcess *process)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)process->pid);
    g_autofree char *text = NULL;
    const char *at;

    return g_file_get_contents(path, &text, NULL, NULL) &&
           (at = strstr(text, "\nVmLck:")) &&
           g_ascii_strtoull(at + strlen("\nVmLck:"), NULL, 10) > 0;
}

gboolean
mose_frozen_may_read(const MoseProcess *process, GError **error)
{
    g_auto(MoseFd) memory = mose_frozen_open(process, "mem", error);

    g_prefix_error(error, "this host forbids to read a QEMU's memory "
                          "(kernel.yama.ptrace_scope), which forks need: ");
    return memory >= 0;
}

gboolean
mose_frozen_look(const MoseProcess *process, gboolean count, MoseFrozen *ret,
                 GError **error)
{
    g_autoptr(GArray) mappings = NULL;
    struct stat st;

    *ret = (MoseFrozen){ .shared = mose_frozen_stat(process, &st),
                         .locked = has_locked_memory(process) };
    if (!ret->shared)
        return TRUE;
    mappings = mose_frozen_mappings(process, &st, error);
    return mappings && judge(mappings, &ret->frozen, error) &&
           (!ret->frozen || !count ||
            mose_frozen_scan(process, mappings, count_run, &ret->own_bytes, error));
}

typedef struct {
    int from, to;
    guint8 *piece;
    guint64 bytes;
} Copy;

static gboolean
copy_run(guint64 address, guint64 offset, guint64 len, gpointer data, GError **error)
{
    Copy *copy = data;

    for (guint64 at = 0; at < len;) {
        ssize_t got = pread(copy->from, copy->piece, MIN(len - at, COPY_PIECE),
                            (off_t)(address + at));
        ssize_t put =
            got > 0 ? pwrite(copy->to, copy->piece, (gsize)got, (off_t)(offset + at))
                    : 0;

        if (got <= 0 || put != got) {
            mose_error_set_errno(error, got < 0 || put < 0 ? errno : EIO,
                                 "cannot put what the guest has written into its "
                                 "memory");
            return FALSE;
        }
        at += (guint64)got;
    }
    copy->bytes += len;
    return TRUE;
}

gboolean
mose_frozen_merge(const MoseProcess *process, int ram_fd, guint64 *ret_bytes,
                  GError **error)
{
    struct stat st;
    g_autoptr(GArray) mappings = mose_frozen_stat(process, &st)
                                     ? mose_frozen_mappings(process, &st, error)
                                     : g_array_new(FALSE, FALSE, sizeof(FrozenMapping));
    g_auto(MoseFd) memory =
        mappings ? mose_frozen_open(process, "mem", error) : MOSE_FD_NONE;
    g_autofree guint8 *piece = g_malloc(COPY_PIECE);
    Copy copy = { memory, ram_fd, piece, 0 };
    gboolean good =
        memory >= 0 && mose_frozen_scan(process, mappings, copy_run, &copy, error);

    *ret_bytes = copy.bytes;
    return good;
}

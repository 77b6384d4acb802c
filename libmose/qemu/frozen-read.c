/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's memory read whole, without making what is not there; see frozen.h. */
#include <errno.h>
#include <unistd.h>

#include "qemu/frozen-pages.h"
#include "qemu/frozen.h"
#include "qemu/ram.h"
#include "util/error.h"
#include "util/fd.h"

#define READ_PIECE ((guint64)65536)
#define MEMORY "the guest's memory"

/* Pages of its own. */
typedef struct {
    guint64 address, offset, len;
} Run;

typedef struct {
    int file, memory; /* the memfd, and /proc/PID/mem */
    guint64 size;
    GArray *runs; /* Run, in the order of their offsets */
    guint first;  /* of those that end behind where we are */
    guint8 *piece;
} Reading;

static gboolean
note_run(guint64 address, guint64 offset, guint64 len, gpointer data, GError **error)
{
    Run run = { address, offset, len };

    g_array_append_val((GArray *)data, run);
    return TRUE;
}

static int
compare_runs(gconstpointer a, gconstpointer b)
{
    const Run *one = a, *other = b;

    return one->offset < other->offset ? -1 : one->offset > other->offset;
}

/* Where something is, from @at on. */
static guint64
next_written(const Reading *reading, guint64 at)
{
    off_t found = lseek(reading->file, (off_t)at, SEEK_DATA);
    /* No more of it, or nobody knows: then all of it is read. */
    guint64 data = found >= 0 ? (guint64)found : errno == ENXIO ? reading->size : at;

    if (reading->first < reading->runs->len)
        data = MIN(data,
                   MAX(at, g_array_index(reading->runs, Run, reading->first).offset));
    return data >= reading->size ? reading->size
                                 : MAX(at, data / READ_PIECE * READ_PIECE);
}

/* The file's bytes, and over them those of its own. */
static gboolean
read_piece(Reading *reading, guint64 at, guint64 len, GError **error)
{
    if (!mose_fd_pread_all(reading->file, reading->piece, len, at, MEMORY, error))
        return FALSE;
    for (guint i = reading->first; i < reading->runs->len; i++) {
        const Run *run = &g_array_index(reading->runs, Run, i);
        guint64 begin = MAX(run->offset, at),
                end = MIN(run->offset + run->len, at + len);

        if (run->offset >= at + len)
            break;
        if (begin < end &&
            !mose_fd_pread_all(reading->memory, reading->piece + (begin - at),
                               end - begin, run->address + (begin - run->offset),
                               MEMORY, error))
            return FALSE;
    }
    while (reading->first < reading->runs->len) {
        const Run *run = &g_array_index(reading->runs, Run, reading->first);

        if (run->offset + run->len > at + len)
            break;
        reading->first++;
    }
    return TRUE;
}

static gboolean
read_all(Reading *reading, MoseFrozenPiece func, gpointer user, GError **error)
{
    for (guint64 at = 0; at < reading->size;) {
        guint64 written = next_written(reading, at);
        guint64 len = MIN(READ_PIECE, reading->size - at);

        if (written > at) {
            if (!func(NULL, written - at, user, error))
                return FALSE;
            at = written;
            continue;
        }
        if (!read_piece(reading, at, len, error) ||
            !func(reading->piece, len, user, error))
            return FALSE;
        at += len;
    }
    return TRUE;
}

gboolean
mose_frozen_read(const MoseProcess *process, MoseFrozenPiece func, gpointer user,
                 GError **error)
{
    g_auto(MoseFd) file = mose_ram_open(process, error);
    g_auto(MoseFd) memory =
        file < 0 ? MOSE_FD_NONE : mose_frozen_open(process, "mem", error);
    g_autoptr(GArray) mappings = NULL;
    g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(Run));
    g_autofree guint8 *piece = g_malloc(READ_PIECE);
    Reading reading = { file, memory, 0, runs, 0, piece };
    struct stat st;

    if (memory < 0)
        return FALSE;
    if (fstat(file, &st) < 0) {
        mose_error_set_errno(error, errno, "cannot read the guest's memory");
        return FALSE;
    }
    reading.size = (guint64)st.st_size;
    mappings = mose_frozen_mappings(process, &st, error);
    if (!mappings || !mose_frozen_scan(process, mappings, note_run, runs, error))
        return FALSE;
    g_array_sort(runs, compare_runs);
    return read_all(&reading, func, user, error);
}

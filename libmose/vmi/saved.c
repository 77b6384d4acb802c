/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pieces of memory that QEMU writes to a file. See saved.h. */
#include "vmi/saved.h"

#include <string.h>
#include <unistd.h>

#include "qemu/ram.h"
#include "util/error.h"
#include "util/json.h"

/* A question takes half a millisecond, whatever the size. */
#define PIECE ((guint64)256 << 10)
#define MAX_PIECES 256

struct MoseSaved {
    MoseQmp *qmp;
    GArray *ranges; /* MoseRamRange */
    char *path;
    GHashTable *pieces; /* address / PIECE -> bytes */
};

MoseSaved *
mose_saved_new(const char *dir, MoseQmp *qmp, GError **error)
{
    g_autofree char *mtree = mose_qmp_hmp(qmp, "info mtree -f", error);
    MoseSaved *saved;

    if (!mtree)
        return NULL;
    saved = g_new0(MoseSaved, 1);
    saved->qmp = qmp;
    saved->ranges = mose_ram_layout_parse(mtree);
    saved->path = g_strdup_printf("%s/memory.%d", dir, (int)getpid());
    saved->pieces = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    return saved;
}

void
mose_saved_free(MoseSaved *saved)
{
    if (!saved)
        return;
    g_array_unref(saved->ranges);
    g_hash_table_unref(saved->pieces);
    g_free(saved->path);
    g_free(saved);
}

const GArray *
mose_saved_ranges(const MoseSaved *saved)
{
    return saved->ranges;
}

void
mose_saved_forget(MoseSaved *saved)
{
    g_hash_table_remove_all(saved->pieces);
}

/* The part of RAM that piece @number has: a piece may begin or end outside. */
static gboolean
clip(const MoseSaved *saved, guint64 address, guint64 *ret_from, guint64 *ret_to)
{
    guint64 begin = address / PIECE * PIECE;

    for (guint i = 0; i < saved->ranges->len; i++) {
        const MoseRamRange *range = &g_array_index(saved->ranges, MoseRamRange, i);

        if (address - range->address >= range->size)
            continue;
        *ret_from = MAX(begin, range->address);
        *ret_to = MIN(begin + PIECE, range->address + range->size);
        return TRUE;
    }
    return FALSE;
}

/* What lies outside of the range is zeros, and nobody is given it. */
static guint8 *
fetch(MoseSaved *saved, guint64 address)
{
    g_autofree char *text = NULL;
    guint64 from, to;
    gsize len;
    guint8 *piece;

    if (!clip(saved, address, &from, &to) ||
        !mose_qmp_run(saved->qmp, "pmemsave",
                      mose_json_object("val", "i", (gint64)from, "size", "i",
                                       (gint64)(to - from), "filename", "s",
                                       saved->path, NULL),
                      NULL))
        return NULL;
    g_file_get_contents(saved->path, &text, &len, NULL);
    unlink(saved->path);
    if (!text || len != to - from)
        return NULL;
    piece = g_malloc0(PIECE);
    memcpy(piece + from % PIECE, text, len);
    return piece;
}

static const guint8 *
piece_of(MoseSaved *saved, guint64 address)
{
    guint64 number = address / PIECE;
    guint8 *piece = g_hash_table_lookup(saved->pieces, &number);

    if (piece)
        return piece;
    piece = fetch(saved, address);
    if (!piece)
        return NULL;
    if (g_hash_table_size(saved->pieces) >= MAX_PIECES)
        g_hash_table_remove_all(saved->pieces);
    g_hash_table_insert(saved->pieces, g_memdup2(&number, sizeof(number)), piece);
    return piece;
}

gboolean
mose_saved_read(MoseSaved *saved, guint64 address, void *to, gsize len)
{
    guint8 *at = to;

    while (len > 0) {
        gsize step = MIN(len, PIECE - address % PIECE);
        guint64 from, end;
        const guint8 *piece;

        if (!clip(saved, address, &from, &end) || step > end - address)
            return FALSE;
        piece = piece_of(saved, address);
        if (!piece)
            return FALSE;
        memcpy(at, piece + address % PIECE, step);
        at += step;
        address += step;
        len -= step;
    }
    return TRUE;
}

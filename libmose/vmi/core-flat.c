/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flattened files: their index, and reading by it. See core-flat.h. */
#include "vmi/core-flat.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/fd.h"

#define TYPE_FLAT 1
#define VERSION_FLAT 1
#define SIGNATURE_SIZE 16
#define RECORD_HEADER 16
/* Records that overlap: a header that is written anew once it is complete. More of them
 * in one heap than this is no file that anybody's tool writes. */
#define MAX_OVERLAPPING 256

static guint64
number(const guint8 *bytes)
{
    guint64 value;

    memcpy(&value, bytes, sizeof(value));
    return GUINT64_FROM_BE(value);
}

gboolean
mose_flat_is(const guint8 *header, gsize len)
{
    static const char signature[SIGNATURE_SIZE] = MOSE_FLAT_SIGNATURE;

    return len >= SIGNATURE_SIZE + 16 &&
           memcmp(header, signature, SIGNATURE_SIZE) == 0 &&
           number(header + SIGNATURE_SIZE) == TYPE_FLAT &&
           number(header + SIGNATURE_SIZE + 8) == VERSION_FLAT;
}

/* By offset; of two at one offset the later one in the file comes last. */
static int
compare(gconstpointer a, gconstpointer b)
{
    const MoseFlatPiece *one = a, *other = b;

    if (one->offset != other->offset)
        return one->offset < other->offset ? -1 : 1;
    return one->at < other->at ? -1 : one->at > other->at;
}

static guint64
end_of(const MoseFlatPiece *piece)
{
    return piece->offset + piece->size;
}

static int
compare_numbers(gconstpointer a, gconstpointer b)
{
    const guint64 *one = a, *other = b;

    return *one < *other ? -1 : *one > *other;
}

/* Append @n pieces that overlap, cut at each other's ends, the latest of those that
 * cover a place. */
static void
append_resolved(GArray *to, const MoseFlatPiece *pieces, guint n)
{
    g_autofree guint64 *cuts = g_new(guint64, 2 * n);

    for (guint i = 0; i < n; i++) {
        cuts[2 * i] = pieces[i].offset;
        cuts[2 * i + 1] = end_of(&pieces[i]);
    }
    qsort(cuts, 2 * n, sizeof(*cuts), compare_numbers);
    for (guint c = 0; c + 1 < 2 * n; c++) {
        const MoseFlatPiece *best = NULL;
        MoseFlatPiece cut = { .offset = cuts[c], .size = cuts[c + 1] - cuts[c] };

        for (guint i = 0; i < n && cut.size > 0; i++)
            if (pieces[i].offset <= cut.offset && cut.offset < end_of(&pieces[i]) &&
                (!best || pieces[i].at > best->at))
                best = &pieces[i];
        if (!best)
            continue;
        cut.at = best->at + (cut.offset - best->offset);
        g_array_append_val(to, cut);
    }
}

/* Sorted @pieces without their overlaps. */
static GArray *
resolve(const GArray *pieces, const char *name, GError **error)
{
    g_autoptr(GArray) ret = g_array_new(FALSE, FALSE, sizeof(MoseFlatPiece));
    const MoseFlatPiece *all = (const MoseFlatPiece *)pieces->data;

    for (guint i = 0, n; i < pieces->len; i += n) {
        guint64 end = end_of(&all[i]);

        for (n = 1; i + n < pieces->len && all[i + n].offset < end; n++)
            end = MAX(end, end_of(&all[i + n]));
        if (n > MAX_OVERLAPPING) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "%s: %u records of the flattened file overlap at "
                        "0x%" G_GINT64_MODIFIER "x",
                        name, n, all[i].offset);
            return NULL;
        }
        append_resolved(ret, &all[i], n);
    }
    return g_steal_pointer(&ret);
}

/* The record at @at. FALSE without an error: the end. */
static gboolean
read_record(int fd, guint64 at, guint64 file_size, const char *name, MoseFlatPiece *ret,
            GError **error)
{
    guint8 header[RECORD_HEADER];

    if (file_size - at < sizeof(header) ||
        !mose_fd_pread_all(fd, header, sizeof(header), at, name, NULL)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: no end of the flattened file at 0x%" G_GINT64_MODIFIER
                    "x: it is cut short",
                    name, at);
        return FALSE;
    }
    ret->offset = number(header);
    ret->size = number(header + 8);
    ret->at = at + sizeof(header);
    if (ret->offset == G_MAXUINT64 && ret->size == G_MAXUINT64)
        return FALSE;
    if (ret->size <= file_size - ret->at && ret->offset <= G_MAXINT64 - ret->size)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s: the record at 0x%" G_GINT64_MODIFIER "x says 0x%" G_GINT64_MODIFIER
                "x bytes for 0x%" G_GINT64_MODIFIER "x, which is more than there is",
                name, at, ret->size, ret->offset);
    return FALSE;
}

GArray *
mose_flat_index(int fd, guint64 size, const char *name, GError **error)
{
    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(MoseFlatPiece));
    g_autoptr(GError) wrong = NULL;
    MoseFlatPiece piece;
    guint64 at = MOSE_FLAT_HEADER;

    if (size < at) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: the flattened file ends within its header", name);
        return NULL;
    }
    while (read_record(fd, at, size, name, &piece, &wrong)) {
        at = piece.at + piece.size;
        if (piece.size == 0)
            continue;
        if (pieces->len == G_MAXUINT - 1) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                        "%s: the flattened file has too many records", name);
            return NULL;
        }
        g_array_append_val(pieces, piece);
    }
    if (wrong) {
        g_propagate_error(error, g_steal_pointer(&wrong));
        return NULL;
    }
    g_array_sort(pieces, compare);
    return resolve(pieces, name, error);
}

guint64
mose_flat_end(const GArray *pieces)
{
    return pieces->len > 0
               ? end_of(&g_array_index(pieces, MoseFlatPiece, pieces->len - 1))
               : 0;
}

/* The piece in which @offset lies. */
static const MoseFlatPiece *
find(const GArray *pieces, guint64 offset)
{
    guint low = 0, high = pieces->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (end_of(&g_array_index(pieces, MoseFlatPiece, middle)) > offset)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == pieces->len || g_array_index(pieces, MoseFlatPiece, low).offset > offset)
        return NULL;
    return &g_array_index(pieces, MoseFlatPiece, low);
}

gboolean
mose_flat_read(int fd, const GArray *pieces, guint64 offset, void *to, gsize len)
{
    guint8 *at = to;

    while (len > 0) {
        const MoseFlatPiece *piece = find(pieces, offset);
        guint64 inside;
        gsize n;

        if (!piece)
            return FALSE;
        inside = offset - piece->offset;
        n = MIN(len, piece->size - inside);
        if (!mose_fd_pread_all(fd, at, n, piece->at + inside, "", NULL))
            return FALSE;
        at += n;
        offset += n;
        len -= n;
    }
    return TRUE;
}

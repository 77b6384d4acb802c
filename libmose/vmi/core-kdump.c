/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kdump-compressed cores read by address; see core-kdump.h and core-kdump-format.h. */
#include "vmi/core-kdump.h"

#include <string.h>

#include "util/error.h"
#include "vmi/core-cache.h"
#include "vmi/core-kdump-format.h"
#include "vmi/core-unpack.h"
#include "vmi/memory.h"

/* 64 TB, what a guest of QEMU's can have at most (46 bits), twice over. */
#define MAX_FRAMES (G_GUINT64_CONSTANT(1) << 35)
#define FRAMES_A_BLOCK (MOSE_KDUMP_BLOCK * 8)
/* Holes in a guest's memory are few; of ranges that are made up there may be any
 * number. */
#define MAX_RANGES (1u << 20)
/* makedumpfile leaves pages as they are that do not get smaller. */
#define MAX_PACKED (2 * MOSE_KDUMP_BLOCK)
#define DUMP_LEVEL_ZEROS 1

struct MoseKdump {
    MoseCoreFile *file;
    guint64 n_frames;
    guint64 ram_map, page_map; /* offsets of the two bitmaps; or the same */
    guint64 pages;             /* of the first MoseKdumpPage */
    gboolean zeros_left_out;
    guint64 *before; /* pages in the file before each block of page_map */
    guint64 n_blocks;
    GArray *ranges;
    MoseCoreCache *cache; /* of unpacked pages */
};

gboolean
mose_kdump_is(const guint8 *header, gsize len)
{
    return len >= strlen(MOSE_KDUMP_SIGNATURE) &&
           memcmp(header, MOSE_KDUMP_SIGNATURE, strlen(MOSE_KDUMP_SIGNATURE)) == 0;
}

static gboolean refuse(const MoseKdump *kdump, int code, GError **error,
                       const char *format, ...) G_GNUC_PRINTF(4, 5);

static gboolean
refuse(const MoseKdump *kdump, int code, GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, MOSE_ERROR, code, "%s: %s", mose_core_file_name(kdump->file),
                text);
    return FALSE;
}

/* In a file of 32 bits the time stamp is shorter, and so the block size is sooner. */
static gboolean
is_of_32_bits(const MoseKdumpHeader *header)
{
    guint32 size;

    memcpy(&size, (const guint8 *)header + 416, sizeof(size));
    return size == MOSE_KDUMP_BLOCK;
}

static gboolean
check_header(const MoseKdump *kdump, const MoseKdumpHeader *header, GError **error)
{
    if (header->block_size != MOSE_KDUMP_BLOCK)
        return is_of_32_bits(header)
                   ? refuse(kdump, MOSE_ERROR_UNSUPPORTED, error, "a core of 32 bits")
                   : refuse(kdump, MOSE_ERROR_INVALID, error,
                            "its blocks (at 0x1ac) have %u bytes, not 4096",
                            header->block_size);
    if (header->version < 1 || header->version > 6)
        return refuse(kdump, MOSE_ERROR_UNSUPPORTED, error,
                      "version %d of the kdump format (at 0x8)", header->version);
    if (header->sub_blocks == 0)
        return refuse(kdump, MOSE_ERROR_INVALID, error, "no sub header (at 0x1b0)");
    if (header->status & ~(MOSE_PACKED_ANY | MOSE_PACKED_NOTED))
        return refuse(
            kdump, MOSE_ERROR_UNSUPPORTED, error,
            "its pages are packed in a way that is not known: 0x%x (at 0x1a8)",
            header->status);
    return TRUE;
}

/* What lies where. */
static gboolean
lay_out(MoseKdump *kdump, const MoseKdumpHeader *header, const MoseKdumpSub *sub,
        GError **error)
{
    guint64 maps = (1 + (guint64)header->sub_blocks) * MOSE_KDUMP_BLOCK;
    guint64 len = (guint64)header->bitmap_blocks * MOSE_KDUMP_BLOCK;

    if (sub->split)
        return refuse(kdump, MOSE_ERROR_UNSUPPORTED, error,
                      "one part of a core that is split into several files");
    kdump->n_frames = header->version >= 6 ? sub->max_mapnr_64 : header->max_mapnr;
    if (kdump->n_frames == 0 || kdump->n_frames > MAX_FRAMES)
        return refuse(
            kdump, MOSE_ERROR_INVALID, error,
            "0x%" G_GINT64_MODIFIER "x page frames (at 0x%x)", kdump->n_frames,
            header->version >= 6
                ? MOSE_KDUMP_BLOCK + (guint)G_STRUCT_OFFSET(MoseKdumpSub, max_mapnr_64)
                : (guint)G_STRUCT_OFFSET(MoseKdumpHeader, max_mapnr));
    kdump->n_blocks = (kdump->n_frames + FRAMES_A_BLOCK - 1) / FRAMES_A_BLOCK;
    if (header->bitmap_blocks < kdump->n_blocks)
        return refuse(kdump, MOSE_ERROR_INVALID, error,
                      "bitmaps of %u blocks (at 0x1b4) are too small for "
                      "0x%" G_GINT64_MODIFIER "x page frames",
                      header->bitmap_blocks, kdump->n_frames);
    if (!mose_core_file_holds(kdump->file, maps, len, "the bitmaps", error))
        return FALSE;
    kdump->ram_map = kdump->page_map = maps;
    if (header->bitmap_blocks >= 2 * kdump->n_blocks)
        kdump->page_map += header->bitmap_blocks / 2 * MOSE_KDUMP_BLOCK;
    kdump->pages = maps + len;
    kdump->zeros_left_out = sub->dump_level == DUMP_LEVEL_ZEROS;
    return TRUE;
}

static gboolean
read_notes(const MoseKdump *kdump, const MoseKdumpHeader *header,
           const MoseKdumpSub *sub, MoseCoreNotes *notes, GError **error)
{
    gsize len;
    g_autofree guint8 *bytes = NULL;

    if (header->version >= 3 && sub->offset_vmcoreinfo && sub->size_vmcoreinfo) {
        g_autofree guint8 *text = NULL;

        if (sub->size_vmcoreinfo > MOSE_CORE_MAX_VMCOREINFO)
            return refuse(kdump, MOSE_ERROR_INVALID, error,
                          "0x%" G_GINT64_MODIFIER "x bytes of VMCOREINFO (at 0x%x)",
                          sub->size_vmcoreinfo,
                          MOSE_KDUMP_BLOCK +
                              (guint)G_STRUCT_OFFSET(MoseKdumpSub, size_vmcoreinfo));
        text = g_malloc(sub->size_vmcoreinfo);
        if (!mose_core_file_read(kdump->file, sub->offset_vmcoreinfo, text,
                                 sub->size_vmcoreinfo, "VMCOREINFO", error))
            return FALSE;
        mose_core_notes_set_vmcoreinfo(notes, text, sub->size_vmcoreinfo);
    }
    if (header->version < 4 || !sub->offset_note || !sub->size_note)
        return TRUE;
    if (!mose_core_file_holds(kdump->file, sub->offset_note, sub->size_note,
                              "the notes", error))
        return FALSE;
    len = MIN(sub->size_note, MOSE_CORE_MAX_NOTES);
    bytes = g_malloc(len);
    return mose_core_file_read(kdump->file, sub->offset_note, bytes, len, "the notes",
                               error) &&
           mose_core_notes_parse(notes, bytes, len, sub->offset_note,
                                 mose_core_file_name(kdump->file), error);
}

/* Block @i of the bitmap at @map, without what is behind the last page frame. */
static gboolean
read_map(const MoseKdump *kdump, guint64 map, guint64 i, guint8 *to, GError **error)
{
    guint64 first = i * FRAMES_A_BLOCK;

    if (!mose_core_file_read(kdump->file, map + i * MOSE_KDUMP_BLOCK, to,
                             MOSE_KDUMP_BLOCK, "a bitmap", error))
        return FALSE;
    for (guint64 frame = kdump->n_frames - first; frame < FRAMES_A_BLOCK; frame++)
        to[frame / 8] &= ~(1u << frame % 8);
    return TRUE;
}

/* How many of the first @n bits of @map are set. */
static guint
count_bits(const guint8 *map, guint n)
{
    guint count = 0, i;

    for (i = 0; i + 64 <= n; i += 64) {
        guint64 word;

        memcpy(&word, map + i / 8, sizeof(word));
        count += __builtin_popcountll(word);
    }
    for (; i < n; i++)
        count += map[i / 8] >> i % 8 & 1;
    return count;
}

static gboolean
count_pages(MoseKdump *kdump, GError **error)
{
    g_autofree guint8 *map = g_malloc(MOSE_KDUMP_BLOCK);
    guint64 count = 0;

    kdump->before = g_new(guint64, kdump->n_blocks);
    for (guint64 i = 0; i < kdump->n_blocks; i++) {
        if (!read_map(kdump, kdump->page_map, i, map, error))
            return FALSE;
        kdump->before[i] = count;
        count += count_bits(map, FRAMES_A_BLOCK);
    }
    return mose_core_file_holds(kdump->file, kdump->pages,
                                count * sizeof(MoseKdumpPage), "the list of pages",
                                error);
}

/* @frame is there; they come in ascending order. */
static gboolean
add_frame(MoseKdump *kdump, guint64 frame, GError **error)
{
    guint64 address = frame * MOSE_KDUMP_BLOCK;
    MoseMemoryRange *last =
        kdump->ranges->len > 0
            ? &g_array_index(kdump->ranges, MoseMemoryRange, kdump->ranges->len - 1)
            : NULL;

    if (last && last->address + last->size == address) {
        last->size += MOSE_KDUMP_BLOCK;
        return TRUE;
    }
    if (kdump->ranges->len == MAX_RANGES)
        return refuse(kdump, MOSE_ERROR_INVALID, error,
                      "its memory is in more than %u pieces", MAX_RANGES);
    g_array_append_val(kdump->ranges, ((MoseMemoryRange){ address, MOSE_KDUMP_BLOCK }));
    return TRUE;
}

static gboolean
find_ranges(MoseKdump *kdump, GError **error)
{
    g_autofree guint8 *map = g_malloc(MOSE_KDUMP_BLOCK);
    g_autofree guint8 *more = g_malloc0(MOSE_KDUMP_BLOCK);

    for (guint64 i = 0; i < kdump->n_blocks; i++) {
        if (!read_map(kdump, kdump->page_map, i, map, error) ||
            (kdump->zeros_left_out && !read_map(kdump, kdump->ram_map, i, more, error)))
            return FALSE;
        for (guint at = 0; at < MOSE_KDUMP_BLOCK; at++)
            map[at] |= more[at];
        for (guint bit = 0; bit < FRAMES_A_BLOCK; bit++)
            if (map[bit / 8] == 0)
                bit |= 7;
            else if ((map[bit / 8] >> bit % 8 & 1) &&
                     !add_frame(kdump, i * FRAMES_A_BLOCK + bit, error))
                return FALSE;
    }
    return TRUE;
}

/* Whether @frame has a bit in the bitmap at @map; *@ret_before (may be NULL) is how
 * many in the same block have one before it. */
static gboolean
has_bit(const MoseKdump *kdump, guint64 map, guint64 frame, guint *ret_before)
{
    guint8 block[MOSE_KDUMP_BLOCK];
    guint bit = frame % FRAMES_A_BLOCK;

    if (!mose_core_file_peek(kdump->file,
                             map + frame / FRAMES_A_BLOCK * MOSE_KDUMP_BLOCK, block,
                             sizeof(block)))
        return FALSE;
    if (ret_before)
        *ret_before = count_bits(block, bit);
    return block[bit / 8] >> bit % 8 & 1;
}

static gboolean
read_page(const MoseKdump *kdump, guint64 nth, guint8 *to)
{
    guint8 packed[MAX_PACKED];
    MoseKdumpPage page;

    return mose_core_file_peek(kdump->file, kdump->pages + nth * sizeof(page), &page,
                               sizeof(page)) &&
           page.size > 0 && page.size <= sizeof(packed) &&
           mose_core_file_get(kdump->file, page.offset, packed, page.size) &&
           mose_unpack(page.flags, packed, page.size, to, MOSE_KDUMP_BLOCK);
}

static gboolean
fill(gpointer data, guint64 frame, guint8 *to, gsize *ret_len)
{
    const MoseKdump *kdump = data;
    guint inside;

    *ret_len = MOSE_KDUMP_BLOCK;
    if (frame >= kdump->n_frames)
        return FALSE;
    if (has_bit(kdump, kdump->page_map, frame, &inside))
        return read_page(kdump, kdump->before[frame / FRAMES_A_BLOCK] + inside, to);
    if (!kdump->zeros_left_out || !has_bit(kdump, kdump->ram_map, frame, NULL))
        return FALSE;
    memset(to, 0, MOSE_KDUMP_BLOCK);
    return TRUE;
}

MoseKdump *
mose_kdump_new(MoseCoreFile *file, MoseCoreNotes *notes, GError **error)
{
    g_autoptr(MoseKdump) kdump = g_new0(MoseKdump, 1);
    MoseKdumpHeader header;
    MoseKdumpSub sub;

    G_STATIC_ASSERT(MOSE_KDUMP_BLOCK == MOSE_CORE_BLOCK);
    kdump->file = file;
    kdump->ranges = g_array_new(FALSE, FALSE, sizeof(MoseMemoryRange));
    kdump->cache = mose_core_cache_new(fill, kdump);
    if (!mose_core_file_read(file, 0, &header, sizeof(header), "the header", error) ||
        !check_header(kdump, &header, error) ||
        !mose_core_file_read(file, MOSE_KDUMP_BLOCK, &sub, sizeof(sub),
                             "the sub header", error) ||
        !lay_out(kdump, &header, &sub, error) ||
        !read_notes(kdump, &header, &sub, notes, error) || !count_pages(kdump, error) ||
        !find_ranges(kdump, error))
        return NULL;
    if (kdump->ranges->len == 0) {
        refuse(kdump, MOSE_ERROR_INVALID, error, "no memory is in it");
        return NULL;
    }
    return g_steal_pointer(&kdump);
}

void
mose_kdump_free(MoseKdump *kdump)
{
    if (!kdump)
        return;
    g_array_unref(kdump->ranges);
    mose_core_cache_free(kdump->cache);
    g_free(kdump->before);
    g_free(kdump);
}

const GArray *
mose_kdump_ranges(const MoseKdump *kdump)
{
    return kdump->ranges;
}

gboolean
mose_kdump_read(MoseKdump *kdump, guint64 address, void *to, gsize len)
{
    return mose_core_cache_read(kdump->cache, address, to, len);
}

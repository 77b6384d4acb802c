/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM records (migration/ram.c). Each header is checked, each payload is skipped:
 * the time goes by the number of pages, not of bytes.
 */
#include <string.h>

#include "stream/format.h"
#include "stream/reader-private.h"
#include "stream/wire.h"

static gboolean step_block_length(MoseReader *reader, const guint8 *bytes,
                                  GError **error);

static gboolean
next_record(MoseReader *reader)
{
    return mose_reader_expect(reader, 8, mose_reader_step_record);
}

/* The list of blocks. */

static gboolean
next_block(MoseReader *reader)
{
    if (reader->ram_left > 0)
        return mose_reader_expect(reader, 1, step_block_length);
    reader->blocks_just_listed = TRUE;
    return next_record(reader);
}

static MoseRamBlock *
last_block(MoseReader *reader)
{
    return reader->info.blocks->pdata[reader->info.blocks->len - 1];
}

/* The bitmap stands right behind the header, the pages behind it; the reader need not
 * know where the file begins, but all blocks must agree on it. */
static gboolean
step_mapped_ram(MoseReader *reader, const guint8 *bytes, GError **error)
{
    const MoseRamBlock *block = last_block(reader);
    guint64 bitmap = mose_wire_get(bytes + 12, 8), pages = mose_wire_get(bytes + 20, 8);
    guint64 bitmap_size = (block->length / MOSE_PAGE_SIZE + 63) / 64 * 8;
    guint64 delta = bitmap - (reader->offset + MOSE_MAPPED_RAM_HEADER);

    if (mose_wire_get(bytes, 4) != MOSE_MAPPED_RAM_VERSION)
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "mapped-ram version %u",
                                (guint)mose_wire_get(bytes, 4));
    if (mose_wire_get(bytes + 4, 8) != MOSE_PAGE_SIZE)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "mapped-ram pages of %" G_GUINT64_FORMAT " bytes",
                                mose_wire_get(bytes + 4, 8));
    if (pages % MOSE_PAGE_SIZE != 0 || pages < bitmap || pages - bitmap < bitmap_size ||
        pages - bitmap > bitmap_size + MOSE_MAPPED_RAM_ALIGN ||
        (reader->info.blocks->len > 1 && delta != reader->mapped_delta))
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "block '%s': impossible mapped-ram offsets",
                                block->name);
    reader->mapped_delta = delta;
    reader->skip = pages - bitmap + block->length;
    reader->info.count.mapped_bytes += reader->skip;
    return next_block(reader);
}

static gboolean
after_block(MoseReader *reader)
{
    if (reader->mapped_ram)
        return mose_reader_expect(reader, MOSE_MAPPED_RAM_HEADER, step_mapped_ram);
    return next_block(reader);
}

static gboolean
step_block_address(MoseReader *reader, const guint8 *bytes, GError **error)
{
    last_block(reader)->address = mose_wire_get(bytes, 8);
    return after_block(reader);
}

static gboolean
step_block(MoseReader *reader, const guint8 *bytes, GError **error)
{
    gsize name_len = reader->want - 8;
    guint64 length = mose_wire_get(bytes + name_len, 8);
    g_autofree char *quoted = mose_reader_quote(bytes, name_len);
    MoseRamBlock *block;

    if (length > reader->ram_left || length % MOSE_PAGE_SIZE != 0)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "block %s: impossible length 0x%" G_GINT64_MODIFIER "x",
                                quoted, length);
    if (reader->info.blocks->len >= MOSE_MAX_RAM_BLOCKS)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "more than %u RAM blocks", MOSE_MAX_RAM_BLOCKS);
    block = g_new0(MoseRamBlock, 1);
    block->name = g_strndup((const char *)bytes, name_len);
    block->length = length;
    g_ptr_array_add(reader->info.blocks, block);
    if (!g_hash_table_insert(reader->blocks_by_name, block->name, block))
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "block %s: listed twice", quoted);
    reader->ram_left -= length;
    if (reader->ignore_shared)
        return mose_reader_expect(reader, 8, step_block_address);
    return after_block(reader);
}

static gboolean
take_page_size(MoseReader *reader, guint64 size, GError **error)
{
    MoseRamBlock *block = last_block(reader);

    if (block->page_size != 0 || size <= MOSE_PAGE_SIZE || (size & (size - 1)) != 0 ||
        !(size & reader->postcopy_sizes))
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "block '%s': impossible page size 0x%" G_GINT64_MODIFIER
                                "x",
                                block->name, size);
    block->page_size = size;
    return TRUE;
}

static gboolean
step_page_size(MoseReader *reader, const guint8 *bytes, GError **error)
{
    return take_page_size(reader, mose_wire_get(bytes, 7), error) && next_block(reader);
}

/*
 * A block's name, or, where postcopy was announced, the page size of the block
 * before: nothing says which, but a page size begins with a zero byte and a name
 * is not empty. (Behind the last block a page size has no flags, which every
 * record has.)
 */
static gboolean
step_block_length(MoseReader *reader, const guint8 *bytes, GError **error)
{
    if (bytes[0] == 0 && reader->postcopy_sizes != 0 && reader->info.blocks->len > 0)
        return mose_reader_expect(reader, 7, step_page_size);
    if (bytes[0] == 0)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a RAM block without a name");
    return mose_reader_expect(reader, bytes[0] + 8u, step_block);
}

static gboolean
list_blocks(MoseReader *reader, guint64 total, GError **error)
{
    if (reader->info.blocks->len > 0 || reader->kind != MOSE_VM_SECTION_START)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a second list of RAM blocks");
    if (total == 0 || total > MOSE_MAX_RAM_TOTAL)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "impossible RAM size 0x%" G_GINT64_MODIFIER "x", total);
    reader->info.ram_total = total;
    reader->ram_left = total;
    return next_block(reader);
}

/* Pages. */

static gboolean
step_zero(MoseReader *reader, const guint8 *bytes, GError **error)
{
    if (bytes[0] != 0)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a zero page with the value %u", bytes[0]);
    reader->info.count.zero++;
    return next_record(reader);
}

static gboolean
step_xbzrle(MoseReader *reader, const guint8 *bytes, GError **error)
{
    guint len = (guint)mose_wire_get(bytes + 1, 2);

    if (bytes[0] != MOSE_XBZRLE_ENCODING || len > MOSE_PAGE_SIZE)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "an xbzrle page of encoding %u and %u bytes", bytes[0],
                                len);
    reader->skip = len;
    reader->info.count.xbzrle++;
    reader->info.count.xbzrle_bytes += len;
    return next_record(reader);
}

static gboolean
read_page(MoseReader *reader, GError **error)
{
    guint64 offset = reader->record & ~(guint64)(MOSE_PAGE_SIZE - 1);
    const MoseRamBlock *block = reader->current;

    if (offset >= block->length)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "block '%s': a page at 0x%" G_GINT64_MODIFIER
                                "x, behind its end",
                                block->name, offset);
    if (reader->record & MOSE_RAM_ZERO)
        return mose_reader_expect(reader, 1, step_zero);
    if (reader->record & MOSE_RAM_XBZRLE)
        return mose_reader_expect(reader, 3, step_xbzrle);
    reader->skip = MOSE_PAGE_SIZE;
    reader->info.count.page++;
    return next_record(reader);
}

static gboolean
step_page_block(MoseReader *reader, const guint8 *bytes, GError **error)
{
    g_autofree char *name = g_strndup((const char *)bytes, reader->want);
    g_autofree char *quoted = NULL;

    reader->current = g_hash_table_lookup(reader->blocks_by_name, name);
    if (reader->current)
        return read_page(reader, error);
    quoted = mose_reader_quote(bytes, reader->want);
    return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                            "a page of block %s, which was not listed", quoted);
}

static gboolean
step_page_block_length(MoseReader *reader, const guint8 *bytes, GError **error)
{
    if (bytes[0] == 0)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a page of a block without a name");
    return mose_reader_expect(reader, bytes[0], step_page_block);
}

static gboolean
page_record(MoseReader *reader, GError **error)
{
    if (reader->mapped_ram)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a page record, though RAM is mapped");
    if (!(reader->record & MOSE_RAM_CONTINUE))
        return mose_reader_expect(reader, 1, step_page_block_length);
    if (!reader->current)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a page that goes on with no block");
    return read_page(reader, error);
}

gboolean
mose_reader_step_record(MoseReader *reader, const guint8 *bytes, GError **error)
{
    guint64 word = mose_wire_get(bytes, 8);
    guint flags = (guint)(word & (MOSE_PAGE_SIZE - 1));
    gboolean just_listed = reader->blocks_just_listed;

    reader->record = word;
    reader->blocks_just_listed = FALSE;
    if (flags == 0 && just_listed && reader->postcopy_sizes != 0)
        return take_page_size(reader, word, error) && next_record(reader);
    if (reader->info.blocks->len == 0 && flags != MOSE_RAM_MEM_SIZE)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "RAM does not begin with the list of its blocks");
    switch (flags & ~(guint)MOSE_RAM_CONTINUE) {
    case MOSE_RAM_MEM_SIZE:
        return list_blocks(reader, word & ~(guint64)(MOSE_PAGE_SIZE - 1), error);
    case MOSE_RAM_ZERO:
    case MOSE_RAM_PAGE:
    case MOSE_RAM_XBZRLE:
        return page_record(reader, error);
    case MOSE_RAM_MULTIFD_FLUSH:
        reader->info.multifd = TRUE;
        reader->info.count.multifd_flush++;
        return next_record(reader);
    case MOSE_RAM_EOS:
        reader->info.count.eos++;
        return mose_reader_expect(reader, 5, mose_reader_step_footer);
    case MOSE_RAM_HOOK:
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "a hook record: RDMA is not supported");
    case MOSE_RAM_COMPRESS_PAGE:
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "a compressed page: not known since QEMU 9.1");
    default:
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a RAM record with the flags 0x%x", flags);
    }
}

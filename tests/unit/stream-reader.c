/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader: every chunking and every record. Refusals: stream-reader-refusals.c. */
#include "stream/reader.h"

#include <string.h>

#include "lib/make-stream.h"
#include "stream/format.h"
#include "util/error.h"

static void
check_small(MoseReader *reader)
{
    const MoseStreamInfo *info = mose_reader_info(reader);
    const MoseRamBlock *rom = info->blocks->pdata[1];

    g_assert_cmpstr(info->machine, ==, "pc");
    g_assert_true(info->return_path);
    g_assert_cmpuint(info->blocks->len, ==, 2);
    g_assert_cmpstr(rom->name, ==, "rom");
    g_assert_cmpuint(rom->length, ==, 0x1000);
    g_assert_cmpuint(info->ram_total, ==, 0x5000);
    g_assert_cmpuint(info->count.zero, ==, 1);
    g_assert_cmpuint(info->count.page, ==, 1);
    g_assert_cmpuint(info->count.xbzrle, ==, 1);
    g_assert_cmpuint(info->count.xbzrle_bytes, ==, 5);
    g_assert_cmpuint(info->count.eos, ==, 3);
    g_assert_cmpuint(mose_doc_n_sections(mose_reader_doc(reader)), ==, 2);
}

static void
test_chunks(void)
{
    static const gsize chunks[] = { 1, 2, 3, 5, 8, 13, 64, 511, 4096, 1 << 20 };
    g_autoptr(GByteArray) stream = mk_small_stream();

    for (gsize i = 0; i < G_N_ELEMENTS(chunks); i++) {
        g_autoptr(MoseReader) reader = mose_reader_new();
        g_autoptr(GError) error = NULL;
        gint64 passed = mk_push_all(reader, stream, chunks[i], &error);

        g_assert_no_error(error);
        g_assert_cmpint(passed, ==, (gint64)mose_reader_info(reader)->device_offset);
        check_small(reader);
    }
}

static void
test_every_split(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();

    for (gsize at = 0; at <= stream->len; at++) {
        g_autoptr(MoseReader) reader = mose_reader_new();
        g_autoptr(GError) error = NULL;
        gsize first, second;

        mose_reader_push(reader, stream->data, at, &first, &error);
        g_assert_no_error(error);
        mose_reader_push(reader, stream->data + at, stream->len - at, &second, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(first + second, ==, mose_reader_info(reader)->device_offset);
        check_small(reader);
    }
}

static void
test_every_truncation(void)
{
    g_autoptr(GByteArray) stream = mk_small_stream();

    for (gsize len = 0; len < stream->len; len++) {
        g_autoptr(MoseReader) reader = mose_reader_new();
        g_autoptr(GError) error = NULL;
        gsize pass;

        mose_reader_push(reader, stream->data, len, &pass, &error);
        g_assert_no_error(error);
        g_assert_null(mose_reader_doc(reader));
        g_assert_false(mose_reader_finish(reader, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_STREAM);
        g_assert_nonnull(strstr(error->message, "truncated"));
        g_assert_nonnull(strstr(error->message, "stream offset 0x"));
    }
}

static MoseReader *
read_made(GByteArray *stream)
{
    MoseReader *reader = mose_reader_new();
    g_autoptr(GError) error = NULL;

    mk_end(stream, "");
    mk_push_all(reader, stream, 1, &error);
    g_assert_no_error(error);
    return reader;
}

static void
test_no_sections(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(MoseReader) reader = NULL;

    mk_begin(stream);
    mk_ram(stream);
    reader = read_made(stream);
    g_assert_cmpuint(mose_doc_n_sections(mose_reader_doc(reader)), ==, 0);
}

static void
test_configuration(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(MoseReader) reader = NULL;

    mk_begin(stream);
    mk(stream, "bsww", 5, "configuration/target-page-bits", 1, 12);
    mk(stream, "bswqq", 5, "configuration/uuid", 1,
       G_GUINT64_CONSTANT(0x0011223344556677), G_GUINT64_CONSTANT(0x8899aabbccddeeff));
    mk_ram(stream);
    reader = read_made(stream);
    g_assert_cmpstr(mose_reader_info(reader)->uuid, ==,
                    "00112233-4455-6677-8899-aabbccddeeff");
}

static void
test_ignore_shared(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(MoseReader) reader = NULL;
    const MoseRamBlock *block;

    mk_begin_with(stream, "x-ignore-shared");
    mk_ram_start(stream);
    mk(stream, "qsqqsqq", G_GUINT64_CONSTANT(0x5004), "a", G_GUINT64_CONSTANT(0x4000),
       G_GUINT64_CONSTANT(0), "b", G_GUINT64_CONSTANT(0x1000),
       G_GUINT64_CONSTANT(0xfffc0000));
    mk_ram_end(stream);
    mk_ram_begin(stream, 3);
    mk_ram_end(stream);
    reader = read_made(stream);
    block = mose_reader_info(reader)->blocks->pdata[1];
    g_assert_cmpuint(block->address, ==, 0xfffc0000);
    g_assert_cmpstr(mose_reader_info(reader)->capabilities->pdata[0], ==,
                    "x-ignore-shared");
}

static void
test_multifd(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(MoseReader) reader = NULL;

    mk_begin(stream);
    mk_ram_start(stream);
    mk(stream, "qsqq", G_GUINT64_CONSTANT(0x1004), "a", G_GUINT64_CONSTANT(0x1000),
       G_GUINT64_CONSTANT(0x200));
    mk_ram_end(stream);
    mk_ram_begin(stream, 3);
    mk(stream, "q", G_GUINT64_CONSTANT(0x200));
    mk_ram_end(stream);
    reader = read_made(stream);
    g_assert_true(mose_reader_info(reader)->multifd);
    g_assert_cmpuint(mose_reader_info(reader)->count.multifd_flush, ==, 2);
}

/* A page size is told from a name, and behind the last block from a record. */
static void
test_postcopy_page_sizes(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(MoseReader) reader = NULL;
    const MoseStreamInfo *info;

    mk_begin(stream);
    mk(stream, "bhhqq", 8, 3, 16, G_GUINT64_CONSTANT(0x201000),
       G_GUINT64_CONSTANT(4096));
    mk_ram_start(stream);
    mk(stream, "q", G_GUINT64_CONSTANT(0x602004));
    mk(stream, "sqq", "a", G_GUINT64_CONSTANT(0x200000), G_GUINT64_CONSTANT(0x200000));
    mk(stream, "sq", "b", G_GUINT64_CONSTANT(0x2000));
    mk(stream, "sqq", "c", G_GUINT64_CONSTANT(0x400000), G_GUINT64_CONSTANT(0x200000));
    mk_ram_end(stream);
    mk_ram_begin(stream, 3);
    mk_ram_end(stream);
    reader = read_made(stream);
    info = mose_reader_info(reader);
    for (guint i = 0; i < 3; i++) {
        const MoseRamBlock *block = info->blocks->pdata[i];

        g_assert_cmpuint(block->page_size, ==, i == 1 ? 0 : 0x200000);
    }
    g_assert_true(info->postcopy_advised);
}

static void
test_mapped_ram(void)
{
    for (guint64 base = 0; base <= 512; base += 512) {
        g_autoptr(GByteArray) stream = g_byte_array_new();
        g_autoptr(MoseReader) reader = NULL;

        mk_begin_with(stream, "mapped-ram");
        mk_ram_start(stream);
        mk(stream, "qsq", G_GUINT64_CONSTANT(0x5004), "a", G_GUINT64_CONSTANT(0x4000));
        mk_mapped(stream, base, 4);
        mk(stream, "sq", "b", G_GUINT64_CONSTANT(0x1000));
        mk_mapped(stream, base, 1);
        mk_ram_end(stream);
        mk_ram_begin(stream, 3);
        mk_ram_end(stream);
        reader = read_made(stream);
        g_assert_cmpuint(mose_reader_info(reader)->blocks->len, ==, 2);
        g_assert_cmpuint(mose_reader_info(reader)->count.mapped_bytes, >, 0x5000);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/reader/chunks", test_chunks);
    g_test_add_func("/stream/reader/every-split", test_every_split);
    g_test_add_func("/stream/reader/every-truncation", test_every_truncation);
    g_test_add_func("/stream/reader/no-sections", test_no_sections);
    g_test_add_func("/stream/reader/configuration", test_configuration);
    g_test_add_func("/stream/reader/ignore-shared", test_ignore_shared);
    g_test_add_func("/stream/reader/multifd", test_multifd);
    g_test_add_func("/stream/reader/postcopy-page-sizes", test_postcopy_page_sizes);
    g_test_add_func("/stream/reader/mapped-ram", test_mapped_ram);
    return g_test_run();
}

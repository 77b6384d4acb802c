/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the reader refuses, each by its text, in whatever pieces it comes. */
#include <string.h>

#include "lib/make-stream.h"
#include "stream/format.h"
#include "stream/reader.h"
#include "util/error.h"

/* Refusals: what follows @begin, and the error it must give. */
typedef struct {
    const char *name;
    void (*make)(GByteArray *out);
    int code;
    const char *message; /* the whole text */
} Refusal;

static void
make_gzip(GByteArray *out)
{
    mk(out, "bbbbz", 0x1f, 0x8b, 8, 0, 100);
}

static void
make_version_2(GByteArray *out)
{
    mk(out, "tw", "QEVM", 2);
}

static void
make_no_configuration(GByteArray *out)
{
    mk(out, "twb", "QEVM", 3, 1);
}

static void
make_long_machine(GByteArray *out)
{
    mk(out, "twbw", "QEVM", 3, 7, 0x7fffffff);
}

static void
make_unknown_capability(GByteArray *out)
{
    mk_begin_with(out, "x-colo");
}

static void
make_page_bits(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bsww", 5, "configuration/target-page-bits", 1, 16);
}

static void
make_packaged(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bhhw", 8, 7, 4, 100);
}

static void
make_postcopy_run(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bhh", 8, 5, 0);
}

static void
make_colo(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bhh", 8, 8, 0);
}

static void
make_unknown_command(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bhh", 8, 99, 0);
}

static void
make_long_ping(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bhh", 8, 2, 5);
}

static void
make_dirty_bitmap(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bwsww", 1, 3, "dirty-bitmap", 0, 1);
}

static void
make_vfio(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bwsww", 1, 3, "0000:00:03.0/vfio", 0, 1);
}

static void
make_early_section(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bwsww", 4, 3, "virtio-mem-device-early", 0, 1);
}

static void
make_early_end(GByteArray *out)
{
    mk_begin(out);
    mk(out, "b", 0);
}

static void
make_hook(GByteArray *out)
{
    mk_begin(out);
    mk_ram_start(out);
    mk(out, "qsqq", G_GUINT64_CONSTANT(0x1004), "a", G_GUINT64_CONSTANT(0x1000),
       G_GUINT64_CONSTANT(0x80));
}

static void
make_compressed(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    out->len -= 5 + 8 + 5;
    mk_ram_begin(out, 2);
    mk(out, "q", G_GUINT64_CONSTANT(0x100));
}

static void
make_bad_flags(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    out->len -= 5 + 8 + 5;
    mk_ram_begin(out, 2);
    mk(out, "q", G_GUINT64_CONSTANT(0x1008 | 0x2));
}

static void
make_block_too_long(GByteArray *out)
{
    mk_begin(out);
    mk_ram_start(out);
    mk(out, "qsq", G_GUINT64_CONSTANT(0x1004), "a", G_GUINT64_CONSTANT(0x2000));
}

static void
make_huge_total(GByteArray *out)
{
    mk_begin(out);
    mk_ram_start(out);
    mk(out, "q", G_GUINT64_CONSTANT(0xfffffffffffff004));
}

static void
make_block_twice(GByteArray *out)
{
    mk_begin(out);
    mk_ram_start(out);
    mk(out, "qsqsq", G_GUINT64_CONSTANT(0x2004), "a", G_GUINT64_CONSTANT(0x1000), "a",
       G_GUINT64_CONSTANT(0x1000));
}

static void
make_unlisted_block(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    out->len -= 5 + 8 + 5;
    mk_ram_begin(out, 2);
    mk(out, "qs", G_GUINT64_CONSTANT(0x8), "z");
}

static void
make_page_behind_end(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    out->len -= 5 + 8 + 5;
    mk_ram_begin(out, 2);
    mk(out, "qs", G_GUINT64_CONSTANT(0x4008), "a");
}

static void
make_zero_page_of_one(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    out->len -= 5 + 8 + 5;
    mk_ram_begin(out, 2);
    mk(out, "qsb", G_GUINT64_CONSTANT(0x2), "a", 1);
}

static void
make_long_xbzrle(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    out->len -= 5 + 8 + 5;
    mk_ram_begin(out, 2);
    mk(out, "qsbh", G_GUINT64_CONSTANT(0x40), "a", 1, 4097);
}

static void
make_continued_nothing(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    out->len -= 5 + 8 + 5;
    mk_ram_begin(out, 2);
    mk(out, "q", G_GUINT64_CONSTANT(0x28));
}

static void
make_bad_mapped_offset(GByteArray *out)
{
    mk_begin_with(out, "mapped-ram");
    mk_ram_start(out);
    mk(out, "qsq", G_GUINT64_CONSTANT(0x1004), "a", G_GUINT64_CONSTANT(0x1000));
    mk(out, "wqqq", 1, G_GUINT64_CONSTANT(4096), G_GUINT64_CONSTANT(0x1000),
       G_GUINT64_CONSTANT(0x7000000000000000));
}

static void
make_page_in_mapped_ram(GByteArray *out)
{
    mk_begin_with(out, "mapped-ram");
    mk_ram_start(out);
    mk(out, "qsq", G_GUINT64_CONSTANT(0x1004), "a", G_GUINT64_CONSTANT(0x1000));
    mk_mapped(out, 0, 1);
    mk(out, "q", G_GUINT64_CONSTANT(0x8));
}

static void
make_bad_page_size(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bhhqq", 8, 3, 16, G_GUINT64_CONSTANT(0x201000), G_GUINT64_CONSTANT(4096));
    mk_ram_start(out);
    mk(out, "qsqq", G_GUINT64_CONSTANT(0x1004), "a", G_GUINT64_CONSTANT(0x1000),
       G_GUINT64_CONSTANT(0x3000));
}

static void
make_no_footer(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    out->data[out->len - 5] = 0x7f;
}

static void
make_wrong_part(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    out->len -= 5 + 8 + 5;
    mk(out, "bw", 2, 9);
}

static void
make_second_ram(GByteArray *out)
{
    mk_begin(out);
    mk_ram(out);
    mk_ram_start(out);
}

static void
make_old_ram(GByteArray *out)
{
    mk_begin(out);
    mk(out, "bwsww", 1, 2, "ram", 0, 3);
}

static void
make_garbage_kind(GByteArray *out)
{
    mk_begin(out);
    mk(out, "b", 0x99);
}

static const Refusal refusals[] = {
    { "gzip", make_gzip, MOSE_ERROR_STREAM,
      "header, stream offset 0x0: not a QEMU migration stream (begins with 1f8b0800)" },
    { "version-2", make_version_2, MOSE_ERROR_STREAM,
      "header, stream offset 0x0: migration stream version 2, not 3" },
    { "no-configuration", make_no_configuration, MOSE_ERROR_UNSUPPORTED,
      "header, stream offset 0x8: no configuration (machine with "
      "send-configuration=off?)" },
    { "long-machine", make_long_machine, MOSE_ERROR_STREAM,
      "configuration, stream offset 0x9: a machine type of 2147483647 bytes" },
    { "unknown-capability", make_unknown_capability, MOSE_ERROR_UNSUPPORTED,
      "configuration, stream offset 0x34: unknown capability 'x-colo'" },
    { "page-bits", make_page_bits, MOSE_ERROR_UNSUPPORTED,
      "configuration, stream offset 0x33: pages of 2^16 bytes: not an x86-64 guest" },
    { "packaged", make_packaged, MOSE_ERROR_UNSUPPORTED,
      "command, stream offset 0x10: command PACKAGED is not supported" },
    { "postcopy-run", make_postcopy_run, MOSE_ERROR_UNSUPPORTED,
      "command, stream offset 0x10: command POSTCOPY_RUN is not supported" },
    { "colo", make_colo, MOSE_ERROR_UNSUPPORTED,
      "command, stream offset 0x10: command ENABLE_COLO is not supported" },
    { "unknown-command", make_unknown_command, MOSE_ERROR_STREAM,
      "command, stream offset 0x10: unknown command 99" },
    { "long-ping", make_long_ping, MOSE_ERROR_STREAM,
      "command, stream offset 0x10: command PING with 5 bytes, not 4" },
    { "dirty-bitmap", make_dirty_bitmap, MOSE_ERROR_UNSUPPORTED,
      "section, stream offset 0x15: iterable section 'dirty-bitmap' is not supported" },
    { "vfio", make_vfio, MOSE_ERROR_UNSUPPORTED,
      "section, stream offset 0x15: iterable section '0000:00:03.0/vfio' is not "
      "supported" },
    { "early-section", make_early_section, MOSE_ERROR_UNSUPPORTED,
      "section, stream offset 0x15: section 'virtio-mem-device-early' comes before "
      "RAM: "
      "not supported" },
    { "early-end", make_early_end, MOSE_ERROR_STREAM,
      "section, stream offset 0xf: end of the stream before the end of RAM" },
    { "hook", make_hook, MOSE_ERROR_UNSUPPORTED,
      "section 'ram', stream offset 0x32: a hook record: RDMA is not supported" },
    { "compressed", make_compressed, MOSE_ERROR_UNSUPPORTED,
      "section 'ram', stream offset 0x44: a compressed page: not known since QEMU "
      "9.1" },
    { "bad-flags", make_bad_flags, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x44: a RAM record with the flags 0xa" },
    { "block-too-long", make_block_too_long, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x29: block 'a': impossible length 0x2000" },
    { "huge-total", make_huge_total, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x20: impossible RAM size 0xfffffffffffff000" },
    { "block-twice", make_block_twice, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x33: block 'a': listed twice" },
    { "unlisted-block", make_unlisted_block, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x4d: a page of block 'z', which was not listed" },
    { "page-behind-end", make_page_behind_end, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x4d: block 'a': a page at 0x4000, behind its "
      "end" },
    { "zero-page-of-one", make_zero_page_of_one, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x4e: a zero page with the value 1" },
    { "long-xbzrle", make_long_xbzrle, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x4e: an xbzrle page of encoding 1 and 4097 "
      "bytes" },
    { "continued-nothing", make_continued_nothing, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x44: a page that goes on with no block" },
    { "bad-mapped-offset", make_bad_mapped_offset, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x61: block 'a': impossible mapped-ram offsets" },
    { "page-in-mapped-ram", make_page_in_mapped_ram, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x101000: a page record, though RAM is mapped" },
    { "bad-page-size", make_bad_page_size, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x47: block 'a': impossible page size 0x3000" },
    { "no-footer", make_no_footer, MOSE_ERROR_STREAM,
      "section 'ram', stream offset 0x4c: no footer where the records end" },
    { "wrong-part", make_wrong_part, MOSE_ERROR_STREAM,
      "section, stream offset 0x40: part of section 9, which is not open" },
    { "second-ram", make_second_ram, MOSE_ERROR_STREAM,
      "section, stream offset 0x57: a second section 'ram'" },
    { "old-ram", make_old_ram, MOSE_ERROR_UNSUPPORTED,
      "section, stream offset 0x15: version 3 of section 'ram'" },
    { "garbage-kind", make_garbage_kind, MOSE_ERROR_STREAM,
      "section, stream offset 0xf: 0x99 where a section or command should begin" },
};

static void
test_refusal(gconstpointer data)
{
    const Refusal *refusal = data;
    g_autoptr(GByteArray) stream = g_byte_array_new();

    refusal->make(stream);
    for (gsize chunk = 1; chunk <= stream->len; chunk += stream->len - 1) {
        g_autoptr(MoseReader) reader = mose_reader_new();
        g_autoptr(GError) error = NULL;
        gsize pass;

        g_assert_cmpint(mk_push_all(reader, stream, chunk, &error), ==, -1);
        g_assert_error(error, MOSE_ERROR, refusal->code);
        g_assert_cmpstr(error->message, ==, refusal->message);
        /* It stays failed. */
        g_assert_false(mose_reader_push(reader, stream->data, 1, &pass, NULL));
        g_assert_false(mose_reader_finish(reader, NULL));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *path =
            g_strdup_printf("/stream/reader/refuses/%s", refusals[i].name);

        g_test_add_data_func(path, &refusals[i], test_refusal);
    }
    return g_test_run();
}

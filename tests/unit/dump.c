/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What QEMU dumps on its way to the file: completed, however it is cut, and refused
 * where it is not whole; and the file, which is there whole or not at all. */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/make-core.h"
#include "util/error.h"
#include "vmi/dump-sink.h"

#define INFO "OSRELEASE=6.1.0\nNUMBER(phys_base)=-4096\n"
#define IMAGE G_GUINT64_CONSTANT(0xffffffff81000000)

static char *dir;

static MoseDumpKernel
kernel(void)
{
    return (MoseDumpKernel){ .vmcoreinfo = (char *)INFO,
                             .image = IMAGE,
                             .image_size = 0x3000,
                             .image_physical = make_core_ranges[2].address + 0x2000,
                             .direct_map = G_GUINT64_CONSTANT(0xffff888000000000),
                             .phys_base = -4096,
                             .has_phys_base = TRUE };
}

static gboolean
feed_all(MoseDumpSink *sink, const GByteArray *bytes, gsize piece, GError **error)
{
    for (gsize at = 0; at < bytes->len; at += piece)
        if (!sink->feed(sink, bytes->data + at, MIN(piece, bytes->len - at), error))
            return FALSE;
    return sink->finish(sink, error);
}

typedef MoseDumpSink *(*NewSink)(MoseDumpFile *file, const MoseDumpKernel *known);

static gboolean
through(NewSink new_sink, const GByteArray *bytes, gsize piece, const char *path,
        GError **error)
{
    const MoseDumpKernel known = kernel();
    g_autoptr(MoseDumpFile) file = mose_dump_file_new(path, FALSE, error);
    g_autoptr(MoseDumpSink) sink = NULL;
    guint64 taken;

    g_assert_nonnull(file);
    sink = new_sink(file, &known);
    if (!feed_all(sink, bytes, piece, error))
        return FALSE;
    g_assert_true(sink->has_vmcoreinfo);
    return mose_dump_file_keep(file, &taken, error);
}

/* The memory is as it was, with the kernel's VMCOREINFO or QEMU's own. */
static void
assert_core(const char *path, const char *info)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseMemory) memory = mose_memory_of_core(path, &error);
    g_autoptr(GArray) vcpus = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(mose_memory_vmcoreinfo(memory), ==, info);
    for (guint i = 0; i < MAKE_CORE_RANGES; i++)
        for (guint64 at = 0; at < make_core_ranges[i].size; at++) {
            guint64 address = make_core_ranges[i].address + at;
            guint8 byte;

            g_assert_true(mose_memory_peek(memory, address, &byte, 1));
            g_assert_cmphex(byte, ==, make_core_byte(address));
        }
    vcpus = mose_memory_vcpus(memory, TRUE, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(vcpus->len, ==, 2);
}

static void
complete(NewSink new_sink, const GByteArray *bytes, const char *info)
{
    static const gsize pieces[] = { 1, 7, 4096, 5000, 1 << 20 };

    for (gsize i = 0; i < G_N_ELEMENTS(pieces); i++) {
        g_autofree char *path = g_build_filename(dir, "core", NULL);
        g_autoptr(GError) error = NULL;

        through(new_sink, bytes, pieces[i], path, &error);
        g_assert_no_error(error);
        assert_core(path, info);
        g_assert_cmpint(unlink(path), ==, 0);
    }
}

static void
test_elf(void)
{
    g_autoptr(GByteArray) core = make_core_elf(&(MakeCore){ .vcpus = 2 });
    g_autoptr(GByteArray) own =
        make_core_elf(&(MakeCore){ .vcpus = 2, .vmcoreinfo = "QEMU=1\n" });

    complete(mose_dump_elf_sink, core, INFO);
    complete(mose_dump_elf_sink, own, "QEMU=1\n");
    /* The names of sections that are no more. */
    g_byte_array_append(core, (const guint8 *)"\0.shstrtab", 11);
    complete(mose_dump_elf_sink, core, INFO);
}

static void
test_kdump(void)
{
    static const guint32 zlib[] = { 1 };
    const MakeCore how = { .vcpus = 2, .packing = zlib, .n_packing = 1 };
    MakeCore with = how;
    g_autoptr(GByteArray) core = make_core_kdump(&how), own = NULL;
    g_autoptr(GByteArray) flat = make_core_flattened(core, 3000), own_flat = NULL;

    complete(mose_dump_kdump_sink, flat, INFO);
    with.vmcoreinfo = "QEMU=1\n";
    own = make_core_kdump(&with);
    own_flat = make_core_flattened(own, 3000);
    complete(mose_dump_kdump_sink, own_flat, "QEMU=1\n");
}

/* crash looks there, not into VMCOREINFO. */
static void
test_phys_base(void)
{
    g_autoptr(GByteArray) core = make_core_kdump(&(MakeCore){ .vcpus = 2 });
    g_autoptr(GByteArray) flat = make_core_flattened(core, 3000);
    g_autofree char *path = g_build_filename(dir, "core", NULL), *bytes = NULL;
    g_autoptr(GError) error = NULL;
    gint64 phys_base;

    g_assert_true(through(mose_dump_kdump_sink, flat, 4096, path, &error));
    g_assert_true(g_file_get_contents(path, &bytes, NULL, NULL));
    memcpy(&phys_base, bytes + 4096, sizeof(phys_base));
    g_assert_cmpint(phys_base, ==, -4096);
    g_assert_cmpint(unlink(path), ==, 0);
}

static void
assert_refused(NewSink new_sink, const GByteArray *bytes, const char *says)
{
    g_autofree char *path = g_build_filename(dir, "core", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_false(through(new_sink, bytes, 777, path, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_QMP);
    if (!strstr(error->message, says))
        g_error("%s, not: %s", error->message, says);
    g_assert_cmpint(g_rmdir(dir), ==, 0); /* it is empty */
    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
}

static void
test_refused(void)
{
    g_autoptr(GByteArray) elf = make_core_elf(&(MakeCore){ .vcpus = 2 });
    g_autoptr(GByteArray) kdump = make_core_kdump(&(MakeCore){ .vcpus = 2 });
    g_autoptr(GByteArray) flat = make_core_flattened(kdump, 3000);

    assert_refused(mose_dump_kdump_sink, kdump, "not flattened");
    g_byte_array_append(flat, (const guint8 *)"x", 1);
    assert_refused(mose_dump_kdump_sink, flat, "behind its end");
    g_byte_array_set_size(flat, flat->len - 2);
    assert_refused(mose_dump_kdump_sink, flat, "no end");
    g_byte_array_set_size(elf, elf->len - 1);
    assert_refused(mose_dump_elf_sink, elf, "size");
    g_byte_array_set_size(elf, 300);
    assert_refused(mose_dump_elf_sink, elf, "within its headers");
}

static MoseDumpFile *
new_file(const char *path, gboolean force)
{
    g_autoptr(GError) error = NULL;
    MoseDumpFile *file = mose_dump_file_new(path, force, &error);

    g_assert_no_error(error);
    return file;
}

/* Holes where there are zeros, zeros where something was. */
static void
test_holes(void)
{
    g_autofree char *path = g_build_filename(dir, "holes", NULL), *bytes = NULL;
    g_autofree guint8 *zeros = g_malloc0(1 << 20);
    g_autoptr(MoseDumpFile) file = new_file(path, FALSE);
    g_autoptr(GError) error = NULL;
    guint64 taken;
    gsize len;

    mose_dump_file_write(file, 0, "begin", 5, &error);
    mose_dump_file_write(file, 2, zeros, 2, &error);
    mose_dump_file_write(file, 4096 + 3, zeros, 1 << 20, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(mose_dump_file_end(file), ==, 4096 + 3 + (1 << 20));
    g_assert_true(mose_dump_file_keep(file, &taken, &error));
    g_assert_cmpuint(taken, <, 1 << 18);
    g_assert_true(g_file_get_contents(path, &bytes, &len, NULL));
    g_assert_cmpuint(len, ==, 4096 + 3 + (1 << 20));
    g_assert_cmpint(memcmp(bytes, "be\0\0n", 5), ==, 0);
    for (gsize i = 5; i < len; i++)
        g_assert_cmphex(bytes[i], ==, 0);
    g_assert_cmpint(unlink(path), ==, 0);
}

static void
test_names(void)
{
    g_autofree char *path = g_build_filename(dir, "name", NULL), *bytes = NULL;
    g_autoptr(GError) error = NULL;
    guint64 taken;
    struct stat st;

    mose_dump_file_free(new_file(path, FALSE));
    g_assert_cmpint(stat(path, &st), ==, -1);
    {
        g_autoptr(MoseDumpFile) file = new_file(path, FALSE);

        /* Somebody else was faster. */
        g_assert_true(g_file_set_contents(path, "theirs", -1, NULL));
        g_assert_false(mose_dump_file_keep(file, &taken, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_FAILED);
        g_clear_error(&error);
    }
    g_assert_null(mose_dump_file_new(path, FALSE, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_null(mose_dump_file_new(dir, TRUE, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_clear_error(&error);
    {
        g_autoptr(MoseDumpFile) file = new_file(path, TRUE);

        g_assert_true(mose_dump_file_write(file, 0, "ours", 4, &error));
        g_assert_true(mose_dump_file_keep(file, &taken, &error));
    }
    g_assert_true(g_file_get_contents(path, &bytes, NULL, NULL));
    g_assert_cmpstr(bytes, ==, "ours");
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
    g_assert_cmpint(st.st_nlink, ==, 1);
    g_assert_cmpint(unlink(path), ==, 0);
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("mose-dump-XXXXXX", NULL);
    g_assert_nonnull(dir);
    g_test_add_func("/dump-file/elf", test_elf);
    g_test_add_func("/dump-file/kdump", test_kdump);
    g_test_add_func("/dump-file/phys-base", test_phys_base);
    g_test_add_func("/dump-file/refused", test_refused);
    g_test_add_func("/dump-file/holes", test_holes);
    g_test_add_func("/dump-file/names", test_names);
    ret = g_test_run();
    g_rmdir(dir);
    g_free(dir);
    return ret;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest RAM: made, refused, laid out as QEMU says, and read. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakeqemu/peer.h"
#include "qemu/ram.h"
#include "util/error.h"
#include "util/fd.h"

/*
 * `info mtree -f` of QEMU 10.0.2, some lines of devices left out. The order of the
 * views is not fixed, and other address spaces show the same RAM.
 */
#define VIEW_SMM(below, above, at)                                                     \
    "FlatView #0\n"                                                                    \
    " AS \"cpu-smm-0\", root: memory\n"                                                \
    " Root memory region: memory\n"                                                    \
    "  0000000000000000-00000000000bffff (prio 0, ram): mose-ram\n"                    \
    "  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\n"                      \
    "  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\n"   \
    "  0000000000100000-" below " (prio 0, ram): mose-ram @0000000000100000\n"         \
    "  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\n"                      \
    "  0000000100000000-" above " (prio 0, ram): mose-ram @" at "\n"                   \
    "\n"
#define VIEW_MEMORY(below, above, at)                                                  \
    "FlatView #3\n"                                                                    \
    " AS \"memory\", root: system\n"                                                   \
    " AS \"cpu-memory-0\", root: system\n"                                             \
    " Root memory region: system\n"                                                    \
    "  0000000000000000-000000000009ffff (prio 0, ram): mose-ram\n"                    \
    "  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\n"                  \
    "  00000000000c0000-00000000000c8fff (prio 1, rom): mose-ram @00000000000c0000\n"  \
    "  00000000000e8000-00000000000effff (prio 1, ram): mose-ram "                     \
    "@00000000000e8000 KVM\n"                                                          \
    "  0000000000100000-" below " (prio 0, ram): mose-ram @0000000000100000\n"         \
    "  00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram\n"                    \
    "  00000000fe000000-00000000fe000fff (prio 1, ram): mose-ram2\n"                   \
    "  0000000100000000-" above " (prio 0, ram): mose-ram @" at "\n"                   \
    "\n"
#define VIEW_IO                                                                        \
    "FlatView #2\n"                                                                    \
    " AS \"I/O\", root: io\n"                                                          \
    " Root memory region: io\n"                                                        \
    "  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan\n"                    \
    "\n"

#define PC_6G "00000000bfffffff", "00000001bfffffff", "00000000c0000000"
#define Q35_6G "000000007fffffff", "00000001ffffffff", "0000000080000000"
#define JOIN(macro, arguments) macro(arguments)

static void
expect_range(GArray *ranges, guint i, guint64 address, guint64 size, guint64 offset)
{
    const MoseRamRange *range = &g_array_index(ranges, MoseRamRange, i);

    g_assert_cmpuint(i, <, ranges->len);
    g_assert_cmphex(range->address, ==, address);
    g_assert_cmphex(range->size, ==, size);
    g_assert_cmphex(range->offset, ==, offset);
}

static void
expect_low(GArray *ranges)
{
    g_assert_cmpuint(ranges->len, ==, 4);
    expect_range(ranges, 0, 0, 0xa0000, 0);
    expect_range(ranges, 1, 0xe8000, 0x8000, 0xe8000);
}

static void
test_layout_pc(void)
{
    g_autoptr(GArray) ranges =
        mose_ram_layout_parse(JOIN(VIEW_SMM, PC_6G) VIEW_IO JOIN(VIEW_MEMORY, PC_6G));

    expect_low(ranges);
    expect_range(ranges, 2, 0x100000, 0xbff00000, 0x100000);
    expect_range(ranges, 3, G_GUINT64_CONSTANT(0x100000000), 0xc0000000, 0xc0000000);
}

static void
test_layout_q35(void)
{
    g_autoptr(GArray) ranges =
        mose_ram_layout_parse(JOIN(VIEW_MEMORY, Q35_6G) VIEW_IO JOIN(VIEW_SMM, Q35_6G));

    expect_low(ranges);
    expect_range(ranges, 2, 0x100000, 0x7ff00000, 0x100000);
    expect_range(ranges, 3, G_GUINT64_CONSTANT(0x100000000),
                 G_GUINT64_CONSTANT(0x100000000), 0x80000000);
}

static void
test_layout_hostile(void)
{
    static const char *const lines[] = {
        "",
        "0",
        "-",
        "0-",
        "ram): mose-ram",
        "0000000000001000-0000000000000fff (prio 0, ram): mose-ram",
        "0000000000000000-ffffffffffffffff (prio 0, ram): mose-ram",
        "0000000000000000-0000000000000fff (prio 0, ram): mose-ramx",
        "0000000000000000-0000000000000fff (prio 0, rom): mose-ram",
        "zz00000000000000-0000000000000fff (prio 0, ram): mose-ram",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *text =
            g_strdup_printf("FlatView #0\n AS \"memory\", root: system\n %s", lines[i]);
        g_autoptr(GArray) ranges = mose_ram_layout_parse(text);

        g_test_message("%s", lines[i]);
        g_assert_cmpuint(ranges->len, ==, 0);
    }
}

/* RAM of 64 KB in two pieces, with a hole and a piece that lies outside. */
static const char small_layout[] =
    "{\"return\": \"FlatView #0\\r\\n AS \\\"memory\\\", root: system\\r\\n"
    "  0000000000000000-0000000000003fff (prio 0, ram): mose-ram\\r\\n"
    "  0000000100000000-000000010000bfff (prio 0, ram): mose-ram "
    "@0000000000004000\\r\\n"
    "  0000000200000000-000000020000ffff (prio 0, ram): mose-ram "
    "@000000000000f000\\r\\n"
    "  0000000300000000-000000030000ffff (prio 0, ram): mose-ram "
    "@ffffffffffff0000\\r\\n\"}\r\n";

static MoseRam *
map(int fd, const char *answer, GError **error)
{
    const FakeStep steps[] = { FAKE_HELLO, { "info mtree -f", answer }, { 0 } };
    g_autoptr(GError) cause = NULL;
    FakePeer *peer;
    MoseQmp *qmp;
    MoseRam *ram;
    int client;

    peer = fake_peer_start(steps, &client);
    qmp = mose_qmp_new(client, "fake", MOSE_QMP_TIMEOUT_MS, &cause);
    g_assert_no_error(cause);
    ram = mose_ram_map(fd, qmp, error);
    mose_qmp_free(qmp);
    fake_peer_finish(peer);
    return ram;
}

static void
test_read(void)
{
    const guint64 high = G_GUINT64_CONSTANT(0x100000000);
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) fd = mose_ram_create("test", 65536, TRUE, &error);
    g_autoptr(MoseRam) ram = NULL;
    char text[8] = "";

    g_assert_no_error(error);
    ram = map(fd, small_layout, &error);
    g_assert_no_error(error);
    g_assert_cmpint(pwrite(fd, "low", 4, 0x3ffc), ==, 4);
    g_assert_cmpint(pwrite(fd, "high", 5, 0x4000), ==, 5);
    g_assert_true(mose_ram_read(ram, 0x3ffc, text, 4));
    g_assert_cmpstr(text, ==, "low");
    g_assert_true(mose_ram_read(ram, high, text, 5));
    g_assert_cmpstr(text, ==, "high");

    /* Across an end, in the hole, outside the memfd, around the end of the world. */
    g_assert_false(mose_ram_read(ram, 0x3ffd, text, 4));
    g_assert_false(mose_ram_read(ram, 0x4000, text, 1));
    g_assert_false(mose_ram_read(ram, high - 1, text, 2));
    g_assert_false(mose_ram_read(ram, high + 0xbfff, text, 2));
    g_assert_true(mose_ram_read(ram, 2 * high + 0xff8, text, 8));
    g_assert_false(mose_ram_read(ram, 2 * high + 0xff9, text, 8));
    g_assert_false(mose_ram_read(ram, 2 * high + 0x1000, text, 1));
    g_assert_false(mose_ram_read(ram, 3 * high, text, 1));
    g_assert_false(mose_ram_read(ram, G_MAXUINT64, text, 1));
    g_assert_false(mose_ram_read(ram, 0, text, G_MAXSIZE));
}

static void
test_map_refused(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) fd = mose_ram_create("test", 4096, TRUE, &error);

    g_assert_null(map(fd, "{\"return\": \"FlatView #0\\r\\n\"}\n", &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_QMP);
    g_assert_cmpstr(error->message, ==, "QEMU's memory tree shows no block mose-ram");
    g_clear_error(&error);
    g_assert_null(map(-1, small_layout, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_FAILED);
    g_assert_true(g_str_has_prefix(error->message, "cannot map the guest's RAM: "));
}

static void
test_create(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) fd = mose_ram_create("test", 4 << 20, FALSE, &error);
    struct stat st;

    g_assert_no_error(error);
    g_assert_cmpint(fstat(fd, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 4 << 20);
    g_assert_cmpint(st.st_blocks, ==, 0);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
}

static void
test_no_room(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    guint64 left = mose_ram_available();

    g_assert_cmpuint(left, >, 0);
    g_assert_cmpint(mose_ram_create("test", G_GUINT64_CONSTANT(1) << 50, FALSE, &error),
                    ==, -1);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES);
    g_assert_true(g_str_has_prefix(
        error->message, "no room for 1073741824 MB of guest RAM: this host has "));
    g_assert_true(g_str_has_suffix(error->message, " MB left"));
    g_clear_error(&error);
    /* Asked for explicitly, it is there, and takes nothing until it is used. */
    fd = mose_ram_create("test", G_GUINT64_CONSTANT(1) << 40, TRUE, &error);
    g_assert_no_error(error);
    g_assert_cmpint(fd, >=, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ram/layout-pc", test_layout_pc);
    g_test_add_func("/ram/layout-q35", test_layout_q35);
    g_test_add_func("/ram/layout-hostile", test_layout_hostile);
    g_test_add_func("/ram/read", test_read);
    g_test_add_func("/ram/map-refused", test_map_refused);
    g_test_add_func("/ram/create", test_create);
    g_test_add_func("/ram/no-room", test_no_room);
    return g_test_run();
}

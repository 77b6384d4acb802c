/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions in words, and page tables entry by entry. */
#include "vmi/disassemble.h"

#include <string.h>

#include "lib/vmi-world.h"
#include "vmi/page-path.h"

/* --- instructions --- */

typedef struct {
    GString *text;
    guint64 target;
} Heard;

static void
hear(const MoseInstruction *one, gpointer data)
{
    Heard *heard = data;

    g_string_append_printf(heard->text, "%" G_GINT64_MODIFIER "x/%u %s%s\n",
                           one->address, one->size, one->text, one->known ? "" : " !");
    if (one->has_target)
        heard->target = one->target;
}

static void
check(guint bits, guint64 address, const char *bytes, gsize len, gsize wanted,
      const char *expected, guint64 target, gsize done)
{
    Heard heard = { g_string_new(NULL), 0 };
    g_autoptr(GError) error = NULL;
    gsize told;

    g_assert_true(mose_disassemble(bits, address, (const guint8 *)bytes, len, wanted,
                                   hear, &heard, &told, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(heard.text->str, ==, expected);
    g_assert_cmphex(heard.target, ==, target);
    g_assert_cmpuint(told, ==, done);
    g_string_free(heard.text, TRUE);
}

static void
test_bits(void)
{
    /* The same bytes mean other things. */
    static const char inc[] = "\x48\xff\xc0\x90";
    static const char jump[] = "\xeb\xfe\x90";

    check(64, 0xffffffff81000000, inc, 4, 4,
          "ffffffff81000000/3 inc rax\nffffffff81000003/1 nop\n", 0, 4);
    check(32, 0x1000, inc, 4, 4, "1000/1 dec eax\n1001/2 inc eax\n1003/1 nop\n", 0, 4);
    check(16, 0x7c00, inc, 4, 4, "7c00/1 dec ax\n7c01/2 inc ax\n7c03/1 nop\n", 0, 4);
    check(16, 0x7c00, jump, 3, 1, "7c00/2 jmp 0x7c00\n", 0x7c00, 2);
}

static void
test_targets(void)
{
    check(64, 0xffffffff81000000, "\xe8\xfb\xff\xff\xff", 5, 5,
          "ffffffff81000000/5 call 0xffffffff81000000\n", 0xffffffff81000000, 5);
    check(64, 0x400000, "\x48\x8b\x05\x10\x00\x00\x00", 7, 7,
          "400000/7 mov rax, qword ptr [rip + 0x10]\n", 0x400017, 7);
    check(64, 0x400000, "\x0f\x84\x00\x01\x00\x00", 6, 6, "400000/6 je 0x400106\n",
          0x400106, 6);
}

/* What is no instruction is told byte by byte; what may go on behind the end is not. */
static void
test_unknown(void)
{
    char bytes[20] = "\x06\x90";

    memset(bytes + 2, 0x90, sizeof(bytes) - 2);
    check(64, 0, bytes, sizeof(bytes), 3, "0/1 .byte 0x06 !\n1/1 nop\n2/1 nop\n", 0, 3);
    check(64, 0, "\x90\x48\x8b", 3, 3, "0/1 nop\n", 0, 1);
    check(64, 0, "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10, 1,
          "0/10 movabs rax, 0x807060504030201\n", 0, 10);
    check(64, 0, "", 0, 0, "", 0, 0);
}

/* --- page tables --- */

#define KERNEL G_GUINT64_CONSTANT(0xffff888000000000)

static void
test_path(void)
{
    g_autoptr(VmiWorld) world = vmi_world_new(1 << 20);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    g_autoptr(MoseSpace) space = NULL;
    g_autofree char *flags = NULL;
    MosePagePath path;

    vmi_world_map(world, KERNEL, 0x3000, 0x2000);
    space = mose_space_new(memory, &world->vcpu.paging);
    mose_page_path(space, KERNEL + 0x1234, &path);
    g_assert_null(path.why);
    g_assert_cmpint(path.levels, ==, 4);
    g_assert_cmpuint(path.n, ==, 4);
    g_assert_cmphex(path.walk.physical, ==, 0x4234);
    for (guint i = 0; i < path.n; i++) {
        guint64 there;

        g_assert_cmpint(path.steps[i].level, ==, 4 - (int)i);
        g_assert_cmpuint(mose_page_size(&path.steps[i], 4), ==, i == 3 ? 4096 : 0);
        memcpy(&there, world->ram + path.steps[i].at, 8);
        g_assert_cmphex(path.steps[i].entry, ==, there);
    }
    flags = mose_page_flags(&path.steps[3], 4);
    g_assert_true(g_str_has_prefix(flags, "P RW"));
}

static void
test_holes(void)
{
    g_autoptr(VmiWorld) world = vmi_world_new(1 << 20);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    g_autoptr(MoseSpace) space = NULL;
    g_autofree char *flags = NULL;
    MosePagePath path;

    vmi_world_map(world, KERNEL, 0x3000, 0x1000);
    vmi_world_set_entry(world, KERNEL, 0x1234000);
    space = mose_space_new(memory, &world->vcpu.paging);
    mose_page_path(space, KERNEL, &path);
    g_assert_cmpstr(path.why, ==, "not mapped");
    g_assert_cmpuint(path.n, ==, 4);
    flags = mose_page_flags(&path.steps[3], 4);
    g_assert_cmpstr(flags, ==, "not present");
    /* A table that is nowhere. */
    mose_page_path(space, G_GUINT64_CONSTANT(0x1234567890), &path);
    g_assert_cmpuint(path.n, <, 4);
    mose_page_path(space, G_GUINT64_CONSTANT(0x8000000000000000), &path);
    g_assert_false(path.canonical);
    g_assert_cmpstr(path.why, ==, "the address is not canonical");
    g_assert_cmpuint(path.n, ==, 0);
}

/* Large pages, by the two formats of entries. */
static void
test_sizes(void)
{
    const MosePageStep huge = { 2, 0, 0x83, 8, TRUE }, giant = { 3, 0, 0x83, 8, TRUE };
    const MosePageStep four = { 2, 0, 0x83, 4, TRUE }, top = { 4, 0, 0x83, 8, TRUE };
    const MosePageStep none = { 1, 0, 0x82, 8, TRUE }, pae = { 3, 0, 0x81, 8, TRUE };

    g_assert_cmpuint(mose_page_size(&huge, 4), ==, 2 << 20);
    g_assert_cmpuint(mose_page_size(&giant, 4), ==, 1 << 30);
    g_assert_cmpuint(mose_page_size(&four, 2), ==, 4 << 20);
    g_assert_cmpuint(mose_page_size(&huge, 3), ==, 2 << 20);
    g_assert_cmpuint(mose_page_size(&pae, 3), ==, 0);
    g_assert_cmpuint(mose_page_size(&top, 4), ==, 0);
    g_assert_cmpuint(mose_page_size(&none, 4), ==, 0);
}

/* Without paging an address is what it is. */
static void
test_real(void)
{
    g_autoptr(VmiWorld) world = vmi_world_new(1 << 20);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    const MosePaging off = { 0 };
    g_autoptr(MoseSpace) space = mose_space_new(memory, &off);
    MosePagePath path;

    mose_page_path(space, 0x7c00, &path);
    g_assert_null(path.why);
    g_assert_cmpint(path.levels, ==, 0);
    g_assert_cmpuint(path.n, ==, 0);
    g_assert_cmphex(path.walk.physical, ==, 0x7c00);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/disassemble/bits", test_bits);
    g_test_add_func("/disassemble/targets", test_targets);
    g_test_add_func("/disassemble/unknown", test_unknown);
    g_test_add_func("/page-path/path", test_path);
    g_test_add_func("/page-path/holes", test_holes);
    g_test_add_func("/page-path/sizes", test_sizes);
    g_test_add_func("/page-path/real", test_real);
    return g_test_run();
}

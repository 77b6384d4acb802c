/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What looking into a guest stands on: registers, address spaces, lists that change. */
#include <string.h>

#include "lib/vmi-world.h"
#include "util/error.h"
#include "vmi/linux/image.h"
#include "vmi/linux/linux.h"

#define KERNEL G_GUINT64_CONSTANT(0xffff888000000000)
enum { RAM = 1 << 20, PAGE = 4096 };

/* --- registers --- */

static const char two_vcpus[] =
    "\nCPU#0\n"
    "RAX=0000000000000001 RBX=0000000000000002 RCX=0000000000000003 "
    "RDX=0000000000000004\n"
    "RSI=0000000000000005 RDI=0000000000000006 RBP=0000000000000007 "
    "RSP=ffffa00000003e58\n"
    "R8 =0000000000000008 R9 =0000000000000009 R10=000000000000000a "
    "R11=000000000000000b\n"
    "R12=000000000000000c R13=000000000000000d R14=000000000000000e "
    "R15=000000000000000f\n"
    "RIP=ffffffff81a5e0db RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\n"
    "ES =0000 0000000000000000 ffffffff 00c00000\n"
    "CS =0010 0000000000000000 ffffffff 00a09b00 DPL=0 CS64 [-RA]\n"
    "SS =0018 0000000000000000 ffffffff 00c09300 DPL=0 DS   [-WA]\n"
    "DS =0000 0000000000000000 ffffffff 00c00000\n"
    "FS =0000 00007f1111111111 ffffffff 00c00000\n"
    "GS =0000 ffff88800f600000 ffffffff 00c00000\n"
    "LDT=0000 0000000000000000 ffffffff 00c00000\n"
    "TR =0040 fffffe0000003000 00004087 00008b00 DPL=0 TSS64-busy\n"
    "GDT=     fffffe0000001000 0000007f\n"
    "IDT=     fffffe0000000000 00000fff\n"
    "CR0=80050033 CR2=00007f2222222222 CR3=0000000002a0a000 CR4=000006f0\n"
    "DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 "
    "DR3=0000000000000000\n"
    "DR6=00000000ffff0ff0 DR7=0000000000000400\n"
    "EFER=0000000000000d01\n"
    "\nCPU#1\n"
    "EAX=00000011 EBX=00000012 ECX=00000013 EDX=00060fb1\n"
    "ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000014\n"
    "EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\n"
    "ES =0000 00000000 0000ffff 00009300\n"
    "CS =f000 ffff0000 0000ffff 00009b00\n"
    "SS =0000 00000000 0000ffff 00009300\n"
    "DS =0000 00000000 0000ffff 00009300\n"
    "FS =0000 00000000 0000ffff 00009300\n"
    "GS =0000 00000000 0000ffff 00009300\n"
    "LDT=0000 00000000 0000ffff 00008200\n"
    "TR =0000 00000000 0000ffff 00008b00\n"
    "GDT=     00000000 0000ffff\n"
    "IDT=     00000000 0000ffff\n"
    "CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000\n"
    "DR6=00000000ffff0ff0 DR7=0000000000000400\n"
    "EFER=0000000000000000\n";

static void
test_registers(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) vcpus = mose_vcpus_parse(two_vcpus, &error);
    const MoseVcpu *first, *second;

    g_assert_no_error(error);
    g_assert_cmpuint(vcpus->len, ==, 2);
    first = &g_array_index(vcpus, MoseVcpu, 0);
    second = &g_array_index(vcpus, MoseVcpu, 1);
    for (guint i = 0; i < MOSE_N_GENERAL; i++)
        g_assert_cmphex(first->general[i], ==,
                        i == MOSE_RSP   ? 0xffffa00000003e58
                        : i >= MOSE_R8  ? i
                        : i == MOSE_RSI ? 5
                        : i == MOSE_RDI ? 6
                        : i == MOSE_RBP ? 7
                                        : i + 1);
    g_assert_cmphex(first->rip, ==, 0xffffffff81a5e0db);
    g_assert_cmphex(first->fs_base, ==, 0x7f1111111111);
    g_assert_cmphex(first->gs_base, ==, 0xffff88800f600000);
    g_assert_cmphex(first->idt_base, ==, 0xfffffe0000000000);
    g_assert_cmphex(first->idt_limit, ==, 0xfff);
    g_assert_cmphex(first->cr2, ==, 0x7f2222222222);
    g_assert_true(first->halted);
    g_assert_cmpint(mose_paging_levels(&first->paging), ==, 4);

    g_assert_cmpuint(second->index, ==, 1);
    g_assert_cmphex(second->rip, ==, 0xfff0);
    g_assert_cmphex(second->general[MOSE_RSP], ==, 0x14);
    g_assert_cmphex(second->cs, ==, 0xf000);
    g_assert_false(second->halted);
    g_assert_cmpint(mose_paging_levels(&second->paging), ==, 0);
}

static void
test_no_registers(void)
{
    static const char *const lost[] = { "RIP=", "CR3=", "EFER=", "RBX=", "IDT=" };
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_vcpus_parse("no such thing", &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_QMP);
    for (gsize i = 0; i < G_N_ELEMENTS(lost); i++) {
        g_autofree char *text = g_strdup(two_vcpus);
        g_autoptr(GError) cause = NULL;

        *strstr(text, lost[i]) = '-';
        g_assert_null(mose_vcpus_parse(text, &cause));
        g_assert_error(cause, MOSE_ERROR, MOSE_ERROR_QMP);
        g_assert_nonnull(strstr(cause->message, i == 3 ? "rbx" : lost[i]));
    }
}

/* --- address spaces --- */

static void
test_read(void)
{
    g_autoptr(VmiWorld) world = vmi_world_new(RAM);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    g_autoptr(MoseSpace) space = mose_space_new(memory, &world->vcpu.paging);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    char bytes[PAGE + 16];
    guint64 value;
    gsize got;

    /* Two pages that are neighbours by their tables alone. */
    vmi_world_map(world, KERNEL, 0x8000, PAGE);
    vmi_world_map(world, KERNEL + PAGE, 0x3000, PAGE);
    vmi_world_write(world, KERNEL + PAGE - 4, "over the end", 13);
    text = mose_space_read_text(space, KERNEL + PAGE - 4, 100, &error);
    g_assert_cmpstr(text, ==, "over the end");
    vmi_world_put(world, KERNEL + PAGE - 3, 0x1122334455667788, 8);
    g_assert_true(mose_space_read_number(space, KERNEL + PAGE - 3, 8, &value, &error));
    g_assert_cmphex(value, ==, 0x1122334455667788);

    g_assert_false(
        mose_space_read(space, KERNEL + PAGE - 8, bytes, sizeof(bytes), &got, &error));
    g_assert_cmpuint(got, ==, PAGE + 8);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "0xffff888000002000 cannot be read"));
}

/* Tables that lead nowhere, into themselves, or out of RAM. */
static void
test_broken_tables(void)
{
    g_autoptr(VmiWorld) world = vmi_world_new(RAM);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    g_autoptr(MoseSpace) space = mose_space_new(memory, &world->vcpu.paging);
    g_autoptr(GError) error = NULL;
    guint64 *top = (guint64 *)(world->ram + world->vcpu.paging.cr3), value;
    guint before = world->reads;

    top[511] = world->vcpu.paging.cr3 | 3;
    top[510] = ((guint64)1 << 40) | 3;
    g_assert_true(mose_space_read_number(space, G_MAXUINT64 - 7, 8, &value, NULL));
    g_assert_cmpuint(world->reads - before, ==, 5);
    g_assert_false(
        mose_space_read_number(space, 0xffffff0000000000, 8, &value, &error));
    g_assert_nonnull(strstr(error->message, "its page table is not in RAM"));
    g_clear_error(&error);
    g_assert_false(
        mose_space_read_number(space, 0x0000900000000000, 8, &value, &error));
    g_assert_nonnull(strstr(error->message, "not mapped"));
}

static void
test_not_present(void)
{
    g_autoptr(VmiWorld) world = vmi_world_new(RAM);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    MoseLinux kernel = { .memory = memory };
    g_autoptr(MoseSpace) user = NULL;
    g_autoptr(GError) error = NULL;
    guint64 value;

    /* The tables are mapped for the kernel, as a task's are. */
    kernel.space = mose_space_new(memory, &world->vcpu.paging);
    vmi_world_map(world, KERNEL, world->vcpu.paging.cr3, PAGE);
    user = mose_linux_user_space(&kernel, KERNEL, &error);
    g_assert_no_error(error);

    vmi_world_map(world, 0x400000, 0x5000, PAGE);
    vmi_world_put(world, 0x400010, 4711, 8);
    /* PROT_NONE: not present, global, all address bits inverted. */
    vmi_world_set_entry(world, 0x400000,
                        1u << 8 | (~G_GUINT64_CONSTANT(0x5000) & 0xffffffffff000));
    g_assert_true(mose_space_read_number(user, 0x400010, 8, &value, &error));
    g_assert_cmpuint(value, ==, 4711);
    vmi_world_set_entry(world, 0x401000, (guint64)3 << 59 | 0x200);
    g_assert_false(mose_space_read_number(user, 0x401000, 8, &value, &error));
    g_assert_nonnull(strstr(error->message, "swapped out"));
    mose_space_free(kernel.space);
}

static void
test_printable(void)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        { "plain \303\266", "plain \303\266" },
        { "\033[31mred", "\\x1b[31mred" },
        { "back\\slash\n", "back\\x5cslash\\x0a" },
        { "\377\303", "\\xff\\xc3" },
        { "", "" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got = mose_vmi_printable(cases[i].text);

        g_assert_cmpstr(got, ==, cases[i].printed);
    }
}

/* --- lists --- */

typedef struct {
    VmiWorld *world;
    MoseMemory *memory;
    MoseLinux kernel;
    guint seen;
} Lists;

enum { ENTRY = 64, LINK = 16, N_ENTRIES = 5 };

static guint64
link_of(guint i)
{
    return KERNEL + i * ENTRY + LINK;
}

/* Entry 0 is the head. */
static void
link_up(VmiWorld *world, guint n)
{
    for (guint i = 0; i < n; i++) {
        vmi_world_put(world, link_of(i), link_of((i + 1) % n), 8);
        vmi_world_put(world, link_of(i) + 8, link_of((i + n - 1) % n), 8);
    }
}

static void
lists_open(Lists *lists)
{
    *lists = (Lists){ .world = vmi_world_new(RAM) };
    lists->memory = vmi_world_memory(lists->world);
    lists->kernel.memory = lists->memory;
    lists->kernel.space = mose_space_new(lists->memory, &lists->world->vcpu.paging);
    vmi_world_map(lists->world, KERNEL, 0x8000, PAGE);
    link_up(lists->world, N_ENTRIES);
}

static void
lists_close(Lists *lists)
{
    mose_space_free(lists->kernel.space);
    mose_memory_free(lists->memory);
    vmi_world_free(lists->world);
}

static gboolean
count_entry(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    Lists *lists = data;

    g_assert_cmphex(entry, ==, link_of(++lists->seen) - LINK);
    return TRUE;
}

static gboolean
walk(MoseLinux *kernel, gpointer data, GError **error)
{
    Lists *lists = data;

    lists->seen = 0;
    return mose_list_walk(kernel, link_of(0), LINK, 100, count_entry, lists, error);
}

static void
test_list(void)
{
    Lists lists;
    g_autoptr(GError) error = NULL;
    guint retries;

    lists_open(&lists);
    g_assert_true(mose_linux_retry(&lists.kernel, walk, &lists, &retries, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(lists.seen, ==, N_ENTRIES - 1);
    g_assert_cmpuint(retries, ==, 0);
    lists_close(&lists);
}

/* The guest takes the last entry out, and then leaves the list alone. */
static void
unlink_last(gpointer data, guint n)
{
    VmiWorld *world = data;

    if (n == 8)
        link_up(world, N_ENTRIES - 1);
}

static void
test_changing(void)
{
    Lists lists;
    g_autoptr(GError) error = NULL;
    guint retries;

    lists_open(&lists);
    lists.world->before_read = unlink_last;
    lists.world->data = lists.world;
    lists.world->reads = 0;
    g_assert_true(mose_linux_retry(&lists.kernel, walk, &lists, &retries, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(retries, ==, 1);
    g_assert_cmpuint(lists.seen, ==, N_ENTRIES - 2);
    lists_close(&lists);
}

/* One that never agrees with itself, and one without an end. */
static void
test_hostile(void)
{
    Lists lists;
    g_autoptr(GError) error = NULL;
    guint retries;

    lists_open(&lists);
    vmi_world_put(lists.world, link_of(3) + 8, link_of(1), 8);
    g_assert_false(mose_linux_retry(&lists.kernel, walk, &lists, &retries, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
    g_assert_nonnull(strstr(error->message, "after 20 tries"));
    g_clear_error(&error);

    link_up(lists.world, N_ENTRIES);
    lists.seen = 0;
    g_assert_false(mose_list_walk(&lists.kernel, link_of(0), LINK, 3, count_entry,
                                  &lists, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    lists_close(&lists);
}

/* The head's chain through @n nodes, which ends by the value @nulls. */
static void
chain_up(VmiWorld *world, guint n, guint64 nulls)
{
    for (guint i = 0; i <= n; i++) {
        vmi_world_put(world, link_of(i), i < n ? link_of(i + 1) : nulls << 1 | 1, 8);
        if (i > 0)
            vmi_world_put(world, link_of(i) + 8, link_of(i - 1), 8);
    }
}

static gboolean
walk_nulls(Lists *lists, GError **error)
{
    lists->seen = 0;
    return mose_hlist_nulls_walk(&lists->kernel, link_of(0), LINK, 7, 100, count_entry,
                                 lists, error);
}

static void
test_nulls(void)
{
    Lists lists;
    g_autoptr(GError) error = NULL;

    lists_open(&lists);
    chain_up(lists.world, 0, 7);
    g_assert_true(walk_nulls(&lists, &error));
    g_assert_cmpuint(lists.seen, ==, 0);
    chain_up(lists.world, 3, 7);
    g_assert_true(walk_nulls(&lists, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(lists.seen, ==, 3);
    chain_up(lists.world, 3, 8);
    g_assert_false(walk_nulls(&lists, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
    g_clear_error(&error);
    chain_up(lists.world, 3, 7);
    vmi_world_put(lists.world, link_of(2) + 8, link_of(0), 8);
    g_assert_false(walk_nulls(&lists, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
    lists_close(&lists);
}

enum { IMAGE_PAGES = 16, READS_A_PAGE = 5 };

typedef struct {
    VmiWorld *world;
    guint when; /* which read */
} Drop;

/* The task whose tables they are ends, and they are used for something else. */
static void
drop_tables(gpointer data, guint n)
{
    const Drop *drop = data;

    if (n == drop->when)
        memset(drop->world->ram + drop->world->vcpu.paging.cr3, 0, PAGE);
}

/* Behind a hole up to the last address there is nothing more. */
static void
test_image_gone(void)
{
    g_autoptr(VmiWorld) world = vmi_world_new(RAM);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    g_autoptr(MoseSpace) space = mose_space_new(memory, &world->vcpu.paging);
    Drop drop = { .world = world };
    g_autofree guint8 *whole = NULL, *half = NULL;
    gsize size;

    vmi_world_map(world, MOSE_LINUX_IMAGE, 0, IMAGE_PAGES * PAGE);
    memset(world->ram, 0xaa, IMAGE_PAGES * PAGE);
    world->reads = 0;
    whole = mose_linux_image_copy(space, MOSE_LINUX_IMAGE, &size);
    g_assert_cmpuint(size, ==, IMAGE_PAGES * PAGE);
    g_assert_cmpuint(whole[size - 1], ==, 0xaa);

    drop.when = world->reads - IMAGE_PAGES * READS_A_PAGE / 2;
    world->reads = 0;
    world->before_read = drop_tables;
    world->data = &drop;
    half = mose_linux_image_copy(space, MOSE_LINUX_IMAGE, &size);
    g_assert_cmpuint(size, ==, IMAGE_PAGES * PAGE);
    g_assert_cmpuint(half[0], ==, 0xaa);
    g_assert_cmpuint(half[size - 1], ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmi/registers", test_registers);
    g_test_add_func("/vmi/no-registers", test_no_registers);
    g_test_add_func("/vmi/read", test_read);
    g_test_add_func("/vmi/broken-tables", test_broken_tables);
    g_test_add_func("/vmi/not-present", test_not_present);
    g_test_add_func("/vmi/printable", test_printable);
    g_test_add_func("/vmi/list", test_list);
    g_test_add_func("/vmi/changing", test_changing);
    g_test_add_func("/vmi/hostile", test_hostile);
    g_test_add_func("/vmi/nulls", test_nulls);
    g_test_add_func("/vmi/image-gone", test_image_gone);
    return g_test_run();
}

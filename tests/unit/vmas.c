/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings of a kernel before 6.1, in a red-black tree, which no guest of the tests
 * has; walks of such trees, whole, broken and changing; and pages of each sort.
 */
#include <bpf/btf.h>
#include <string.h>

#include "lib/vmi-world.h"
#include "util/error.h"
#include "vmi/linux/vmas.h"

#define KERNEL G_GUINT64_CONSTANT(0xffff888000000000)
#define AT(offset) (KERNEL + (offset))
enum { RAM = 1 << 20, MAPPED = 256 << 10, PAGE = 4096, VMA = 128, VM_RB = 16 };

/* Where things are. */
enum {
    NAMESPACE = 0x100,
    TASK = 0x200,
    FS = 0x300,
    MM = 0x400,
    TREE = MM, /* mm_rb */
    NAME = 0x500,
    N_SWAPS = 0x600,
    ZERO = PAGE,
    VMAS = 0x10000,
};

typedef struct {
    VmiWorld *world;
    MoseLinux kernel;
} World;

/* --- types --- */

typedef struct {
    const char *name;
    guint offset;
} Field;

/* All members are numbers of eight bytes. */
static void
add_struct(struct btf *btf, const char *name, guint size, const Field *fields)
{
    g_assert_cmpint(btf__add_struct(btf, name, size), >, 0);
    for (; fields->name; fields++)
        g_assert_cmpint(btf__add_field(btf, fields->name, 1, fields->offset * 8, 0), ==,
                        0);
}

#define STRUCT(name, size, ...)                                                        \
    add_struct(btf, name, size, (const Field[]){ __VA_ARGS__, { NULL } })

static MoseTypes *
make_types(void)
{
    struct btf *btf = btf__new_empty();
    MoseTypes *types;
    const void *bytes;
    guint32 size;

    g_assert_cmpint(btf__add_int(btf, "long unsigned int", 8, 0), ==, 1);
    STRUCT("mm_struct", 64, { "mm_rb", 0 }, { "pgd", 8 }, { "brk", 16 },
           { "start_brk", 24 }, { "start_stack", 32 });
    STRUCT("vm_area_struct", VMA, { "vm_start", 0 }, { "vm_end", 8 },
           { "vm_rb", VM_RB }, { "vm_flags", 40 }, { "vm_pgoff", 48 },
           { "vm_file", 56 }, { "vm_ops", 64 }, { "vm_private_data", 72 },
           { "shared", 80 }, { "anon_name", 80 });
    STRUCT("anon_vma_name", 16, { "name", 4 });
    STRUCT("inode", 16, { "i_ctime", 8 });
    STRUCT("pid_namespace", 16, { "child_reaper", 8 });
    STRUCT("task_struct", 16, { "fs", 8 });
    STRUCT("fs_struct", 48, { "root", 16 }, { "pwd", 32 });
    STRUCT("path", 16, { "mnt", 0 }, { "dentry", 8 });
    bytes = btf__raw_data(btf, &size);
    types = mose_types_new(bytes, size, NULL, NULL);
    btf__free(btf);
    g_assert_nonnull(types);
    return types;
}

static void
world_init(World *w)
{
    static const struct {
        const char *name;
        guint64 at;
    } symbols[] = { { "init_pid_ns", AT(NAMESPACE) },
                    { "empty_zero_page", AT(ZERO) },
                    { "nr_swapfiles", AT(N_SWAPS) } };

    *w = (World){ .world = vmi_world_new(RAM) };
    vmi_world_map(w->world, KERNEL, 0, MAPPED);
    w->kernel.release = (char *)"5.10";
    w->kernel.memory = vmi_world_memory(w->world);
    w->kernel.space = mose_space_new(w->kernel.memory, &w->world->vcpu.paging);
    w->kernel.types = make_types();
    w->kernel.symbols = mose_symbols_new();
    for (guint i = 0; i < G_N_ELEMENTS(symbols); i++)
        mose_symbols_add(w->kernel.symbols, symbols[i].at, 'D', symbols[i].name, -1,
                         NULL, 0);
    mose_symbols_finish(w->kernel.symbols);
    vmi_world_put(w->world, AT(NAMESPACE + 8), AT(TASK), 8);
    vmi_world_put(w->world, AT(TASK + 8), AT(FS), 8);
}

static void
world_clear(World *w)
{
    mose_members_free(w->kernel.members);
    mose_symbols_free(w->kernel.symbols);
    mose_types_free(w->kernel.types);
    mose_space_free(w->kernel.space);
    mose_memory_free(w->kernel.memory);
    vmi_world_free(w->world);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

/* --- red-black trees --- */

static guint64
vma_at(guint n)
{
    return AT(VMAS) + (guint64)n * VMA;
}

static guint64
node_at(guint n)
{
    return vma_at(n) + VM_RB;
}

/* Entries @first to @end - 1, the middle one on top; the address of that one's node. */
static guint64
put_tree(World *w, guint first, guint end, guint64 parent)
{
    guint middle = first + (end - first) / 2;
    guint64 node = node_at(middle);

    if (first == end)
        return 0;
    /* Bit 0 is the colour: black. */
    vmi_world_put(w->world, node, parent | (middle & 1), 8);
    vmi_world_put(w->world, node + 8, put_tree(w, middle + 1, end, node), 8);
    vmi_world_put(w->world, node + 16, put_tree(w, first, middle, node), 8);
    return node;
}

static void
make_tree(World *w, guint n)
{
    world_init(w);
    vmi_world_put(w->world, AT(TREE), put_tree(w, 0, n, 0), 8);
}

/* --- mappings --- */

static void
put_vma(World *w, guint n, guint64 start, guint64 end, guint64 flags)
{
    vmi_world_put(w->world, vma_at(n), start, 8);
    vmi_world_put(w->world, vma_at(n) + 8, end, 8);
    vmi_world_put(w->world, vma_at(n) + 40, flags, 8);
}

static const char *
name_of(const GPtrArray *vmas, guint n)
{
    return ((const MoseVma *)vmas->pdata[n])->name;
}

static const MoseTask task = { .address = AT(TASK), .pid = 1, .mm = AT(MM) };

static void
test_vmas(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) vmas = NULL;
    g_auto(World) w = { 0 };
    const MoseVma *first;

    make_tree(&w, 4);
    put_vma(&w, 0, 0x1000, 0x3000, 5);
    /* Until 6.5 what ends where the heap begins is it, too. */
    put_vma(&w, 1, 0x5000, 0x8000, 3);
    put_vma(&w, 2, 0x20000, 0x21000, 3);
    put_vma(&w, 3, 0x70000, 0x80000, 0x103);
    vmi_world_put(w.world, AT(MM + 16), 0x9000, 8);  /* brk */
    vmi_world_put(w.world, AT(MM + 24), 0x8000, 8);  /* start_brk */
    vmi_world_put(w.world, AT(MM + 32), 0x7ff00, 8); /* start_stack */
    vmi_world_put(w.world, vma_at(2) + 80, AT(NAME), 8);
    vmi_world_write(w.world, AT(NAME + 4), "a \033name", 8);
    vmas = mose_vmas_read(&w.kernel, &task, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(vmas->len, ==, 4);
    first = vmas->pdata[0];
    g_assert_cmphex(first->start, ==, 0x1000);
    g_assert_cmphex(first->end, ==, 0x3000);
    g_assert_cmphex(first->flags, ==, 5);
    g_assert_cmpstr(first->name, ==, "");
    g_assert_cmpstr(name_of(vmas, 1), ==, "[heap]");
    g_assert_cmpstr(name_of(vmas, 2), ==, "[anon:a \\x1bname]");
    g_assert_cmpstr(name_of(vmas, 3), ==, "[stack]");
}

static void
test_order_of_vmas(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(World) w = { 0 };

    make_tree(&w, 2);
    put_vma(&w, 0, 0x1000, 0x3000, 5);
    put_vma(&w, 1, 0x2000, 0x4000, 5);
    g_assert_null(mose_vmas_read(&w.kernel, &task, NULL, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
    g_assert_nonnull(strstr(error->message, "not in order"));
}

static void
test_no_memory(void)
{
    const MoseTask thread = { .address = AT(TASK),
                              .pid = 2,
                              .comm = (char *)"kthread" };
    g_autoptr(GError) error = NULL;
    g_auto(World) w = { 0 };

    world_init(&w);
    g_assert_null(mose_vmas_read(&w.kernel, &thread, NULL, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

/* --- pages --- */

#define ENTRY_PROT_NONE (1u << 8)
#define ADDRESS G_GUINT64_CONSTANT(0x000ffffffffff000)

static void
test_pages(void)
{
    const MoseVma vma = { .start = 0x400000, .end = 0x410000 };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseSpace) space = NULL;
    g_auto(World) w = { 0 };
    MoseVmaPages pages;

    world_init(&w);
    vmi_world_put(w.world, AT(N_SWAPS), 2, 4);
    vmi_world_map(w.world, 0x400000, 0x8000, 3 * PAGE);
    vmi_world_map(w.world, 0x404000, ZERO, PAGE);
    vmi_world_set_entry(w.world, 0x406000,
                        (~(guint64)0x8000 & ADDRESS) | ENTRY_PROT_NONE);
    /* Swap devices 0 and 1; a page that is being moved (include/linux/swap.h). */
    vmi_world_set_entry(w.world, 0x408000, 0x1ffe00 & ~(guint64)ENTRY_PROT_NONE);
    vmi_world_set_entry(w.world, 0x409000, (guint64)1 << 59 | 0x200000);
    vmi_world_set_entry(w.world, 0x40a000, (guint64)30 << 59 | 0x200000);
    /* Behind it: not its own. */
    vmi_world_map(w.world, 0x410000, 0x8000, PAGE);
    vmi_world_map(w.world, AT(MAPPED), w.world->vcpu.paging.cr3, PAGE);
    space = mose_linux_user_space(&w.kernel, AT(MAPPED), &error);
    g_assert_no_error(error);
    g_assert_true(mose_vma_pages(&w.kernel, space, &vma, &pages, &error));
    g_assert_cmpuint(pages.present, ==, 4 * PAGE);
    g_assert_cmpuint(pages.zero, ==, PAGE);
    g_assert_cmpuint(pages.swapped, ==, 2 * PAGE);
    g_assert_cmpuint(pages.other, ==, PAGE);
}

/* Bits that have not moved; and one that is not known without its name. */
static void
test_flags(void)
{
    g_autofree char *text = NULL;
    g_auto(World) w = { 0 };

    world_init(&w);
    text = mose_vma_flags_text(&w.kernel, 0x100073 | G_GUINT64_CONSTANT(0xf) << 32 |
                                              G_GUINT64_CONSTANT(1) << 41);
    g_assert_cmpstr(text, ==, "rd wr mr mw me ac ??");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmas/rbtree", test_vmas);
    g_test_add_func("/vmas/order", test_order_of_vmas);
    g_test_add_func("/vmas/no-memory", test_no_memory);
    g_test_add_func("/vmas/pages", test_pages);
    g_test_add_func("/vmas/flags", test_flags);
    return g_test_run();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page tables of each kind, in memory made for them, and what a guest may put there. */
#include <string.h>

#include "lib/rule-world.h"
#include "stream/rules/paging.h"

enum { PAGE = 4096, RAM = 16 * PAGE };
#define PG (G_GUINT64_CONSTANT(1) << 31)
#define PSE (1u << 4)
#define PAE (1u << 5)
#define LA57 (1u << 12)
#define LMA (1u << 10)
#define LARGE 0x80

static guint8 ram[RAM];

static void
put(guint64 address, gsize size, guint64 value)
{
    memcpy(ram + address, &value, size); /* of a little-endian host */
}

static MoseSection *
add_cpu(MoseDoc *doc, guint64 cr0, guint64 cr3, guint64 cr4, guint64 efer)
{
    const RuleValue values[] = {
        { "env.cr[0]", cr0 },         { "env.cr[3]", cr3 },
        { "env.cr[4]", cr4 },         { "env.efer", efer },
        { "env.segs[1].base", 0x20 }, { "env.segs[1].flags", 0 },
        { "env.eip", 0x10 },          { 0 }
    };

    return rule_add_section(doc, "cpu", 0, values);
}

/* What @linear is, or -1. */
static gint64
translate(const MoseSection *cpu, guint64 linear)
{
    RuleWorld world = { .ram = ram, .ram_size = RAM };
    MoseRuleContext context = { MOSE_KVM_TO_TCG,   1,
                                rule_stopped_ns,   rule_read_memory,
                                rule_write_memory, &world };
    guint64 address;

    return mose_paging_translate(&context, cpu, linear, &address) ? (gint64)address
                                                                  : -1;
}

static void
test_none(void)
{
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *cpu = add_cpu(doc, 1, PAGE, PAE, 0);

    g_assert_cmphex(translate(cpu, 0x12345), ==, 0x12345);
}

static void
test_32(void)
{
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *cpu = add_cpu(doc, PG | 1, PAGE | 0x18, PSE, 0);

    memset(ram, 0, RAM);
    put(PAGE + 4 * 3, 4, 2 * PAGE | 1);
    put(2 * PAGE + 4 * 5, 4, 0x55000 | 1);
    put(PAGE + 4 * 4, 4, 0x00400000 | 1 << 13 | LARGE | 1);
    put(PAGE + 4 * 6, 4, (RAM + PAGE) | 1); /* no memory there */
    g_assert_cmphex(translate(cpu, 3u << 22 | 5 << 12 | 0x123), ==, 0x55123);
    g_assert_cmphex(translate(cpu, 3u << 22 | 6 << 12), ==, -1);
    g_assert_cmphex(translate(cpu, 4u << 22 | 0x12345), ==,
                    G_GINT64_CONSTANT(0x100412345));
    g_assert_cmphex(translate(cpu, 6u << 22), ==, -1);
}

static void
test_pae(void)
{
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *cpu = add_cpu(doc, PG | 1, PAGE + 0x40, PAE, 0);

    memset(ram, 0, RAM);
    put(PAGE + 0x40 + 8 * 3, 8, 2 * PAGE | LARGE | 1);
    put(2 * PAGE + 8 * 511, 8, 3 * PAGE | 1);
    put(3 * PAGE + 8 * 7, 8, G_GUINT64_CONSTANT(0x8000000000077001));
    put(2 * PAGE + 8 * 510, 8, 0x200000 | LARGE | 1);
    g_assert_cmphex(translate(cpu, 3u << 30 | 511 << 21 | 7 << 12 | 9), ==, 0x77009);
    g_assert_cmphex(translate(cpu, 3u << 30 | 510 << 21 | 0x1234), ==, 0x201234);
    g_assert_cmphex(translate(cpu, 0), ==, -1);
}

static void
test_64(void)
{
    for (int levels = 4; levels <= 5; levels++) {
        g_autoptr(MoseDoc) doc = mose_doc_new();
        MoseSection *cpu =
            add_cpu(doc, PG | 1, PAGE, PAE | (levels == 5 ? LA57 : 0), LMA);
        guint64 linear = 0, table = PAGE;

        memset(ram, 0, RAM);
        for (int level = levels; level > 0; level--, table += PAGE) {
            linear |= (guint64)(256 + level) << (12 + 9 * (level - 1));
            put(table + (256 + level) * 8, 8,
                level > 1 ? (table + PAGE) | 1 : 0x99000 | 1);
        }
        /* What is above is no address unless it is like the highest bit. */
        g_assert_cmphex(translate(cpu, linear | 0xabc), ==, -1);
        linear |= G_MAXUINT64 << (12 + 9 * levels);
        g_assert_cmphex(translate(cpu, linear | 0xabc), ==, 0x99abc);
        g_assert_cmphex(translate(cpu, linear ^ 1 << 12), ==, -1);
        /* 1 GB: the entry of the third level from below. */
        put(PAGE * (levels - 2) + (256 + 3) * 8, 8, 0x40000000 | LARGE | 1);
        g_assert_cmphex(translate(cpu, linear | 0xabc), ==,
                        0x40000000 | (linear & 0x3fffffff) | 0xabc);
        /* One level up the bit is reserved, and no page so large. */
        put(PAGE * (levels - 3) + (256 + 4) * 8, 8,
            (guint64)(PAGE * (levels - 2)) | LARGE | 1);
        g_assert_cmphex(translate(cpu, linear), !=, -1);
    }
}

/* Over the end of a page, and without memory. */
static void
test_read(void)
{
    RuleWorld world = { .ram = ram, .ram_size = RAM };
    MoseRuleContext context = { MOSE_KVM_TO_TCG,   1,
                                rule_stopped_ns,   rule_read_memory,
                                rule_write_memory, &world };
    g_autoptr(MoseDoc) doc = mose_doc_new();
    MoseSection *cpu = add_cpu(doc, PG | 1, PAGE, 0, 0);
    guint8 got[4];

    memset(ram, 0, RAM);
    put(PAGE, 4, 2 * PAGE | 1);
    put(2 * PAGE, 4, 5 * PAGE | 1);
    put(2 * PAGE + 4, 4, 4 * PAGE | 1);
    put(5 * PAGE + PAGE - 2, 2, 0x2211);
    put(4 * PAGE, 2, 0x4433);
    g_assert_true(mose_paging_read(&context, cpu, PAGE - 2, got, 4));
    g_assert_cmpmem(got, 4, "\x11\x22\x33\x44", 4);
    g_assert_false(mose_paging_read(&context, cpu, 2 * PAGE - 2, got, 4));
    put(5 * PAGE + 0x2f, 1, 0xfb);
    g_assert_true(mose_paging_read_code(&context, cpu, -1, got, 1));
    g_assert_cmphex(got[0], ==, 0xfb);
    context.read_memory = NULL;
    g_assert_false(mose_paging_read(&context, cpu, PAGE - 2, got, 4));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/paging/none", test_none);
    g_test_add_func("/paging/32", test_32);
    g_test_add_func("/paging/pae", test_pae);
    g_test_add_func("/paging/64", test_64);
    g_test_add_func("/paging/read", test_read);
    return g_test_run();
}

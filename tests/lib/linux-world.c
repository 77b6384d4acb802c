/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small Linux for tests of rules; see linux-world.h. */
#include "lib/linux-world.h"

#include <string.h>

#include "util/error.h"

#define NX (G_GUINT64_CONSTANT(1) << 63)

void
linux_put(LinuxWorld *world, guint64 at, guint64 value)
{
    memcpy(world->ram + at, &value, sizeof(value));
}

static void
make_tables(LinuxWorld *world)
{
    linux_put(world, LINUX_PML4 + 511 * 8, LINUX_IMAGE_PDPT | 3);
    linux_put(world, LINUX_IMAGE_PDPT + 510 * 8, LINUX_IMAGE_PD | 3);
    linux_put(world, LINUX_IMAGE_PD, LINUX_IMAGE_PT | 3);
    linux_put(world, LINUX_IMAGE_PT, LINUX_TEXT | 1);
    linux_put(world, LINUX_IMAGE_PT + 8, NX | LINUX_RODATA | 1);
    linux_put(world, LINUX_IMAGE_PT + 16, NX | LINUX_DATA | 3);
    linux_put(world, LINUX_PML4 + 273 * 8, LINUX_DIRECT_PDPT | 3);
    linux_put(world, LINUX_DIRECT_PDPT, LINUX_DIRECT_PD | 3);
    linux_put(world, LINUX_DIRECT_PD, LINUX_DIRECT_PT | 3);
    linux_put(world, LINUX_DIRECT_PT, NX | LINUX_AREAS | 3);
    linux_put(world, LINUX_DIRECT_PT + 8, NX | (LINUX_AREAS + 4096) | 3);
    linux_put(world, LINUX_IMAGE_PDPT + 511 * 8, LINUX_FIX_PD | 3);
    linux_put(world, LINUX_FIX_PD + 0x1fa * 8, LINUX_FIX_PT | 3);
    linux_put(world, LINUX_FIX_PT + 0x1fd * 8, NX | P_APIC | 3);
}

static void
add_cpu(LinuxWorld *world, guint cpu)
{
    const RuleValue state[] = { { "env.cr[0]", 1u << 31 },
                                { "env.cr[3]", LINUX_PML4 },
                                { "env.cr[4]", 0x20 },
                                { "env.efer", 0x500 },
                                { "env.hflags", 0 },
                                { "env.eflags", 0x200 },
                                { "env.segs[5].base", LINUX_V_AREAS + cpu * 4096 },
                                { "env.kernelgsbase", 0 },
                                { "env.eip", LINUX_V_TEXT },
                                { "env.hflags2", 0 },
                                { "env.idt.base", 0 },
                                { "env.idt.limit", 0xfff },
                                { 0 } };
    static const RuleValue common[] = { { "halted", 0 }, { 0 } };
    static const RuleValue apic[] = { { "apicbase", P_APIC | 0x800 },
                                      { "lvt[0]", 0x100ec },
                                      { "divide_conf", 0 },
                                      { "count_shift", 1 },
                                      { "initial_count", 0 },
                                      { "initial_count_load_time", 1 },
                                      { "next_time", 2 },
                                      { "timer_expiry", G_MAXUINT64 },
                                      { 0 } };

    world->cpu[cpu] = rule_add_section(world->doc, "cpu", cpu, state);
    for (guint i = 0; i < 16; i++) {
        g_autofree char *path = g_strdup_printf("env.regs[%u]", i);

        mose_section_append(world->cpu[cpu], path, "uint64", 8, 0);
    }
    world->common[cpu] = rule_add_section(world->doc, "cpu_common", cpu, common);
    world->apic[cpu] = rule_add_section(world->doc, "apic", cpu, apic);
}

LinuxWorld *
linux_world_new(void)
{
    static const RuleValue timer[] = { { "cpu_ticks_offset", LINUX_TSC },
                                       { "cpu_clock_offset", LINUX_CLOCK },
                                       { 0 } };
    LinuxWorld *world = g_new0(LinuxWorld, 1);

    world->doc = mose_doc_new();
    make_tables(world);
    world->timer = rule_add_section(world->doc, "timer", 0, timer);
    add_cpu(world, 0);
    add_cpu(world, 1);
    return world;
}

void
linux_world_free(LinuxWorld *world)
{
    mose_doc_free(world->doc);
    g_free(world);
}

void
linux_set(MoseSection *section, const char *path, guint64 value)
{
    g_autoptr(GError) error = NULL;

    mose_section_set(section, path, value, &error);
    g_assert_no_error(error);
}

static gboolean
read_ram(gpointer data, guint64 address, void *to, gsize len)
{
    const LinuxWorld *world = data;

    if (address >= LINUX_RAM || len > LINUX_RAM - address)
        return FALSE;
    memcpy(to, world->ram + address, len);
    return TRUE;
}

static gboolean
write_ram(gpointer data, guint64 address, const void *from, gsize len)
{
    LinuxWorld *world = data;

    if (address >= LINUX_RAM || len > LINUX_RAM - address)
        return FALSE;
    memcpy(world->ram + address, from, len);
    return TRUE;
}

gboolean
linux_run(LinuxWorld *world, const char *rule, guint direction, gboolean *ret_changed,
          GError **error)
{
    const MoseRuleContext context = { .direction = direction,
                                      .tsc_khz = LINUX_KHZ,
                                      .read_memory = read_ram,
                                      .write_memory = write_ram,
                                      .data = world,
                                      .lost_features = world->lost };

    *ret_changed = FALSE;
    return mose_rule_by_name(rule)->rewrite(&context, world->doc, ret_changed, error);
}

gboolean
linux_run_well(LinuxWorld *world, const char *rule, guint direction)
{
    g_autoptr(GError) error = NULL;
    gboolean changed;

    linux_run(world, rule, direction, &changed, &error);
    g_assert_no_error(error);
    return changed;
}

void
linux_expect(LinuxWorld *world, const char *rule, guint direction, int code,
             const char *why)
{
    g_autofree guint8 *before = g_memdup2(world->ram, LINUX_RAM);
    g_autoptr(GError) error = NULL;
    gboolean changed;

    g_assert_false(linux_run(world, rule, direction, &changed, &error));
    g_assert_error(error, MOSE_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, why));
    g_assert_cmpint(memcmp(before, world->ram, LINUX_RAM), ==, 0);
}

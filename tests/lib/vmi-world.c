/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM with page tables in it. See vmi-world.h. */
#include "lib/vmi-world.h"

#include <string.h>

enum { PAGE = 4096, PRESENT = 1, WRITABLE = 2 };

VmiWorld *
vmi_world_new(gsize size)
{
    VmiWorld *world = g_new0(VmiWorld, 1);

    world->ram = g_malloc0(size);
    world->size = size;
    world->tables = size - PAGE;
    world->vcpu.paging = (MosePaging){
        .cr0 = 1u << 31 | 1, .cr3 = world->tables, .cr4 = 1u << 5, .efer = 1u << 10
    };
    return world;
}

void
vmi_world_free(VmiWorld *world)
{
    if (!world)
        return;
    g_free(world->ram);
    g_free(world);
}

/* The place of the entry for @linear in the lowest table; tables are made on the way.
 */
static guint64 *
entry_of(VmiWorld *world, guint64 linear)
{
    guint64 table = world->vcpu.paging.cr3;

    for (int level = 4; level > 1; level--) {
        guint64 *entry = (guint64 *)(world->ram + table) +
                         (linear >> (12 + 9 * (level - 1)) & 0x1ff);

        if (!(*entry & PRESENT)) {
            world->tables -= PAGE;
            *entry = world->tables | PRESENT | WRITABLE;
        }
        table = *entry & ~(guint64)0xfff;
    }
    return (guint64 *)(world->ram + table) + (linear >> 12 & 0x1ff);
}

void
vmi_world_set_entry(VmiWorld *world, guint64 linear, guint64 entry)
{
    *entry_of(world, linear) = entry;
}

void
vmi_world_map(VmiWorld *world, guint64 linear, guint64 physical, gsize size)
{
    for (gsize at = 0; at < size; at += PAGE)
        vmi_world_set_entry(world, linear + at, (physical + at) | PRESENT | WRITABLE);
}

void
vmi_world_write(VmiWorld *world, guint64 linear, const void *from, gsize len)
{
    for (gsize done = 0; done < len;) {
        guint64 at = linear + done, entry = *entry_of(world, at);
        gsize step = MIN(len - done, PAGE - at % PAGE);

        g_assert_true(entry & PRESENT);
        memcpy(world->ram + (entry & ~(guint64)0xfff) + at % PAGE,
               (const guint8 *)from + done, step);
        done += step;
    }
}

void
vmi_world_put(VmiWorld *world, guint64 linear, guint64 value, gsize len)
{
    guint64 bytes = GUINT64_TO_LE(value);

    vmi_world_write(world, linear, &bytes, len);
}

/* --- as a source of memory --- */

static gboolean
world_read(gpointer data, guint64 address, void *to, gsize len)
{
    VmiWorld *world = data;

    if (world->before_read)
        world->before_read(world->data, world->reads);
    world->reads++;
    if (address > world->size || len > world->size - address)
        return FALSE;
    memcpy(to, world->ram + address, len);
    return TRUE;
}

static GArray *
world_vcpus(gpointer data, gboolean exact, GError **error)
{
    VmiWorld *world = data;
    GArray *vcpus = g_array_new(FALSE, FALSE, sizeof(MoseVcpu));

    g_array_append_val(vcpus, world->vcpu);
    return vcpus;
}

static void
world_close(gpointer data)
{
}

MoseMemory *
vmi_world_memory(VmiWorld *world)
{
    static const MoseMemorySource source = { .read = world_read,
                                             .vcpus = world_vcpus,
                                             .free = world_close };
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(MoseMemoryRange));

    g_array_append_val(ranges, ((MoseMemoryRange){ 0, world->size }));
    return mose_memory_new(&source, world, "world", ranges, !world->still);
}

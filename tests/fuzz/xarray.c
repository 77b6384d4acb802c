/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as memory with an xarray in it, and as what a kernel's types
 * say of one: a walk ends, in ascending order, with entries that are ones, or with an
 * error. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/vmi-world.h"
#include "vmi/linux/xarray.h"

#define BASE G_GUINT64_CONSTANT(0xffff888000000000)
enum { PAGE = 4096, MAX = 64 << 10, TABLES = 64 << 10, ENTRIES = 1000 };

typedef struct {
    guint64 next;
    guint count;
} Seen;

static gboolean
see(guint64 index, guint64 entry, gpointer data, GError **error)
{
    Seen *seen = data;

    FUZZ_CHECK(seen->count == 0 || index >= seen->next);
    FUZZ_CHECK(entry != 0 && (entry & 3) != 2);
    FUZZ_CHECK(seen->count < ENTRIES);
    seen->next = index + 1;
    seen->count++;
    return TRUE;
}

static void
walk(MoseSpace *space, const MoseXarrayLayout *layout)
{
    g_autoptr(GError) error = NULL;
    Seen seen = { 0 };
    gboolean good = mose_xarray_walk(space, layout, BASE, ENTRIES, see, &seen, &error);

    FUZZ_CHECK(good == !error);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    static const MoseXarrayLayout real = { 8, 576, 0, 1, 8, 40, 64 };
    MoseXarrayLayout layout;
    gsize len = MIN(size, MAX), pages = (len + PAGE - 1) / PAGE * PAGE;
    g_autoptr(VmiWorld) world = vmi_world_new(pages + TABLES);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    g_autoptr(MoseSpace) space = mose_space_new(memory, &world->vcpu.paging);

    memcpy(world->ram, data, len);
    vmi_world_map(world, BASE, 0, pages);
    walk(space, &real);
    if (len >= sizeof(layout)) {
        memcpy(&layout, data + len - sizeof(layout), sizeof(layout));
        walk(space, &layout);
    }
    return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as memory with a maple tree at its beginning. The walk ends;
 * what it tells ascends, and is told again the same. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/make-maple.h"

#define KERNEL G_GUINT64_CONSTANT(0xffff888000000000)
enum { PAGE = 4096, MAX = 64 << 10, TABLES = 64 << 10, MAX_ENTRIES = 4096 };

typedef struct {
    guint n;
    guint64 last, sum;
} Told;

static gboolean
tell(guint64 first, guint64 last, guint64 entry, gpointer data, GError **error)
{
    Told *told = data;

    FUZZ_CHECK(first <= last && entry != 0);
    FUZZ_CHECK(told->n == 0 || first > told->last);
    FUZZ_CHECK(++told->n <= MAX_ENTRIES);
    told->last = last;
    told->sum = (told->sum + first) * 31 + entry;
    return TRUE;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    gsize len = MIN(size, MAX), pages = MAX((len + PAGE - 1) / PAGE * PAGE, PAGE);
    g_autoptr(VmiWorld) world = vmi_world_new(pages + TABLES);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    g_autoptr(MoseSpace) space = mose_space_new(memory, &world->vcpu.paging);
    Told once = { 0 }, again = { 0 };
    gboolean good;

    memcpy(world->ram, data, len);
    vmi_world_map(world, KERNEL, 0, pages);
    good = mose_maple_walk(space, &make_maple_layout, KERNEL, MAX_ENTRIES, tell, &once,
                           NULL);
    FUZZ_CHECK(good == mose_maple_walk(space, &make_maple_layout, KERNEL, MAX_ENTRIES,
                                       tell, &again, NULL));
    FUZZ_CHECK(once.n == again.n && once.sum == again.sum);
    return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as a kernel's image. What is found in it can be read, and
 * holds _text at its beginning; what another kernel's layout says of it ends in an
 * error or in symbols. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/vmi-world.h"
#include "vmi/linux/kallsyms.h"

#define TEXT G_GUINT64_CONSTANT(0xffffffff81000000)
enum { PAGE = 4096, MAX = 256 << 10, TABLES = 64 << 10 };

static void
read_all(const MoseKallsyms *table, MoseSpace *space, gboolean found)
{
    g_autoptr(MoseSymbols) symbols = mose_symbols_new();
    const MoseSymbol *text;

    if (!mose_kallsyms_read(table, space, TEXT, symbols, NULL))
        return;
    mose_symbols_finish(symbols);
    FUZZ_CHECK(mose_symbols_count(symbols) == table->n_symbols);
    text = mose_symbols_by_name(symbols, NULL, "_text");
    FUZZ_CHECK(!found || (text && text->address == TEXT));
    mose_symbols_by_address(symbols, TEXT + 4711);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    gsize len = MIN(size, MAX), pages = (len + PAGE - 1) / PAGE * PAGE;
    g_autoptr(VmiWorld) world = vmi_world_new(pages + TABLES);
    g_autoptr(MoseMemory) memory = vmi_world_memory(world);
    g_autoptr(MoseSpace) space = mose_space_new(memory, &world->vcpu.paging);
    MoseKallsyms table = { 0 };

    memcpy(world->ram, data, len);
    vmi_world_map(world, TEXT, 0, pages);
    if (mose_kallsyms_find(data, len, TEXT, &table, NULL))
        read_all(&table, space, TRUE);
    if (len >= sizeof(table)) {
        memcpy(&table, data, sizeof(table));
        table.form = (guint)table.form % MOSE_KALLSYMS_N_FORMS;
        table.n_symbols %= 4096;
        table.names %= MAX;
        table.names_size %= MAX;
        table.tokens %= MAX;
        table.offsets %= MAX;
        read_all(&table, space, FALSE);
    }
    return 0;
}

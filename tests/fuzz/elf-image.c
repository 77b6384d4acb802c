/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as an ELF object, as a file and as a memory that begins at
 * some address. Whatever is told lies within what was there.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "vmi/linux/elf-image.h"

#define BASE G_GUINT64_CONSTANT(0x7f0000000000)

typedef struct {
    const guint8 *bytes;
    gsize size;
    guint64 base;
    guint64 symbols;
} Input;

static gboolean
read_input(gpointer data, guint64 at, void *to, gsize len)
{
    const Input *input = data;

    if (at < input->base || at - input->base > input->size ||
        len > input->size - (at - input->base))
        return FALSE;
    memcpy(to, input->bytes + (at - input->base), len);
    return TRUE;
}

static void
hear(const MoseElfSymbol *symbol, gpointer data)
{
    Input *input = data;

    FUZZ_CHECK(*symbol->name != '\0' && strlen(symbol->name) < input->size);
    FUZZ_CHECK(!symbol->version || strlen(symbol->version) < input->size);
    FUZZ_CHECK(g_ascii_isalpha(symbol->type));
    input->symbols++;
    FUZZ_CHECK(input->symbols <= 2 * (guint64)MOSE_ELF_MAX_SYMBOLS);
}

static void
look(Input *input, gboolean in_memory)
{
    g_autoptr(MoseElf) elf =
        mose_elf_new(read_input, input, in_memory, input->base, NULL);

    if (!elf)
        return;
    FUZZ_CHECK(elf->begin <= elf->end || in_memory);
    FUZZ_CHECK(!elf->build_id || strlen(elf->build_id) <= 128);
    mose_elf_dynamic_symbols(elf, hear, input, NULL);
    mose_elf_table_symbols(elf, elf->bias, hear, input, NULL);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    Input file = { data, size, 0, 0 }, memory = { data, size, BASE, 0 };

    look(&file, FALSE);
    look(&memory, TRUE);
    return 0;
}

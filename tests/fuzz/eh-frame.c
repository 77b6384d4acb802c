/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as the memory of a program, with an .eh_frame_hdr at its
 * beginning and an .eh_frame at 256, and as its registers. A step ends. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "vmi/linux/eh-frame.h"

#define BASE 0x10000

typedef struct {
    const guint8 *bytes;
    gsize size;
} Memory;

static gboolean
read_memory(gpointer data, guint64 at, void *to, gsize len)
{
    const Memory *memory = data;

    if (at < BASE || at - BASE > memory->size || len > memory->size - (at - BASE))
        return FALSE;
    memcpy(to, memory->bytes + (at - BASE), len);
    return TRUE;
}

static void
step(Memory *memory, guint64 header, const GArray *index, guint64 ip)
{
    MoseEhRegisters registers = { .known = (1u << MOSE_EH_N) - 1 };
    gboolean outermost, signal;

    for (guint i = 0; i < MOSE_EH_N; i++)
        registers.values[i] = BASE + i * 8;
    registers.values[MOSE_EH_RIP] = ip;
    for (guint i = 0; i < 16; i++)
        if (!mose_eh_step(read_memory, memory, header, index, i % 2, &registers,
                          &outermost, &signal, NULL) ||
            outermost)
            break;
    FUZZ_CHECK(registers.known >> MOSE_EH_RIP & 1);
}

static void
step_all(Memory *memory, guint64 at)
{
    g_autoptr(GArray) index =
        mose_eh_index(read_memory, memory, at, memory->size - (at - BASE), NULL);

    for (guint i = 0; index && i < MIN(index->len, 64); i++) {
        const MoseEhFunction *function = &g_array_index(index, MoseEhFunction, i);

        FUZZ_CHECK(function->begin <= function->end);
        step(memory, 0, index, function->begin + 1);
        step(memory, 0, index, function->end);
    }
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    Memory memory = { data, MIN(size, 64 << 10) };

    for (guint i = 0; i < 32; i++)
        step(&memory, BASE, NULL, BASE + i * 64);
    step_all(&memory, BASE);
    if (memory.size > 256)
        step_all(&memory, BASE + 256);
    return 0;
}

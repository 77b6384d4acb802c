/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as a core file. Where it is taken for one, its ranges are in
 * order, and reading from them gives an answer.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "vmi/memory.h"

#define MAX_RANGES 64
#define MAX_PAGES 16

static void
read_range(MoseMemory *memory, const MoseMemoryRange *range)
{
    guint8 bytes[4096 + 8];

    for (guint64 at = 0; at < MIN(range->size, MAX_PAGES * 4096); at += 4000)
        mose_memory_peek(memory, range->address + at, bytes,
                         MIN(sizeof(bytes), range->size - at));
    FUZZ_CHECK(!mose_memory_peek(memory, range->address + range->size, bytes, 1) ||
               range->size == 0);
}

static void
look(MoseMemory *memory)
{
    const GArray *ranges = mose_memory_ranges(memory);
    g_autoptr(GArray) vcpus = mose_memory_vcpus(memory, TRUE, NULL);
    guint64 end = 0;

    FUZZ_CHECK(ranges->len > 0);
    for (guint i = 0; i < ranges->len; i++) {
        const MoseMemoryRange *range = &g_array_index(ranges, MoseMemoryRange, i);

        FUZZ_CHECK(range->size > 0 && (i == 0 || range->address > end));
        FUZZ_CHECK(range->size <= G_MAXUINT64 - range->address);
        end = range->address + range->size;
        if (i < MAX_RANGES)
            read_range(memory, range);
    }
    FUZZ_CHECK(!vcpus || vcpus->len > 0);
    FUZZ_CHECK(!mose_memory_vmcoreinfo(memory) ||
               strlen(mose_memory_vmcoreinfo(memory)) < G_MAXINT);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    int fd = memfd_create("core", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(MoseMemory) memory = NULL;
    g_autoptr(GError) error = NULL;

    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    memory = mose_memory_of_core(path, &error);
    FUZZ_CHECK(!memory == !!error);
    if (memory)
        look(memory);
    close(fd);
    return 0;
}

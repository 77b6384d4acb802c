/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See warm.h. */
#include "bench/warm.h"

#include <string.h>
#include <sys/mman.h>

void
bench_warm_memory(guint mb)
{
    const gsize size = (gsize)(mb + mb / 8) << 20;
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g_assert_true(memory != MAP_FAILED);
    /* As QEMU asks for it; the kernel may say no. */
    madvise(memory, size, MADV_HUGEPAGE);
    memset(memory, 1, size);
    munmap(memory, size);
}

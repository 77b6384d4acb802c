/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages with flags of their own, in a window at 512 GB: boot.S maps all below 4 GB once
 * more, for the kernel alone. */
#include "litmus.h"

#define WINDOW UINT64_C(0x8000000000)
enum { ALL = PAGE_PRESENT | PAGE_WRITE | PAGE_USER, ENTRIES = 512 };

extern uint64_t boot_pml4[ENTRIES];

static uint64_t tables[3][ENTRIES] __attribute__((aligned(PAGE_SIZE)));

void *
map_page(unsigned slot, const void *page, uint64_t flags)
{
    uint64_t *above = &boot_pml4[WINDOW >> 39];
    uint8_t *address = (uint8_t *)WINDOW + (uint64_t)slot * PAGE_SIZE;

    for (unsigned i = 0; i < N_ELEMENTS(tables); i++) {
        *above = (uintptr_t)tables[i] | ALL;
        above = &tables[i][i == 2 ? slot : 0];
    }
    *above = (uintptr_t)page | flags | PAGE_PRESENT;
    flush_page(address);
    return address;
}

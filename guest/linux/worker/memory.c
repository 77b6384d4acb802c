/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory check: every page holds what follows from its number and generation.
 * A step verifies some pages and gives them a new generation, so that each is
 * read long after it was written, and at any moment some are freshly dirty.
 */
#include "worker.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE_SIZE = 4096, PAGES_PER_STEP = 8 };

static struct {
    unsigned char *pages;
    uint64_t *generations;
    size_t count;
    size_t next;
} memory;

static unsigned char *
page_at(size_t page)
{
    return memory.pages + page * PAGE_SIZE;
}

static uint64_t
seed_of(size_t page)
{
    return memory.generations[page] * memory.count + page;
}

bool
memory_init(size_t pages)
{
    memory.pages = mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory.generations = calloc(pages, sizeof(*memory.generations));
    if (memory.pages == MAP_FAILED || !memory.generations)
        return false;
    memory.count = pages;
    for (size_t i = 0; i < pages; i++)
        worker_fill(page_at(i), PAGE_SIZE, seed_of(i));
    return true;
}

void
memory_step(Tally *tally)
{
    for (int i = 0; i < PAGES_PER_STEP; i++) {
        const size_t page = memory.next;
        const long at = worker_compare(page_at(page), PAGE_SIZE, seed_of(page));

        if (at >= 0)
            worker_error(tally, "memory: page %zu (%p) is wrong at byte %ld", page,
                         (void *)page_at(page), at);
        memory.generations[page]++;
        worker_fill(page_at(page), PAGE_SIZE, seed_of(page));
        memory.next = (page + 1) % memory.count;
    }
    tally->steps++;
}

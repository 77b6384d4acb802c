/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that is written meanwhile: page after page, over and over. Each 8 bytes hold
 * the page's generation and number; behind the place where the writer is pages have its
 * generation, before it the one before.
 */
#include "litmus.h"

enum { PAGES = 1024, PAGES_SLOW = 32, WORDS = PAGE_SIZE / 8 };

static uint64_t memory[PAGES][WORDS] __attribute__((aligned(PAGE_SIZE)));
static uint64_t generation;
static unsigned pages, next;

static uint64_t
pattern(unsigned page)
{
    return generation << 32 | (page * 2654435761u & 0xfffffff);
}

static void
fill(unsigned page, uint64_t value)
{
    void *to = memory[page];
    size_t n = WORDS;

    __asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(value) : "memory");
}

static void
work(void)
{
    fill(next, pattern(next));
    if (++next == pages) {
        next = 0;
        generation++;
    }
}

static const char *
prepare(void)
{
    pages = machine.slow ? PAGES_SLOW : PAGES;
    generation++;
    for (next = 0; next < pages; next++)
        fill(next, pattern(next));
    next = 0;
    generation++;
    return NULL;
}

/* The word of @page that is not @value, or NULL; by one instruction, since kernel code
 * may be emulated. */
static const uint64_t *
differs(unsigned page, uint64_t value)
{
    const uint64_t *at = memory[page];
    size_t n = WORDS;
    bool equal;

    __asm__ volatile("repe scasq"
                     : "+D"(at), "+c"(n), "=@ccz"(equal)
                     : "a"(value)
                     : "memory");
    return equal ? NULL : at - 1;
}

static const char *
check(void)
{
    for (unsigned page = 0; page < pages; page++) {
        uint64_t value = pattern(page) - (page < next ? 0 : UINT64_C(1) << 32);
        const uint64_t *wrong = differs(page, value);

        if (wrong)
            return say("page %u of %u, writer at %u: %lx at %lx, not %lx", page, pages,
                       next, *wrong, (unsigned long)(uintptr_t)wrong, value);
    }
    return NULL;
}

PROPERTY(memory) = {
    .name = "memory",
    .flags = BACKGROUND,
    .prepare = prepare,
    .work = work,
    .check = check,
};

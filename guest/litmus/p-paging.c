/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pages forbid, to kernel code: writing (CR0.WP), executing (NX), and touching or
 * executing those of user mode (SMAP, SMEP). */
#include "litmus.h"

enum { VECTOR_PF = 14, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21, FIRST_SLOT = 16 };
/* Of a page fault's error code. */
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_FETCH = 16 };

/* `ret` where it is executed. */
static uint8_t page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE))) = { 0xc3 };

static void
do_write(void *at)
{
    *(volatile uint8_t *)at = 0xc3;
}

static void
do_read(void *at)
{
    *(volatile uint8_t *)at;
}

static void
do_execute(void *at)
{
    ((void (*)(void))at)();
}

/* @call of the page with @flags raises a page fault with the error code @error. */
static const char *
check_fault(unsigned slot, uint64_t flags, void (*call)(void *), uint64_t error)
{
    void *at = map_page(FIRST_SLOT + slot, page, flags);
    uint64_t got = 0;
    int vector = guarded(call, at, &got, NULL);

    if (vector < 0)
        return "it is allowed";
    if (vector != VECTOR_PF || got != error)
        return say("exception %d, error code %lx; not 14, %lx", vector, got, error);
    return NULL;
}

/* Whether it is enforced before the switch, too: else there is nothing to compare. */
static const char *
prepare_fault(unsigned slot, uint64_t flags, void (*call)(void *), uint64_t error)
{
    return check_fault(slot, flags, call, error) ? "not enforced here" : NULL;
}

#define FAULTS(id, title, has, slot, bits, call, error)                                \
    static const char *prepare_##id(void)                                              \
    {                                                                                  \
        return (has) ? prepare_fault(slot, bits, call, error) : "no " title;           \
    }                                                                                  \
    static const char *check_##id(void)                                                \
    {                                                                                  \
        return check_fault(slot, bits, call, error);                                   \
    }                                                                                  \
    PROPERTY(id) = {                                                                   \
        .name = title,                                                                 \
        .flags = BACKGROUND,                                                           \
        .prepare = prepare_##id,                                                       \
        .check = check_##id,                                                           \
    };

FAULTS(wp, "wp", true, 0, 0, do_write, PF_PRESENT | PF_WRITE)
FAULTS(nx, "nx", true, 1, PAGE_NX, do_execute, PF_PRESENT | PF_FETCH)
FAULTS(smap, "smap", read_cr4() & CR4_SMAP, 2, PAGE_USER, do_read, PF_PRESENT)
FAULTS(smep, "smep", read_cr4() & CR4_SMEP, 3, PAGE_USER, do_execute,
       PF_PRESENT | PF_FETCH)

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much of a mapping is in memory, by the page tables; and what its flags are
 * called. See vmas.h. */
#include "util/error.h"
#include "vmi/linux/vmas.h"

#define MAX_ENTRIES (1u << 26)
#define PAGE 4096
#define NONE G_MAXUINT64

/* The system's pages of zeros. */
typedef struct {
    guint64 small, huge; /* guest-physical; NONE: there is none */
    guint64 n_swaps;     /* that there have been: mm/swapfile.c */
} Known;

static guint64
read_variable(MoseLinux *kernel, const char *name, gsize size, guint64 without)
{
    guint64 at, ret;

    return mose_linux_symbol(kernel, name, &at, NULL) &&
                   mose_space_read_number(kernel->space, at, size, &ret, NULL)
               ? ret
               : without;
}

static Known
find_known(MoseLinux *kernel)
{
    /* mm/huge_memory.c: ~0 while there is none */
    guint64 at, pfn = read_variable(kernel, "huge_zero_pfn", 8, G_MAXUINT64);
    Known ret = { NONE, pfn > G_MAXUINT64 / PAGE ? NONE : pfn * PAGE,
                  read_variable(kernel, "nr_swapfiles", 4, 0) };

    if (!mose_linux_symbol(kernel, "empty_zero_page", &at, NULL) ||
        !mose_space_translate(kernel->space, at, &ret.small, NULL))
        ret.small = NONE;
    return ret;
}

/* arch/x86/include/asm/pgtable_64.h: the uppermost five bits say which swap device;
 * numbers beyond those of devices are migration, poison and markers
 * (include/linux/swap.h) */
static gboolean
is_swapped(const Known *known, const MosePageWalk *walk)
{
    return walk->level == 1 && walk->entry >> 59 < known->n_swaps;
}

static void
count(const Known *known, const MosePageWalk *walk, guint64 size, MoseVmaPages *ret)
{
    guint64 page = walk->physical / PAGE * PAGE;

    if (walk->state != MOSE_PAGE_MAPPED) {
        if (walk->entry != 0)
            *(is_swapped(known, walk) ? &ret->swapped : &ret->other) += size;
    } else if (page == known->small ||
               (walk->level == 2 &&
                page / (512 * PAGE) == known->huge / (512 * PAGE))) {
        ret->zero += size;
    } else {
        ret->present += size;
    }
}

gboolean
mose_vma_pages(MoseLinux *kernel, MoseSpace *space, const MoseVma *vma,
               MoseVmaPages *ret, GError **error)
{
    Known known = find_known(kernel);
    guint n = 0;

    *ret = (MoseVmaPages){ 0 };
    for (guint64 at = vma->start, size; at < vma->end; at += size) {
        MosePageWalk walk = { 0 };

        if (++n > MAX_ENTRIES) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "the mapping at 0x%" G_GINT64_MODIFIER
                        "x has more than 2^26 page table entries",
                        vma->start);
            return FALSE;
        }
        mose_space_page(space, at, &walk);
        size = MIN(walk.left ? walk.left : PAGE - at % PAGE, vma->end - at);
        count(&known, &walk, size, ret);
    }
    return TRUE;
}

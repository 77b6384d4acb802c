/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address spaces of tasks, and what Linux means by entries that are not present. */
#include "vmi/linux/linux.h"

#define ENTRY_PROT_NONE (1u << 8) /* arch/x86/include/asm/pgtable_types.h */
#define ENTRY_LARGE (1u << 7)
#define ENTRY_ADDRESS G_GUINT64_CONSTANT(0x000ffffffffff000)

/*
 * A page of PROT_NONE is there, and its address is inverted, as that of all that is not
 * present (arch/x86/include/asm/pgtable-invert.h, against L1TF).
 */
static gboolean
mend_prot_none(MosePageWalk *walk)
{
    guint64 size = G_GUINT64_CONSTANT(1) << (12 + 9 * (walk->level - 1));

    if (!(walk->entry & ENTRY_PROT_NONE) || walk->level > 2 ||
        (walk->level == 2 && !(walk->entry & ENTRY_LARGE)))
        return FALSE;
    walk->physical =
        ((~walk->entry & ENTRY_ADDRESS) & ~(size - 1)) | (size - walk->left);
    walk->state = MOSE_PAGE_MAPPED;
    walk->writable = walk->executable = walk->user = FALSE;
    return TRUE;
}

static const char *
explain(MosePageWalk *walk)
{
    if (mend_prot_none(walk))
        return "";
    /* include/linux/swapops.h: what is being moved and markers look the same. */
    return "it is not in memory: swapped out, or being moved";
}

MoseSpace *
mose_linux_user_space(const MoseLinux *kernel, guint64 pgd, GError **error)
{
    MosePaging paging = *mose_space_paging(kernel->space);
    MoseSpace *space;

    if (!mose_space_translate(kernel->space, pgd, &paging.cr3, error))
        return NULL;
    space = mose_space_new(kernel->memory, &paging);
    mose_space_set_explain(space, explain);
    return space;
}

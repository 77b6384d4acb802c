/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page tables of a guest, see paging.h. The tables are the guest's: they may hold
 * anything, and end nothing but the walk. */
#include "stream/rules/paging.h"

#define EFER_LMA (1u << 10)
#define FLAG_L (1u << 21) /* of a code segment, as QEMU keeps it: DESC_L_MASK */

enum { PAGE = 4096 };

gboolean
mose_paging_of(const MoseSection *cpu, MosePaging *ret)
{
    return mose_section_get(cpu, "env.cr[0]", &ret->cr0, NULL) &&
           mose_section_get(cpu, "env.cr[3]", &ret->cr3, NULL) &&
           mose_section_get(cpu, "env.cr[4]", &ret->cr4, NULL) &&
           mose_section_get(cpu, "env.efer", &ret->efer, NULL);
}

gboolean
mose_paging_translate(const MoseRuleContext *context, const MoseSection *cpu,
                      guint64 linear, guint64 *ret)
{
    MosePaging paging;
    MosePageWalk walk;

    if (!context->read_memory || !mose_paging_of(cpu, &paging) ||
        !mose_page_walk(&paging, context->read_memory, context->data, linear, &walk))
        return FALSE;
    *ret = walk.physical;
    return TRUE;
}

gboolean
mose_paging_read(const MoseRuleContext *context, const MoseSection *cpu, guint64 linear,
                 void *to, gsize len)
{
    gsize first = MIN(len, PAGE - linear % PAGE);
    guint64 address;

    g_return_val_if_fail(len <= PAGE, FALSE);
    if (!context->read_memory ||
        !mose_paging_translate(context, cpu, linear, &address) ||
        !context->read_memory(context->data, address, to, first))
        return FALSE;
    return first == len ||
           (mose_paging_translate(context, cpu, linear + first, &address) &&
            context->read_memory(context->data, address, (guint8 *)to + first,
                                 len - first));
}

gboolean
mose_paging_read_code(const MoseRuleContext *context, const MoseSection *cpu,
                      int offset, void *to, gsize len)
{
    guint64 base, flags, eip, efer; /* segment 1 is CS */

    if (!mose_section_get(cpu, "env.segs[1].base", &base, NULL) ||
        !mose_section_get(cpu, "env.segs[1].flags", &flags, NULL) ||
        !mose_section_get(cpu, "env.eip", &eip, NULL) ||
        !mose_section_get(cpu, "env.efer", &efer, NULL))
        return FALSE;
    eip += offset;
    if (!(efer & EFER_LMA) || !(flags & FLAG_L))
        eip = (guint32)(base + eip);
    return mose_paging_read(context, cpu, eip, to, len);
}

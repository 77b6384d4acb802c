/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page tables of a guest, see paging.h. The tables are the guest's: they may hold
 * anything, and end nothing but the walk. */
#include "stream/rules/paging.h"

#define CR0_PG (1u << 31)
#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_LA57 (1u << 12)
#define EFER_LMA (1u << 10)
#define FLAG_L (1u << 21) /* of a code segment, as QEMU keeps it: DESC_L_MASK */

#define ENTRY_PRESENT 1u
#define ENTRY_LARGE (1u << 7)
#define ENTRY_ADDRESS G_GUINT64_CONSTANT(0x000ffffffffff000)

enum { PAGE = 4096 };

typedef struct {
    guint64 cr0, cr3, cr4, efer;
} Mode;

static gboolean
get_mode(const MoseSection *cpu, Mode *ret)
{
    return mose_section_get(cpu, "env.cr[0]", &ret->cr0, NULL) &&
           mose_section_get(cpu, "env.cr[3]", &ret->cr3, NULL) &&
           mose_section_get(cpu, "env.cr[4]", &ret->cr4, NULL) &&
           mose_section_get(cpu, "env.efer", &ret->efer, NULL);
}

/* The @size bytes of an entry, little-endian. */
static gboolean
read_entry(const MoseRuleContext *context, guint64 address, gsize size, guint64 *ret)
{
    guint8 bytes[8];

    if (!context->read_memory ||
        !context->read_memory(context->data, address, bytes, size))
        return FALSE;
    *ret = 0;
    for (gsize i = size; i > 0; i--)
        *ret = *ret << 8 | bytes[i - 1];
    return (*ret & ENTRY_PRESENT) != 0;
}

/* Two levels of 1,024 entries, pages of 4 KB and 4 MB (PSE-36). */
static gboolean
walk_32(const MoseRuleContext *context, const Mode *mode, guint32 linear, guint64 *ret)
{
    guint64 entry;

    if (!read_entry(context, (mode->cr3 & 0xfffff000) + (linear >> 22) * 4, 4, &entry))
        return FALSE;
    if ((mode->cr4 & CR4_PSE) && (entry & ENTRY_LARGE)) {
        *ret = (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32 | (linear & 0x3fffff);
        return TRUE;
    }
    if (!read_entry(context, (entry & 0xfffff000) + (linear >> 12 & 0x3ff) * 4, 4,
                    &entry))
        return FALSE;
    *ret = (entry & 0xfffff000) | (linear & 0xfff);
    return TRUE;
}

/* @level levels of 512 entries from @table on. Large pages are of 2 MB and 1 GB. */
static gboolean
walk_64(const MoseRuleContext *context, guint64 table, int level, guint64 linear,
        guint64 *ret)
{
    for (; level > 0; level--) {
        int shift = 12 + 9 * (level - 1);
        guint64 entry;

        if (!read_entry(context, table + (linear >> shift & 0x1ff) * 8, 8, &entry))
            return FALSE;
        table = entry & ENTRY_ADDRESS;
        if (level > 1 && level <= 3 && (entry & ENTRY_LARGE)) {
            guint64 inside = (G_GUINT64_CONSTANT(1) << shift) - 1;

            *ret = (table & ~inside) | (linear & inside);
            return TRUE;
        }
    }
    *ret = table | (linear & 0xfff);
    return TRUE;
}

/* The first level of PAE has four entries, in which bit 7 means nothing. */
static gboolean
walk_pae(const MoseRuleContext *context, const Mode *mode, guint32 linear, guint64 *ret)
{
    guint64 entry;

    return read_entry(context, (mode->cr3 & 0xffffffe0) + (linear >> 30) * 8, 8,
                      &entry) &&
           walk_64(context, entry & ENTRY_ADDRESS, 2, linear, ret);
}

gboolean
mose_paging_translate(const MoseRuleContext *context, const MoseSection *cpu,
                      guint64 linear, guint64 *ret)
{
    Mode mode;

    if (!get_mode(cpu, &mode))
        return FALSE;
    if (!(mode.cr0 & CR0_PG)) {
        *ret = (guint32)linear;
        return TRUE;
    }
    if (mode.efer & EFER_LMA)
        return walk_64(context, mode.cr3 & ENTRY_ADDRESS, mode.cr4 & CR4_LA57 ? 5 : 4,
                       linear, ret);
    if (mode.cr4 & CR4_PAE)
        return walk_pae(context, &mode, linear, ret);
    return walk_32(context, &mode, linear, ret);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page tables of all of the processor's modes, see page-walk.h. */
#include "x86/page-walk.h"

#define CR0_PG (1u << 31)
#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_LA57 (1u << 12)
#define EFER_LMA (1u << 10)

#define ENTRY_PRESENT 1u
#define ENTRY_WRITABLE 2u
#define ENTRY_USER 4u
#define ENTRY_LARGE (1u << 7)
#define ENTRY_NX (G_GUINT64_CONSTANT(1) << 63)
#define ENTRY_ADDRESS G_GUINT64_CONSTANT(0x000ffffffffff000)

int
mose_paging_levels(const MosePaging *paging)
{
    if (!(paging->cr0 & CR0_PG))
        return 0;
    if (paging->efer & EFER_LMA)
        return paging->cr4 & CR4_LA57 ? 5 : 4;
    return paging->cr4 & CR4_PAE ? 3 : 2;
}

/* One entry of @size bytes, little-endian; FALSE ends the walk, with the reason. */
static gboolean
read_entry(MosePhysicalRead read, gpointer data, guint64 address, gsize size,
           MosePageWalk *walk)
{
    guint8 bytes[8];

    if (!read(data, address, bytes, size)) {
        walk->state = MOSE_PAGE_BROKEN;
        return FALSE;
    }
    walk->entry = 0;
    for (gsize i = size; i > 0; i--)
        walk->entry = walk->entry << 8 | bytes[i - 1];
    if (walk->entry & ENTRY_PRESENT)
        return TRUE;
    walk->state = MOSE_PAGE_ABSENT;
    return FALSE;
}

static void
note_rights(MosePageWalk *walk)
{
    walk->writable = walk->writable && (walk->entry & ENTRY_WRITABLE);
    walk->user = walk->user && (walk->entry & ENTRY_USER);
    walk->executable = walk->executable && !(walk->entry & ENTRY_NX);
}

/* The page is there: @base is where it begins, of 1 << @shift bytes. */
static gboolean
arrive(MosePageWalk *walk, guint64 base, guint64 linear, int shift)
{
    guint64 inside = (G_GUINT64_CONSTANT(1) << shift) - 1;

    walk->state = MOSE_PAGE_MAPPED;
    walk->physical = (base & ~inside) | (linear & inside);
    return TRUE;
}

static void
note_level(MosePageWalk *walk, guint64 linear, int level, int shift)
{
    guint64 size = G_GUINT64_CONSTANT(1) << shift;

    walk->level = level;
    walk->left = size - (linear & (size - 1));
}

/* Two levels of 1,024 entries, pages of 4 KB and 4 MB (PSE-36). */
static gboolean
walk_32(const MosePaging *paging, MosePhysicalRead read, gpointer data, guint32 linear,
        MosePageWalk *walk)
{
    note_level(walk, linear, 2, 22);
    if (!read_entry(read, data, (paging->cr3 & 0xfffff000) + (linear >> 22) * 4, 4,
                    walk))
        return FALSE;
    note_rights(walk);
    if ((paging->cr4 & CR4_PSE) && (walk->entry & ENTRY_LARGE))
        return arrive(walk,
                      (walk->entry & 0xffc00000) | (walk->entry >> 13 & 0xff) << 32,
                      linear, 22);
    note_level(walk, linear, 1, 12);
    if (!read_entry(read, data, (walk->entry & 0xfffff000) + (linear >> 12 & 0x3ff) * 4,
                    4, walk))
        return FALSE;
    note_rights(walk);
    return arrive(walk, walk->entry & 0xfffff000, linear, 12);
}

/* @level levels of 512 entries from @table on. Large pages are of 2 MB and 1 GB. */
static gboolean
walk_64(MosePhysicalRead read, gpointer data, guint64 table, int level, guint64 linear,
        MosePageWalk *walk)
{
    for (; level > 0; level--) {
        int shift = 12 + 9 * (level - 1);

        note_level(walk, linear, level, shift);
        if (!read_entry(read, data, table + (linear >> shift & 0x1ff) * 8, 8, walk))
            return FALSE;
        note_rights(walk);
        table = walk->entry & ENTRY_ADDRESS;
        if (level == 1 || (level <= 3 && (walk->entry & ENTRY_LARGE)))
            return arrive(walk, table, linear, shift);
    }
    return FALSE;
}

/* The first level of PAE has four entries, in which bits 1, 2 and 7 mean nothing. */
static gboolean
walk_pae(const MosePaging *paging, MosePhysicalRead read, gpointer data, guint32 linear,
         MosePageWalk *walk)
{
    note_level(walk, linear, 3, 30);
    return read_entry(read, data, (paging->cr3 & 0xffffffe0) + (linear >> 30) * 8, 8,
                      walk) &&
           walk_64(read, data, walk->entry & ENTRY_ADDRESS, 2, linear, walk);
}

/* Whether the bits above those that are translated are copies of the highest of them.
 */
static gboolean
is_canonical(guint64 linear, int levels)
{
    int unused = 64 - (12 + 9 * levels);

    return (guint64)((gint64)(linear << unused) >> unused) == linear;
}

gboolean
mose_page_walk(const MosePaging *paging, MosePhysicalRead read, gpointer data,
               guint64 linear, MosePageWalk *ret)
{
    int levels = mose_paging_levels(paging);

    *ret = (MosePageWalk){
        .state = MOSE_PAGE_ABSENT, .writable = TRUE, .executable = TRUE, .user = TRUE
    };
    switch (levels) {
    case 0:
        note_level(ret, (guint32)linear, 0, 32);
        return arrive(ret, 0, (guint32)linear, 32);
    case 2:
        return walk_32(paging, read, data, linear, ret);
    case 3:
        return walk_pae(paging, read, data, linear, ret);
    default:
        if (!is_canonical(linear, levels)) {
            ret->left = 4096 - linear % 4096;
            return FALSE;
        }
        return walk_64(read, data, paging->cr3 & ENTRY_ADDRESS, levels, linear, ret);
    }
}

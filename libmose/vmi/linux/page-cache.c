/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages of files. See page-cache.h.
 *
 * They are in an xarray (Linux include/linux/xarray.h): a pointer with bit 1 is to a
 * node of 64 slots (or, below 4096, a sibling of an entry before it, or "retry"), with
 * bit 0 no pointer at all: of tmpfs, where the page is in swap, of others, that it was
 * there once (mm/workingset.c).
 */
#include "vmi/linux/page-cache.h"

#include <string.h>

#include "util/error.h"

#define PAGE 4096
#define HEX G_GINT64_MODIFIER "x"
/* Linux include/uapi/linux/magic.h */
#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define HUGETLBFS_MAGIC 0x958458f6
/* No folio of x86's is larger than 1 GB. */
#define MAX_FOLIO_PAGES (1u << 18)

/* --- files --- */

static void
read_filesystem(MoseLinux *kernel, guint64 superblock, MosePageCache *file)
{
    g_autofree char *text = NULL, *printable = NULL;
    guint64 type, name;

    if (mose_object_peek(kernel, "super_block", superblock, "s_type", &type, NULL) &&
        mose_object_peek(kernel, "file_system_type", type, "name", &name, NULL))
        text = mose_space_read_text(kernel->space, name, sizeof(file->filesystem) - 1,
                                    NULL);
    printable = mose_vmi_printable(text ? text : "?");
    g_strlcpy(file->filesystem, printable, sizeof(file->filesystem));
}

gboolean
mose_page_cache_of_inode(MoseLinux *kernel, guint64 inode, MosePageCache *ret,
                         GError **error)
{
    guint64 superblock, magic, mode;

    *ret = (MosePageCache){ .inode = inode };
    if (!mose_object_peek(kernel, "inode", inode, "i_mapping", &ret->mapping, error) ||
        !mose_object_peek(kernel, "inode", inode, "i_size", &ret->size, error) ||
        !mose_object_peek(kernel, "inode", inode, "i_ino", &ret->number, error) ||
        !mose_object_peek(kernel, "inode", inode, "i_mode", &mode, error) ||
        !mose_object_peek(kernel, "inode", inode, "i_sb", &superblock, error) ||
        !mose_object_peek(kernel, "super_block", superblock, "s_magic", &magic, error))
        return FALSE;
    ret->mode = mode;
    ret->in_memory = magic == TMPFS_MAGIC || magic == RAMFS_MAGIC;
    read_filesystem(kernel, superblock, ret);
    if (magic != HUGETLBFS_MAGIC)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "the file of the inode at 0x%" HEX
                " is on hugetlbfs, whose pages are kept in another way",
                inode);
    return FALSE;
}

const char *
mose_cache_state_name(MoseCacheState state)
{
    static const char *const names[MOSE_CACHE_N_STATES] = {
        "there", "a hole", "not in memory", "swapped out", "not read yet",
    };

    return names[state];
}

/* --- the xarray --- */

enum { VALUE = 1, INTERNAL = 2, KIND = 3, MAX_SPECIAL = 4096, SLOTS = 64, SHIFT = 6 };

typedef struct {
    guint64 shift, slots; /* where they are in a node */
} Nodes;

static gboolean
find_nodes(MoseLinux *kernel, Nodes *ret, GError **error)
{
    gsize size;

    if (!mose_object_offset(kernel, "xa_node", "shift", &ret->shift, NULL, error) ||
        !mose_object_offset(kernel, "xa_node", "slots", &ret->slots, &size, error))
        return FALSE;
    if (size == SLOTS * 8)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "a node of the kernel's xarray has %" G_GSIZE_FORMAT
                " bytes of slots, not %d",
                size, SLOTS * 8);
    return FALSE;
}

static gboolean
changed(guint64 at, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the pages of a file changed while they were read, at 0x%" HEX, at);
    return FALSE;
}

static gboolean
is_node(guint64 entry)
{
    return (entry & KIND) == INTERNAL && entry > MAX_SPECIAL;
}

/* The entry in the node at @node for @index; *@shift is the node's before, and this
 * one's afterwards: each level's is smaller, so there are at most 11. */
static gboolean
descend(MoseLinux *kernel, const Nodes *nodes, guint64 index, guint *shift,
        guint64 *entry, GError **error)
{
    guint64 node = *entry - INTERNAL, own, sibling;
    guint slot;

    if (!mose_space_read_number(kernel->space, node + nodes->shift, 1, &own, NULL) ||
        own >= *shift || own % SHIFT != 0)
        return changed(node, error);
    slot = index >> own & (SLOTS - 1);
    if (*shift == 64 && own + SHIFT < 64 && index >> (own + SHIFT) != 0) {
        *entry = 0; /* behind the last page there is */
        return TRUE;
    }
    if (!mose_space_read_number(kernel->space, node + nodes->slots + slot * 8, 8, entry,
                                NULL))
        return changed(node, error);
    sibling = *entry >> 2;
    if ((*entry & KIND) == INTERNAL && sibling < SLOTS &&
        !mose_space_read_number(kernel->space, node + nodes->slots + sibling * 8, 8,
                                entry, NULL))
        return changed(node, error);
    *shift = own;
    return TRUE;
}

/* The entry for @index, 0 if there is none. */
static gboolean
load(MoseLinux *kernel, guint64 mapping, guint64 index, guint64 *ret, GError **error)
{
    Nodes nodes;
    guint shift = 64;

    if (!find_nodes(kernel, &nodes, error) ||
        !mose_object_peek(kernel, "address_space", mapping, "i_pages.xa_head", ret,
                          error))
        return FALSE;
    if (!is_node(*ret) && index > 0)
        *ret = 0; /* an array of one entry has that of index 0 */
    while (is_node(*ret))
        if (!descend(kernel, &nodes, index, &shift, ret, error))
            return FALSE;
    /* What is left of the special ones is "retry". */
    return (*ret & KIND) != INTERNAL || changed(mapping, error);
}

/* --- pages --- */

gboolean
mose_page_to_physical(MoseLinux *kernel, guint64 page, guint64 *ret, GError **error)
{
    guint64 base, at, number;
    gint64 size =
        mose_types_size(kernel->types, mose_types_find(kernel->types, "page"));

    if (mose_linux_symbol(kernel, "vmemmap_base", &at, NULL)) {
        if (!mose_space_read_number(kernel->space, at, 8, &base, error))
            return FALSE;
    } else {
        base = mose_paging_levels(mose_space_paging(kernel->space)) == 5
                   ? G_GUINT64_CONSTANT(0xffd4000000000000)
                   : G_GUINT64_CONSTANT(0xffffea0000000000);
    }
    number = size > 0 ? (page - base) / size : 0;
    if (size > 0 && page >= base && (page - base) % size == 0 &&
        number < G_GUINT64_CONSTANT(1) << 40) {
        *ret = number * PAGE;
        return TRUE;
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "0x%" HEX " is no struct page of the guest's", page);
    return FALSE;
}

/* Since 5.16 a folio is what a file has; before, a page, which may be a compound one's
 * first. */
static const char *
page_type(MoseLinux *kernel)
{
    return mose_types_find(kernel->types, "folio") ? "folio" : "page";
}

/* PG_uptodate is the number of a bit (include/linux/page-flags.h). 6.18 put the flags
 * into a struct of their own. */
static gboolean
is_uptodate(MoseLinux *kernel, const char *type, guint64 page)
{
    gint64 bit;
    guint64 flags;

    if (!mose_types_enumerator(kernel->types, "PG_uptodate", &bit) || bit < 0 ||
        bit > 63)
        return TRUE;
    if (!mose_object_peek(kernel, type, page, "flags.f", &flags, NULL) &&
        !mose_object_peek(kernel, type, page, "flags", &flags, NULL))
        return FALSE;
    return flags >> bit & 1;
}

/* The folio at @folio has page @index of @file. */
static gboolean
place(MoseLinux *kernel, const MosePageCache *file, guint64 folio, guint64 index,
      MoseCacheState *ret, guint64 *ret_physical, GError **error)
{
    const char *type = page_type(kernel);
    guint64 mapping, first;

    if (!mose_object_peek(kernel, type, folio, "mapping", &mapping, error) ||
        !mose_object_peek(kernel, type, folio, "index", &first, error) ||
        !mose_page_to_physical(kernel, folio, ret_physical, error))
        return FALSE;
    if (mapping != file->mapping || index < first || index - first >= MAX_FOLIO_PAGES)
        return changed(folio, error);
    *ret_physical += (index - first) * PAGE;
    *ret = is_uptodate(kernel, type, folio) ? MOSE_CACHED : MOSE_CACHE_UNREAD;
    return TRUE;
}

static gboolean
find_page(MoseLinux *kernel, const MosePageCache *file, guint64 index,
          MoseCacheState *ret, guint64 *ret_physical, GError **error)
{
    guint64 entry;

    if (!load(kernel, file->mapping, index, &entry, error))
        return FALSE;
    if (entry != 0 && !(entry & VALUE))
        return place(kernel, file, entry, index, ret, ret_physical, error);
    if (entry & VALUE)
        *ret = file->in_memory ? MOSE_CACHE_SWAPPED : MOSE_CACHE_MISSING;
    else
        *ret = file->in_memory ? MOSE_CACHE_HOLE : MOSE_CACHE_MISSING;
    return TRUE;
}

typedef struct {
    const MosePageCache *file;
    guint64 index, physical;
    MoseCacheState state;
} Find;

static gboolean
try_find(MoseLinux *kernel, gpointer data, GError **error)
{
    Find *find = data;

    return find_page(kernel, find->file, find->index, &find->state, &find->physical,
                     error);
}

gboolean
mose_page_cache_find(MoseLinux *kernel, const MosePageCache *file, guint64 index,
                     MoseCacheState *ret, guint64 *ret_physical, GError **error)
{
    Find find = { file, index, 0, MOSE_CACHED };

    if (!mose_linux_retry(kernel, try_find, &find, NULL, error))
        return FALSE;
    *ret = find.state;
    *ret_physical = find.physical;
    return TRUE;
}

/* --- reading --- */

/* At most a page, within one. */
static gboolean
read_some(MoseLinux *kernel, const MosePageCache *file, guint64 offset, void *to,
          gsize len, GError **error)
{
    guint64 physical;
    MoseCacheState state;

    if (!find_page(kernel, file, offset / PAGE, &state, &physical, error))
        return FALSE;
    if (state == MOSE_CACHE_HOLE) {
        memset(to, 0, len);
        return TRUE;
    }
    if (state == MOSE_CACHED)
        return mose_memory_read(kernel->memory, physical + offset % PAGE, to, len,
                                error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "the file's page at offset 0x%" HEX " is %s", offset / PAGE * PAGE,
                mose_cache_state_name(state));
    return FALSE;
}

typedef struct {
    const MosePageCache *file;
    guint64 offset;
    void *to;
    gsize len;
} Some;

static gboolean
try_some(MoseLinux *kernel, gpointer data, GError **error)
{
    const Some *some = data;

    return read_some(kernel, some->file, some->offset, some->to, some->len, error);
}

gboolean
mose_page_cache_read(MoseLinux *kernel, const MosePageCache *file, guint64 offset,
                     void *to, gsize len, gsize *ret_got, GError **error)
{
    gsize got = 0;
    gboolean good = TRUE;

    while (good && got < len && offset + got < file->size) {
        gsize step = MIN(len - got, PAGE - (offset + got) % PAGE);
        Some some = { file, offset + got, (guint8 *)to + got,
                      MIN(step, file->size - offset - got) };

        good = mose_linux_retry(kernel, try_some, &some, NULL, error);
        if (good)
            got += some.len;
    }
    if (ret_got)
        *ret_got = got;
    if (!good || got == len)
        return good;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "the file ends at 0x%" HEX,
                file->size);
    return FALSE;
}

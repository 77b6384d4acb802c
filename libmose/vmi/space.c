/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual memory of a guest, with the translations that were needed last. See space.h.
 */
#include "vmi/space.h"

#include <string.h>

#include "util/error.h"

/* By page number modulo this; a power of two. */
#define KEPT 1024
#define PAGE 4096

typedef struct {
    guint64 page; /* linear address | 1: in use */
    guint64 physical;
} Kept;

struct MoseSpace {
    MoseMemory *memory;
    MosePaging paging;
    MoseSpaceExplain explain;
    Kept kept[KEPT];
};

MoseSpace *
mose_space_new(MoseMemory *memory, const MosePaging *paging)
{
    MoseSpace *space = g_new0(MoseSpace, 1);

    space->memory = memory;
    space->paging = *paging;
    return space;
}

void
mose_space_free(MoseSpace *space)
{
    g_free(space);
}

MoseMemory *
mose_space_memory(const MoseSpace *space)
{
    return space->memory;
}

const MosePaging *
mose_space_paging(const MoseSpace *space)
{
    return &space->paging;
}

void
mose_space_forget(MoseSpace *space)
{
    memset(space->kept, 0, sizeof(space->kept));
    mose_memory_forget(space->memory);
}

void
mose_space_set_explain(MoseSpace *space, MoseSpaceExplain explain)
{
    space->explain = explain;
}

const char *
mose_space_why(MoseSpace *space, MosePageWalk *walk)
{
    const char *why = NULL;

    if (walk->state == MOSE_PAGE_MAPPED)
        return NULL;
    if (walk->state == MOSE_PAGE_BROKEN)
        return "its page table is not in RAM";
    if (walk->entry && space->explain) {
        why = space->explain(walk);
        if (walk->state == MOSE_PAGE_MAPPED)
            return NULL;
    }
    return why ? why : "not mapped";
}

/* *@ret_why: what is in the way. */
static gboolean
walk(MoseSpace *space, guint64 address, MosePageWalk *ret, const char **ret_why)
{
    mose_page_walk(&space->paging, mose_memory_peek, space->memory, address, ret);
    *ret_why = mose_space_why(space, ret);
    return !*ret_why;
}

gboolean
mose_space_page(MoseSpace *space, guint64 address, MosePageWalk *ret)
{
    const char *why;

    return walk(space, address, ret, &why);
}

static gboolean
translate(MoseSpace *space, guint64 address, guint64 *ret, const char **ret_why)
{
    guint64 page = address / PAGE * PAGE;
    Kept *kept = &space->kept[address / PAGE % KEPT];
    MosePageWalk found;

    if (kept->page != (page | 1)) {
        if (!walk(space, page, &found, ret_why))
            return FALSE;
        *kept = (Kept){ page | 1, found.physical };
    }
    *ret = kept->physical + address % PAGE;
    return TRUE;
}

static void
set_error(const MoseSpace *space, guint64 address, const char *why, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "%s: 0x%" G_GINT64_MODIFIER "x cannot be read: %s",
                mose_memory_name(space->memory), address, why);
}

gboolean
mose_space_translate(MoseSpace *space, guint64 address, guint64 *ret, GError **error)
{
    const char *why;

    if (translate(space, address, ret, &why))
        return TRUE;
    set_error(space, address, why, error);
    return FALSE;
}

gboolean
mose_space_read(MoseSpace *space, guint64 address, void *to, gsize len, gsize *ret_got,
                GError **error)
{
    const char *why = "it is no RAM";
    gsize got = 0;

    while (got < len) {
        gsize step = MIN(len - got, PAGE - (address + got) % PAGE);
        guint64 physical;

        if (!translate(space, address + got, &physical, &why) ||
            !mose_memory_peek(space->memory, physical, (guint8 *)to + got, step))
            break;
        got += step;
    }
    if (ret_got)
        *ret_got = got;
    if (got == len)
        return TRUE;
    set_error(space, address + got, why, error);
    return FALSE;
}

gboolean
mose_space_read_number(MoseSpace *space, guint64 address, gsize size, guint64 *ret,
                       GError **error)
{
    guint8 bytes[8];

    g_return_val_if_fail(size <= sizeof(bytes), FALSE);
    if (!mose_space_read(space, address, bytes, size, NULL, error))
        return FALSE;
    *ret = 0;
    for (gsize i = size; i > 0; i--)
        *ret = *ret << 8 | bytes[i - 1];
    return TRUE;
}

char *
mose_space_read_text(MoseSpace *space, guint64 address, gsize max, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    while (text->len < max) {
        char piece[256];
        gsize want = MIN(sizeof(piece), max - text->len), len, got;

        if (!mose_space_read(space, address + text->len, piece, want, &got, error)) {
            /* The rest of the page may have all of it. */
            if (!memchr(piece, '\0', got))
                return NULL;
            g_clear_error(error);
        }
        len = strnlen(piece, got);
        g_string_append_len(text, piece, len);
        if (len < got)
            break;
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

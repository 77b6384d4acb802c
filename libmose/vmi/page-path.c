/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A page walk, entry by entry. See page-path.h. The walk itself is x86/page-walk.c's:
 * it is listened to. */
#include "vmi/page-path.h"

#include <string.h>

/* SDM 3A, tables 4-5 to 4-20 */
enum {
    PRESENT = 1 << 0,
    WRITABLE = 1 << 1,
    USER = 1 << 2,
    WRITE_THROUGH = 1 << 3,
    CACHE_DISABLED = 1 << 4,
    ACCESSED = 1 << 5,
    DIRTY = 1 << 6,
    LARGE = 1 << 7,
    GLOBAL = 1 << 8,
};
#define NO_EXECUTE (G_GUINT64_CONSTANT(1) << 63)

typedef struct {
    MoseSpace *space;
    MosePagePath *path;
} Listener;

static gboolean
listen(gpointer data, guint64 address, void *to, gsize len)
{
    Listener *listener = data;
    MosePagePath *path = listener->path;
    guint8 bytes[8] = { 0 };
    MosePageStep *step;

    if (path->n == MOSE_PAGE_PATH_MAX || len > sizeof(bytes))
        return FALSE;
    step = &path->steps[path->n++];
    *step = (MosePageStep){ .level = path->levels - (int)path->n + 1,
                            .at = address,
                            .size = len };
    step->readable =
        mose_memory_peek(mose_space_memory(listener->space), address, bytes, len);
    memcpy(to, bytes, len);
    for (gsize i = len; i > 0; i--)
        step->entry = step->entry << 8 | bytes[i - 1];
    return step->readable;
}

void
mose_page_path(MoseSpace *space, guint64 address, MosePagePath *ret)
{
    const MosePaging *paging = mose_space_paging(space);
    Listener listener = { space, ret };

    *ret = (MosePagePath){ .levels = mose_paging_levels(paging) };
    mose_page_walk(paging, listen, &listener, address, &ret->walk);
    ret->canonical = ret->n > 0 || ret->walk.state != MOSE_PAGE_ABSENT;
    ret->why = mose_space_why(space, &ret->walk);
    if (!ret->canonical)
        ret->why = "the address is not canonical";
}

guint64
mose_page_size(const MosePageStep *step, int levels)
{
    int bits = levels == 2 ? 10 : 9;

    if (!step->readable || !(step->entry & PRESENT))
        return 0;
    if (step->level > 1 &&
        (!(step->entry & LARGE) || step->level == levels || step->level > 3) &&
        !(levels == 2 && step->level == 2 && (step->entry & LARGE)))
        return 0;
    return G_GUINT64_CONSTANT(1) << (12 + bits * (step->level - 1));
}

char *
mose_page_flags(const MosePageStep *step, int levels)
{
    static const struct {
        guint64 bit;
        const char *name;
    } flags[] = {
        { PRESENT, "P" },         { WRITABLE, "RW" },        { USER, "US" },
        { WRITE_THROUGH, "PWT" }, { CACHE_DISABLED, "PCD" }, { ACCESSED, "A" },
        { DIRTY, "D" },           { LARGE, "PS" },           { GLOBAL, "G" },
        { NO_EXECUTE, "NX" },
    };
    gboolean page = mose_page_size(step, levels) > 0;
    GString *text = g_string_new(NULL);

    if (!(step->entry & PRESENT))
        return g_string_free(g_string_append(text, "not present"), FALSE);
    for (gsize i = 0; i < G_N_ELEMENTS(flags); i++) {
        /* Of an entry that leads to a table they mean nothing; bit 7 of the lowest
         * level is PAT. */
        if (!(step->entry & flags[i].bit) ||
            (!page && (flags[i].bit == DIRTY || flags[i].bit == GLOBAL)))
            continue;
        g_string_append_printf(
            text, "%s%s", text->len ? " " : "",
            flags[i].bit == LARGE && step->level == 1 ? "PAT" : flags[i].name);
    }
    return g_string_free(text, FALSE);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A direct-mapped cache of blocks; see core-cache.h. */
#include "vmi/core-cache.h"

#include <string.h>

#define SLOT_BITS 9
#define N_SLOTS (1u << SLOT_BITS)

typedef struct {
    gboolean valid;
    guint64 number;
    gsize len;
    guint8 *bytes;
} Slot;

struct MoseCoreCache {
    MoseCoreFill fill;
    gpointer data;
    Slot slots[N_SLOTS];
};

MoseCoreCache *
mose_core_cache_new(MoseCoreFill fill, gpointer data)
{
    MoseCoreCache *cache = g_new0(MoseCoreCache, 1);

    cache->fill = fill;
    cache->data = data;
    return cache;
}

void
mose_core_cache_free(MoseCoreCache *cache)
{
    if (!cache)
        return;
    for (guint i = 0; i < N_SLOTS; i++)
        g_free(cache->slots[i].bytes);
    g_free(cache);
}

/* Spread, so that tables at the same place of different megabytes do not collide. */
static guint
slot_of(guint64 number)
{
    return number * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15) >> (64 - SLOT_BITS);
}

static const Slot *
get(MoseCoreCache *cache, guint64 number)
{
    Slot *slot = &cache->slots[slot_of(number)];

    if (slot->valid && slot->number == number)
        return slot;
    if (!slot->bytes)
        slot->bytes = g_malloc(MOSE_CORE_BLOCK);
    slot->number = number;
    slot->valid = cache->fill(cache->data, number, slot->bytes, &slot->len);
    return slot->valid ? slot : NULL;
}

gboolean
mose_core_cache_read(MoseCoreCache *cache, guint64 offset, void *to, gsize len)
{
    guint8 *at = to;

    while (len > 0) {
        gsize inside = offset % MOSE_CORE_BLOCK;
        gsize n = MIN(len, MOSE_CORE_BLOCK - inside);
        const Slot *slot = get(cache, offset / MOSE_CORE_BLOCK);

        if (!slot || inside + n > slot->len)
            return FALSE;
        memcpy(at, slot->bytes + inside, n);
        at += n;
        offset += n;
        len -= n;
    }
    return TRUE;
}

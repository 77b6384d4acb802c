/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as page tables, in each of the processor's modes. A walk reads
 * at most five entries, and what it finds lies in the page that it tells of. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "x86/page-walk.h"

typedef struct {
    const guint8 *bytes;
    gsize size;
    guint reads;
} Ram;

static gboolean
read_ram(gpointer data, guint64 address, void *to, gsize len)
{
    Ram *ram = data;

    ram->reads++;
    if (address >= ram->size || len > ram->size - address)
        return FALSE;
    memcpy(to, ram->bytes + address, len);
    return TRUE;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    MosePaging paging;
    guint64 linear;
    MosePageWalk walk;
    Ram ram;

    if (size < sizeof(paging) + sizeof(linear))
        return 0;
    memcpy(&paging, data, sizeof(paging));
    memcpy(&linear, data + sizeof(paging), sizeof(linear));
    ram = (Ram){ data + sizeof(paging) + sizeof(linear),
                 size - sizeof(paging) - sizeof(linear), 0 };
    FUZZ_CHECK(mose_page_walk(&paging, read_ram, &ram, linear, &walk) ==
               (walk.state == MOSE_PAGE_MAPPED));
    FUZZ_CHECK(ram.reads <= 5);
    FUZZ_CHECK(walk.left > 0 && walk.left <= (guint64)1 << 57);
    FUZZ_CHECK(walk.state != MOSE_PAGE_MAPPED || walk.physical % 4096 == linear % 4096);
    return 0;
}

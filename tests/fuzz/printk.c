/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as a ring buffer of printk's. The first byte: below
 * 128, the structured one, whose newest record is at that descriptor, with what is
 * behind as descriptors, infos, text, and, if there is so much, descriptors of later;
 * else the old one, with first and next index and a number of records before its
 * buffer. No more text comes out than is in, and its numbers
 * ascend.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/printk-ring.h"

static void
check_log(const MosePrintkLog *log, gsize size)
{
    gsize total = 0;

    for (guint i = 0; i < log->records->len; i++) {
        const MosePrintkRecord *record = log->records->pdata[i];

        FUZZ_CHECK(record->text && record->level < 8);
        FUZZ_CHECK(i == 0 ||
                   ((MosePrintkRecord *)log->records->pdata[i - 1])->seq < record->seq);
        FUZZ_CHECK(g_utf8_validate(record->text, -1, NULL));
        total += strlen(record->text);
    }
    FUZZ_CHECK(total <= size * 4); /* \xNN */
}

static void
fuzz_structured(const guint8 *data, size_t size, guint newest)
{
    g_autofree Prb *prb = prb_new();
    g_autofree guint8 *then = NULL;
    g_autoptr(MosePrintkLog) log = NULL;
    guint8 *const parts[] = { prb->descs, prb->infos, prb->text };
    const gsize sizes[] = { sizeof(prb->descs), sizeof(prb->infos), sizeof(prb->text) };

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        gsize len = MIN(size, sizes[i]);

        memcpy(parts[i], data, len);
        data += len;
        size -= len;
    }
    then = g_memdup2(prb->descs, sizeof(prb->descs));
    memcpy(then, data, MIN(size, sizeof(prb->descs)));
    prb->copy.descs_then = then;
    prb->copy.head_id = prb_get(prb->descs, newest % PRB_COUNT, 0);
    log = prb_parse(prb, 0);
    check_log(log, PRB_SIZE);
}

static void
fuzz_old(const guint8 *data, size_t size)
{
    MoseLogCopy copy = { .layout = log_layout };
    g_autoptr(MosePrintkLog) log = mose_printk_log_new();

    if (size < 5)
        return;
    copy.first_idx = data[0] | data[1] << 8;
    copy.next_idx = data[2] | data[3] << 8;
    copy.next_seq = data[4];
    copy.buffer = data + 5;
    copy.size = size - 5;
    mose_log_parse(&copy, 0, log, NULL);
    check_log(log, size);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] < 128)
        fuzz_structured(data + 1, size - 1, data[0]);
    else
        fuzz_old(data + 1, size - 1);
    return 0;
}

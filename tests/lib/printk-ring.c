/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rings that are written as Linux writes them. See printk-ring.h. */
#include "lib/printk-ring.h"

#include <string.h>

#define ID_MASK (G_MAXUINT64 >> 2)
#define ALIGN8(n) (((n) + 7) & ~(gsize)7)

const MosePrbLayout prb_layout = {
    .desc_size = PRB_DESC,
    .state = { .offset = 0, .size = 8 },
    .begin = { .offset = 8, .size = 8 },
    .next = { .offset = 16, .size = 8 },
    .info_size = PRB_INFO,
    .seq = { .offset = 0, .size = 8 },
    .ts_nsec = { .offset = 8, .size = 8 },
    .text_len = { .offset = 16, .size = 2 },
    .facility = { .offset = 18, .size = 1 },
    .level = { .offset = 19, .size = 1, .bit = 5, .bits = 3 },
    .caller_id = { .offset = 20, .size = 4 },
    .subsystem = { .offset = 24, .size = 16 },
    .device = { .offset = 40, .size = 48 },
};

const MoseLogLayout log_layout = {
    .header_size = LOG_HEADER,
    .ts_nsec = { .offset = 0, .size = 8 },
    .len = { .offset = 8, .size = 2 },
    .text_len = { .offset = 10, .size = 2 },
    .dict_len = { .offset = 12, .size = 2 },
    .facility = { .offset = 14, .size = 1 },
    .level = { .offset = 15, .size = 1, .bit = 5, .bits = 3 },
};

static void
put(guint8 *to, guint64 value, gsize size)
{
    for (gsize i = 0; i < size; i++)
        to[i] = value >> i * 8 & 0xff;
}

static guint64
get(const guint8 *from, gsize size)
{
    guint64 value = 0;

    for (gsize i = size; i > 0; i--)
        value = value << 8 | from[i - 1];
    return value;
}

/* --- the structured one --- */

guint64
prb_get(const guint8 *descs, guint index, guint word)
{
    return get(descs + (gsize)index * PRB_DESC + (gsize)word * 8, 8);
}

void
prb_set(guint8 *descs, guint index, guint word, guint64 value)
{
    put(descs + (gsize)index * PRB_DESC + (gsize)word * 8, value, 8);
}

void
prb_set_state(Prb *prb, guint index, guint64 state)
{
    guint64 id = prb_get(prb->descs, index, 0) & ID_MASK;

    prb_set(prb->descs, index, 0, id | state << 62);
}

guint8 *
prb_info(Prb *prb, guint index)
{
    return prb->infos + (gsize)index * PRB_INFO;
}

/* DESC0_ID and BLK0_LPOS: both overflow soon. The last descriptor is the first tail. */
Prb *
prb_new(void)
{
    Prb *prb = g_new0(Prb, 1);

    prb->id = (guint64)-PRB_COUNT & ID_MASK;
    prb->lpos = (guint64)-PRB_SIZE;
    prb_set(prb->descs, PRB_COUNT - 1, 0, (prb->id - 1) | (guint64)3 << 62);
    prb_set(prb->descs, PRB_COUNT - 1, 1, 1);
    prb_set(prb->descs, PRB_COUNT - 1, 2, 1);
    put(prb_info(prb, 0), (guint64)-PRB_COUNT, 8);
    prb->copy = (MosePrbCopy){ .layout = prb_layout,
                               .count_bits = PRB_COUNT_BITS,
                               .size_bits = PRB_SIZE_BITS,
                               .head_id = prb->id - 1,
                               .descs = prb->descs,
                               .descs_then = prb->descs,
                               .infos = prb->infos,
                               .text = prb->text };
    return prb;
}

/* Those whose text is more than a ring behind @next, and have one. */
static void
drop_old(Prb *prb, guint64 next)
{
    for (guint i = 0; i < PRB_COUNT; i++) {
        guint64 begin = prb_get(prb->descs, i, 1);

        if (prb_get(prb->descs, i, 0) >> 62 == 2 && !(begin & 1) &&
            next - begin > PRB_SIZE)
            prb_set_state(prb, i, 3);
    }
}

static guint64
alloc_text(Prb *prb, guint64 id, guint index, gsize size, gsize *ret_at)
{
    guint64 begin = prb->lpos, next = begin + size;
    guint64 last = prb->fits_exactly ? next - 1 : next;

    *ret_at = begin % PRB_SIZE;
    if (begin / PRB_SIZE != last / PRB_SIZE) {
        put(prb->text + *ret_at, id, 8);
        next = last / PRB_SIZE * PRB_SIZE + size;
        *ret_at = 0;
    }
    drop_old(prb, next);
    put(prb->text + *ret_at, id, 8);
    prb_set(prb->descs, index, 1, begin);
    prb_set(prb->descs, index, 2, next);
    return next;
}

guint
prb_write(Prb *prb, const char *text, gsize len)
{
    guint64 id = prb->id;
    guint index = id % PRB_COUNT;
    guint8 *info = prb_info(prb, index);
    gsize at;

    prb_set(prb->descs, index, 0, id);
    memset(info, 0, PRB_INFO);
    put(info, prb->seq, 8);
    put(info + 8, prb->seq * 1000, 8);
    put(info + 16, len, 2);
    info[18] = 1;
    info[19] = 6 << 5;
    if (len > 0) {
        prb->lpos = alloc_text(prb, id, index, ALIGN8(len + 8), &at);
        memcpy(prb->text + at + 8, text, len);
    } else {
        prb_set(prb->descs, index, 1, 3);
        prb_set(prb->descs, index, 2, 3);
    }
    prb_set_state(prb, index, 2);
    prb->copy.head_id = id;
    prb->id = (id + 1) & ID_MASK;
    prb->seq++;
    return index;
}

MosePrintkLog *
prb_parse(const Prb *prb, guint64 since)
{
    MosePrintkLog *log = mose_printk_log_new();

    mose_prb_parse(&prb->copy, since, log);
    return log;
}

/* --- the old one --- */

OldLog *
old_log_new(void)
{
    OldLog *log = g_new0(OldLog, 1);

    log->copy =
        (MoseLogCopy){ .layout = log_layout, .buffer = log->buffer, .size = PRB_SIZE };
    return log;
}

static gsize
next_of(const OldLog *log, gsize at)
{
    gsize len = get(log->buffer + at + 8, 2);

    return len ? at + len : get(log->buffer + 8, 2);
}

/* logbuf_has_space(): there has to be room for an empty header behind, too. */
static gboolean
has_room(const OldLog *log, gsize size)
{
    const MoseLogCopy *copy = &log->copy;
    gsize room;

    if (copy->first_seq == copy->next_seq || copy->next_idx > copy->first_idx)
        room = MAX(PRB_SIZE - copy->next_idx, copy->first_idx);
    else
        room = copy->first_idx - copy->next_idx;
    return room >= size + LOG_HEADER;
}

void
old_log_write(OldLog *log, const char *text, const char *dict, gsize dict_len)
{
    MoseLogCopy *copy = &log->copy;
    gsize text_len = strlen(text), len = ALIGN8(LOG_HEADER + text_len + dict_len);
    guint8 *at;

    while (copy->first_seq < copy->next_seq && !has_room(log, len)) {
        copy->first_idx = next_of(log, copy->first_idx);
        copy->first_seq++;
    }
    if (copy->next_idx + len + LOG_HEADER > PRB_SIZE) {
        memset(log->buffer + copy->next_idx, 0, LOG_HEADER);
        copy->next_idx = 0;
    }
    at = log->buffer + copy->next_idx;
    memset(at, 0, len);
    put(at, copy->next_seq * 1000, 8);
    put(at + 8, len, 2);
    put(at + 10, text_len, 2);
    put(at + 12, dict_len, 2);
    at[15] = 4 << 5;
    memcpy(at + LOG_HEADER, text, text_len);
    if (dict_len)
        memcpy(at + LOG_HEADER + text_len, dict, dict_len);
    copy->next_idx += len;
    copy->next_seq++;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring of before Linux 5.10 (kernel/printk/printk.c): records of a header, a text
 * and a dictionary one behind the other in a buffer, from first_idx to next_idx. One
 * that does not fit in before the end lies at the beginning, and a header of length 0
 * says so (log_next(), log_store()).
 */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/printk-ring.h"

static gboolean
is_damaged(const MoseLogCopy *copy, guint64 seq, gsize at, const char *what,
           GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the guest's kernel log, record %" G_GUINT64_FORMAT
                " at offset %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT ": %s",
                seq, at, copy->size, what);
    return FALSE;
}

/* "KEY=value" strings, ended by NULs (log_store()'s dict). */
static char **
read_dictionary(const guint8 *bytes, gsize len)
{
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();

    if (len == 0)
        return NULL;
    for (gsize at = 0; at < len;) {
        gsize word_len = strnlen((const char *)bytes + at, len - at);
        g_autofree char *word = mose_printk_text(bytes + at, word_len);

        g_strv_builder_add(words, word);
        at += word_len + 1;
    }
    return g_strv_builder_end(words);
}

/* The record at @at, whose header lies within the buffer. *@ret_len: its length. */
static MosePrintkRecord *
read_record(const MoseLogCopy *copy, guint64 seq, gsize at, gsize *ret_len,
            GError **error)
{
    const MoseLogLayout *layout = &copy->layout;
    const guint8 *header = copy->buffer + at;
    gsize len = mose_printk_number(header, &layout->len);
    gsize text_len = mose_printk_number(header, &layout->text_len);
    gsize dict_len = mose_printk_number(header, &layout->dict_len);
    MosePrintkRecord *record;

    if (len < layout->header_size || len > copy->size - at ||
        text_len + dict_len > len - layout->header_size) {
        is_damaged(copy, seq, at, "its length cannot be", error);
        return NULL;
    }
    record = g_new0(MosePrintkRecord, 1);
    record->seq = seq;
    record->ts_nsec = mose_printk_number(header, &layout->ts_nsec);
    record->facility = mose_printk_number(header, &layout->facility);
    record->level = mose_printk_number(header, &layout->level);
    record->caller_id =
        layout->caller_id.size
            ? (gint64)(mose_printk_number(header, &layout->caller_id) & G_MAXUINT32)
            : -1;
    record->text = mose_printk_text(header + layout->header_size, text_len);
    record->dictionary =
        read_dictionary(header + layout->header_size + text_len, dict_len);
    *ret_len = len;
    return record;
}

/* Whether the record at *@at is at the beginning instead, where *@at goes then. */
static gboolean
go_round(const MoseLogCopy *copy, guint64 seq, gsize *at, GError **error)
{
    for (int round = 0; round < 2; round++) {
        if (*at > copy->size || copy->size - *at < copy->layout.header_size)
            return is_damaged(copy, seq, *at, "it lies outside of the buffer", error);
        if (mose_printk_number(copy->buffer + *at, &copy->layout.len) != 0)
            return TRUE;
        *at = 0;
    }
    return is_damaged(copy, seq, *at, "it has no length", error);
}

/* Each record has a header at least, so that there are no more steps than fit in. */
gboolean
mose_log_parse(const MoseLogCopy *copy, guint64 since, MosePrintkLog *log,
               GError **error)
{
    gsize at = copy->first_idx, total = 0;

    for (guint64 seq = copy->first_seq; seq < copy->next_seq; seq++) {
        MosePrintkRecord *record;
        gsize len;

        if (!go_round(copy, seq, &at, error) ||
            !(record = read_record(copy, seq, at, &len, error)))
            return FALSE;
        at += len;
        total += len;
        if (seq >= since)
            g_ptr_array_add(log->records, record);
        else
            mose_printk_record_free(record);
        if (total > copy->size)
            return is_damaged(copy, seq, at, "the records have no end", error);
    }
    if (at != copy->next_idx)
        return is_damaged(copy, copy->next_seq, at, "the last record does not end here",
                          error);
    return TRUE;
}

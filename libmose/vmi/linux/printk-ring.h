/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of printk's ring buffers made out: the structured one (Linux >= 5.10,
 * kernel/printk/printk_ringbuffer.c) and the one before (kernel/printk/printk.c of
 * 3.11 to 5.9). Knows neither guest nor memory; the bytes are a stranger's.
 */
#pragma once

#include "vmi/linux/printk.h"

/* Members are within their struct, as mose_types_member() tells them; of those that
 * may be missing, size is 0 then. */
typedef struct {
    gsize desc_size;
    MoseMember state, begin, next; /* of struct prb_desc */
    gsize info_size;
    MoseMember seq, ts_nsec, text_len, facility, level; /* of struct printk_info */
    MoseMember caller_id, subsystem, device, comm;      /* may be missing */
} MosePrbLayout;

typedef struct {
    MosePrbLayout layout;
    guint count_bits;         /* there are 2^count_bits descriptors and infos */
    guint size_bits;          /* of the text: 2^size_bits bytes */
    guint64 head_id;          /* of the newest record, read before all of these */
    const guint8 *descs;      /* copied before infos and text */
    const guint8 *descs_then; /* copied after them */
    const guint8 *infos, *text;
} MosePrbCopy;

/* Append its records with number @since and above to @log. */
void mose_prb_parse(const MosePrbCopy *copy, guint64 since, MosePrintkLog *log);

typedef struct {
    gsize header_size;
    MoseMember ts_nsec, len, text_len, dict_len, facility, level;
    MoseMember caller_id; /* may be missing */
} MoseLogLayout;

typedef struct {
    MoseLogLayout layout;
    const guint8 *buffer;
    gsize size;
    guint64 first_seq, next_seq;
    guint32 first_idx, next_idx;
} MoseLogCopy;

/* The same for the old one. AGAIN where the copy does not hang together. */
gboolean mose_log_parse(const MoseLogCopy *copy, guint64 since, MosePrintkLog *log,
                        GError **error);

/* For both: an empty log; a record's text of @len bytes, made printable; a number. */
MosePrintkLog *mose_printk_log_new(void);
void mose_printk_record_free(MosePrintkRecord *record);
char *mose_printk_text(const guint8 *bytes, gsize len);
guint64 mose_printk_number(const guint8 *bytes, const MoseMember *member);

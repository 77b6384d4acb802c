/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * printk's ring buffers written as Linux does (kernel/printk/printk_ringbuffer.c of
 * 6.1; kernel/printk/printk.c of 5.9), for tests of what reads them.
 */
#pragma once

#include "vmi/linux/printk-ring.h"

enum {
    PRB_COUNT_BITS = 5,
    PRB_SIZE_BITS = 9,
    PRB_COUNT = 1 << PRB_COUNT_BITS,
    PRB_SIZE = 1 << PRB_SIZE_BITS,
    PRB_DESC = 24, /* sizes of structs */
    PRB_INFO = 88,
    LOG_HEADER = 16,
};

/* Where members lie in 6.1 and in 5.9. */
extern const MosePrbLayout prb_layout;
extern const MoseLogLayout log_layout;

typedef struct {
    guint8 descs[PRB_COUNT * PRB_DESC], infos[PRB_COUNT * PRB_INFO], text[PRB_SIZE];
    guint64 id, lpos, seq; /* of the next record */
    gboolean fits_exactly; /* as since 6.19: what ends with the ring does not wrap */
    MosePrbCopy copy;      /* of all this: descs_then are descs */
} Prb;

Prb *prb_new(void);

/* Write a finished record and drop what it overwrites; returns its descriptor's index.
 */
guint prb_write(Prb *prb, const char *text, gsize len);

/* A descriptor's words; a state is 0 to 3. */
guint64 prb_get(const guint8 *descs, guint index, guint word);
void prb_set(guint8 *descs, guint index, guint word, guint64 value);
void prb_set_state(Prb *prb, guint index, guint64 state);
guint8 *prb_info(Prb *prb, guint index);

/* Parsed from number @since on. */
MosePrintkLog *prb_parse(const Prb *prb, guint64 since);

typedef struct {
    guint8 buffer[PRB_SIZE];
    MoseLogCopy copy;
} OldLog;

OldLog *old_log_new(void);
/* Write a record of level 4, with a dictionary of @dict_len bytes; frees what is in the
 * way. */
void old_log_write(OldLog *log, const char *text, const char *dict, gsize dict_len);

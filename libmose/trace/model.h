/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What encoder and decoder both expect of a vCPU, from what it did before in the same
 * chunk: its next block, the next address, the value. Only what is not as expected
 * costs bytes. Both call the same functions in the same order; docs/trace-format.md
 * says them in words, and a change here is another version of the format.
 */
#pragma once

#include "trace/bytes.h"
#include "trace/trace.h"

#define TRACE_CONTEXT_BITS 16
#define TRACE_WORD_BITS 15
/* Accesses of a block that have a slot of their own; further ones take the last four
 * in turn, as those of a string instruction. */
#define TRACE_SLOTS 64u
#define TRACE_SLOTS_SHARED 4u

/* What an access of a block did last. */
typedef struct {
    guint64 address, value;
    gint32 stride; /* from one execution to the next: what it was twice in a row */
    gint32 last_stride;
    gint32 offset; /* from the access before it */
    gint32 value_stride;
} TraceSlot;

/* What is known of a block in this chunk; all 0 at first. Numbers of blocks are one
 * more than their id here, so that 0 is none. */
typedef struct {
    guint32 stamp; /* of the chunk that it was used in last */
    guint32 successor;
    guint32 shape, n_shape; /* the accesses of its last execution: in shapes */
    guint32 slots;          /* in slots */
    guint16 n_slots;
    guint16 n_instructions; /* for the caller, kept from chunk to chunk */
} TraceRecord;

typedef struct {
    guint32 stamp, context, last;
    TraceRecord *records; /* by number */
    gsize n_records;
    guint32 *followers; /* by context: the number of the block that came then */
    guint64 *words;     /* memory as far as it is known, by hash */
    TraceSlot *slots;
    gsize n_slots, slots_size;
    guint16 *shapes;
    gsize n_shapes, shapes_size;
    guint64 address, value; /* of the last access */
} TraceModel;

void trace_model_init(TraceModel *model);
void trace_model_clear(TraceModel *model);

/* Forget all, at the beginning of a chunk. */
void trace_model_reset(TraceModel *model);

/* --- the path --- */

void trace_model_grow_records(TraceModel *model, guint32 number);

/* The block's record, until the next call. */
static inline TraceRecord *
trace_model_record(TraceModel *model, guint32 number)
{
    TraceRecord *record;

    if (G_UNLIKELY(number >= model->n_records))
        trace_model_grow_records(model, number);
    record = &model->records[number];
    if (G_UNLIKELY(record->stamp != model->stamp))
        *record = (TraceRecord){ .stamp = model->stamp,
                                 .n_instructions = record->n_instructions };
    return record;
}

/* Which block comes next: first by those that came before, then by the last alone. */
static inline guint32
trace_model_expected(const TraceModel *model)
{
    return model->followers[model->context >> (32 - TRACE_CONTEXT_BITS)];
}

static inline guint32
trace_model_successor(const TraceModel *model)
{
    return model->records[model->last].successor;
}

/* It was @number, of which the record has been asked for. */
static inline void
trace_model_follow(TraceModel *model, guint32 number)
{
    model->followers[model->context >> (32 - TRACE_CONTEXT_BITS)] = number;
    model->records[model->last].successor = number;
    model->context = model->context << 11 ^ number * 0x9e3779b1u;
    model->last = number;
}

/* --- shapes --- */

/* How an instruction accesses memory: bits 0-8 its number, 9-11 the binary logarithm of
 * the size, 12 whether it is a store, 13 whether there is a value. */
#define TRACE_FORM_SIZE_SHIFT 9
#define TRACE_FORM_STORE 0x1000u
#define TRACE_FORM_VALUE 0x2000u

void trace_model_set_shape(TraceModel *model, TraceRecord *record, const guint16 *forms,
                           gsize n);

/* --- accesses --- */

void trace_model_grow_slots(TraceModel *model, TraceRecord *record);

/* The slot of access @k of an execution, until the next call. */
static inline TraceSlot *
trace_model_slot(TraceModel *model, TraceRecord *record, guint k)
{
    if (G_UNLIKELY(k >= TRACE_SLOTS))
        k = TRACE_SLOTS - TRACE_SLOTS_SHARED + k % TRACE_SLOTS_SHARED;
    while (G_UNLIKELY(k >= record->n_slots))
        trace_model_grow_slots(model, record);
    return &model->slots[record->slots + k];
}

/* Where it fits; a stride that does not is none. */
static inline gint32
trace_model_narrow(guint64 difference)
{
    gint32 narrow = (gint32)difference;

    return (guint64)(gint64)narrow == difference ? narrow : 0;
}

static inline void
trace_model_accessed(TraceModel *model, TraceSlot *slot, guint64 address)
{
    gint32 stride = trace_model_narrow(address - slot->address);

    if (stride == slot->last_stride)
        slot->stride = stride;
    slot->last_stride = stride;
    slot->offset = trace_model_narrow(address - model->address);
    slot->address = model->address = address;
}

/* Memory in aligned words of 8 bytes; others that have the same hash take its place. */
static inline guint64 *
trace_model_word(TraceModel *model, guint64 address)
{
    return &model
                ->words[(address >> 3) * 0x9e3779b97f4a7c15u >> (64 - TRACE_WORD_BITS)];
}

static inline guint64
trace_model_mask(guint size)
{
    return size == 8 ? G_MAXUINT64 : ((guint64)1 << (8 * size)) - 1;
}

/* A value of @mask's length has been read or written at @address, in @word. What goes
 * beyond the word is not kept. */
static inline void
trace_model_valued(TraceModel *model, TraceSlot *slot, guint64 *word, guint64 address,
                   guint64 mask, guint64 value)
{
    guint shift = address % 8 * 8;

    *word = (*word & ~(mask << shift)) | value << shift;
    slot->value_stride = trace_model_narrow(value - slot->value);
    slot->value = model->value = value;
}

/* --- a number that is near others --- */

/*
 * A code of 4 bits, and bytes: 0, 1, 2: it is @a, @b, @c; 3 to 8: it differs from @a by
 * a zigzag number of 1 to 6 bytes; 9: by one of 8 bytes; 10 to 15: from @b, by one of 1
 * to 6 bytes.
 */
static inline guint
trace_put_near(TraceSink *sink, guint64 value, guint64 a, guint64 b, guint64 c)
{
    guint64 from_a = trace_zigzag(value - a), from_b = trace_zigzag(value - b);
    guint len_a, len_b;

    if (value == a)
        return 0;
    if (value == b)
        return 1;
    if (value == c)
        return 2;
    len_a = (71 - (guint)__builtin_clzll(from_a)) / 8;
    len_b = (71 - (guint)__builtin_clzll(from_b)) / 8;
    if (len_b < len_a && len_b <= 6) {
        trace_put_low(sink, from_b, len_b);
        return 9 + len_b;
    }
    if (len_a > 6)
        len_a = 8;
    trace_put_low(sink, from_a, len_a);
    return len_a == 8 ? 9 : 2 + len_a;
}

static inline gboolean
trace_take_near(TraceBytes *bytes, guint code, guint64 a, guint64 b, guint64 c,
                guint64 *ret)
{
    guint64 difference = 0;
    guint len = code < 3 ? 0 : code < 9 ? code - 2 : code == 9 ? 8 : code - 9;

    if (!trace_take_low(bytes, len, &difference))
        return FALSE;
    *ret = code == 0 ? a : code == 1 ? b : code == 2 ? c : code < 10 ? a : b;
    *ret += trace_unzigzag(difference);
    return TRUE;
}

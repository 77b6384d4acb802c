/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of model.h, made, emptied and grown. */
#include "trace/model.h"

#define FOLLOWERS ((gsize)1 << TRACE_CONTEXT_BITS)
#define WORDS ((gsize)1 << TRACE_WORD_BITS)
#define FEW 1024u

void
trace_model_init(TraceModel *model)
{
    *model = (TraceModel){ .n_records = FEW };
    model->records = g_new0(TraceRecord, FEW);
    model->followers = g_new0(guint32, FOLLOWERS);
    model->words = g_new0(guint64, WORDS);
    trace_model_reset(model);
}

void
trace_model_clear(TraceModel *model)
{
    g_free(model->records);
    g_free(model->followers);
    g_free(model->words);
    g_free(model->slots);
    g_free(model->shapes);
    *model = (TraceModel){ 0 };
}

void
trace_model_reset(TraceModel *model)
{
    /* Records are forgotten by their stamps. After 2^32 chunks, which no file has, it
     * would begin anew. */
    model->stamp++;
    model->context = model->last = 0;
    model->records[0] = (TraceRecord){ .stamp = model->stamp };
    memset(model->followers, 0, FOLLOWERS * sizeof(*model->followers));
    memset(model->words, 0, WORDS * sizeof(*model->words));
    model->n_slots = model->n_shapes = 0;
    model->address = model->value = 0;
}

void
trace_model_grow_records(TraceModel *model, guint32 number)
{
    gsize size = MAX(2 * model->n_records, (gsize)number + 1);

    model->records = g_renew(TraceRecord, model->records, size);
    memset(model->records + model->n_records, 0,
           (size - model->n_records) * sizeof(TraceRecord));
    model->n_records = size;
}

void
trace_model_set_shape(TraceModel *model, TraceRecord *record, const guint16 *forms,
                      gsize n)
{
    if (n > record->n_shape) {
        record->shape = (guint32)model->n_shapes;
        model->n_shapes += n;
        if (model->n_shapes > model->shapes_size) {
            model->shapes_size = MAX(2 * model->shapes_size, model->n_shapes);
            model->shapes = g_renew(guint16, model->shapes, model->shapes_size);
        }
    }
    if (n > 0)
        memcpy(model->shapes + record->shape, forms, n * sizeof(*forms));
    record->n_shape = (guint32)n;
}

/* Twice as many, in another place. */
void
trace_model_grow_slots(TraceModel *model, TraceRecord *record)
{
    gsize had = record->n_slots, size = MAX(2 * had, 2), at = model->n_slots;

    model->n_slots += size;
    if (model->n_slots > model->slots_size) {
        model->slots_size = MAX(2 * model->slots_size, model->n_slots);
        model->slots = g_renew(TraceSlot, model->slots, model->slots_size);
    }
    memset(model->slots + at, 0, size * sizeof(TraceSlot));
    if (had > 0)
        memcpy(model->slots + at, model->slots + record->slots,
               had * sizeof(TraceSlot));
    record->slots = (guint32)at;
    record->n_slots = (guint16)size;
}

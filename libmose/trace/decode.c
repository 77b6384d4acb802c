/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See decode.h; each function here has its counterpart in encode.c. */
#include "trace/decode.h"

void
trace_decoder_init(TraceDecoder *decoder, const MoseTraceBlock *blocks, guint n_blocks,
                   guint n_registers, gboolean memory)
{
    *decoder = (TraceDecoder){
        .blocks = blocks,
        .n_blocks = n_blocks,
        .n_registers = n_registers,
        .memory = memory,
        .forms = g_array_new(FALSE, FALSE, sizeof(guint16)),
        .accesses = g_array_new(FALSE, FALSE, sizeof(MoseTraceAccess)),
        .registers = g_array_new(FALSE, FALSE, sizeof(MoseTraceRegister)),
    };
    trace_model_init(&decoder->model);
}

void
trace_decoder_clear(TraceDecoder *decoder)
{
    trace_model_clear(&decoder->model);
    g_clear_pointer(&decoder->forms, g_array_unref);
    g_clear_pointer(&decoder->accesses, g_array_unref);
    g_clear_pointer(&decoder->registers, g_array_unref);
}

static gboolean
bad(TraceDecoder *decoder, const char *problem)
{
    decoder->problem = problem;
    return FALSE;
}

gboolean
trace_decoder_begin(TraceDecoder *decoder, const TraceChunk *chunk,
                    const guint8 *payload, gsize len)
{
    decoder->chunk = *chunk;
    trace_model_reset(&decoder->model);
    memset(decoder->last_registers, 0, sizeof(decoder->last_registers));
    decoder->run = decoder->shape_run = (TraceRun){ FALSE };
    decoder->cut_known = decoder->event_known = FALSE;
    decoder->cut_at = decoder->event_at = decoder->done = 0;
    decoder->instruction = chunk->first;
    decoder->time = chunk->time;
    decoder->task = MOSE_TRACE_NO_TASK;
    if (!trace_take_streams(payload, len, sizeof(guint32), decoder->streams,
                            TRACE_FLOW_STREAMS))
        return bad(decoder, "its streams do not fit");
    decoder->executions = trace_get32(payload);
    return decoder->executions <= TRACE_EXECUTIONS_MAX ||
           bad(decoder, "it has too many executions");
}

/* How often it is as expected before it is not. */
static gboolean
take_run(TraceDecoder *decoder, TraceFlowStream which, TraceRun *run)
{
    if (run->known)
        return TRUE;
    if (!trace_take_varint(&decoder->streams[which], &run->left))
        return bad(decoder, "a run is missing");
    run->known = TRUE;
    return TRUE;
}

/* --- events --- */

static gboolean
take_registers(TraceDecoder *decoder, TraceBytes *bytes)
{
    guint64 n, index, difference;

    if (!trace_take_varint(bytes, &n) || n > decoder->n_registers)
        return FALSE;
    g_array_set_size(decoder->registers, 0);
    for (guint i = 0; i < n; i++) {
        MoseTraceRegister one;

        if (!trace_take_varint(bytes, &index) || index >= decoder->n_registers ||
            !trace_take_varint(bytes, &difference))
            return FALSE;
        decoder->last_registers[index] += trace_unzigzag(difference);
        one.index = (guint32)index;
        one.value = decoder->last_registers[index];
        g_array_append_val(decoder->registers, one);
    }
    return TRUE;
}

static gboolean
take_event(TraceDecoder *decoder, MoseTraceStep *step)
{
    TraceBytes *bytes = &decoder->streams[TRACE_EVENTS];
    guint64 number;
    guint8 what;

    if (!trace_take_byte(bytes, &what) || what & ~TRACE_EVENT_ALL)
        return FALSE;
    if (what & TRACE_EVENT_TIME) {
        if (!trace_take_varint(bytes, &number))
            return FALSE;
        decoder->time += trace_unzigzag(number);
    }
    if (what & TRACE_EVENT_TASK) {
        if (!trace_take_varint(bytes, &number) || number >= MOSE_TRACE_TASKS_MAX)
            return FALSE;
        decoder->task = (guint32)number;
    }
    if (what & TRACE_EVENT_LOST) {
        if (!trace_take_varint(bytes, &number))
            return FALSE;
        step->lost += number;
    }
    return !(what & TRACE_EVENT_REGISTERS) || take_registers(decoder, bytes);
}

/* Those before the next block. */
static gboolean
take_events(TraceDecoder *decoder, MoseTraceStep *step)
{
    TraceBytes *bytes = &decoder->streams[TRACE_EVENTS];

    for (;;) {
        guint64 gap;

        if (!decoder->event_known && trace_bytes_left(bytes) == 0)
            return TRUE;
        if (!decoder->event_known) {
            if (!trace_take_varint(bytes, &gap) || gap > decoder->executions)
                return bad(decoder, "an event has no place");
            decoder->event_at += gap;
            decoder->event_known = TRUE;
        }
        if (decoder->event_at != decoder->done)
            return TRUE;
        if (!take_event(decoder, step))
            return bad(decoder, "an event makes no sense");
        decoder->event_known = FALSE;
    }
}

/* --- blocks --- */

static gboolean
take_block(TraceDecoder *decoder, guint64 *ret_number)
{
    TraceModel *model = &decoder->model;

    if (!take_run(decoder, TRACE_PATH, &decoder->run))
        return FALSE;
    if (decoder->run.left > 0) {
        decoder->run.left--;
        *ret_number = trace_model_expected(model);
    } else {
        if (!trace_take_varint(&decoder->streams[TRACE_PATH], ret_number))
            return bad(decoder, "a block is missing");
        decoder->run.known = FALSE;
        if (*ret_number == 0)
            *ret_number = trace_model_successor(model);
    }
    return (*ret_number > 0 && *ret_number <= decoder->n_blocks) ||
           bad(decoder, "there is no such block");
}

static gboolean
take_cut(TraceDecoder *decoder, MoseTraceStep *step)
{
    TraceBytes *bytes = &decoder->streams[TRACE_CUTS];
    guint64 gap;

    if (!decoder->cut_known && trace_bytes_left(bytes) > 0) {
        if (!trace_take_varint(bytes, &gap) || gap == 0 || gap > decoder->executions ||
            !trace_take_varint(bytes, &decoder->cut_executed))
            return bad(decoder, "a cut makes no sense");
        decoder->cut_at += gap;
        decoder->cut_known = TRUE;
    }
    if (!decoder->cut_known || decoder->cut_at != decoder->done)
        return TRUE;
    if (decoder->cut_executed >= step->executed)
        return bad(decoder, "a cut is not within its block");
    step->executed = (guint32)decoder->cut_executed;
    decoder->cut_known = FALSE;
    return TRUE;
}

static gboolean
take_shape(TraceDecoder *decoder, TraceRecord *record)
{
    TraceBytes *bytes = &decoder->streams[TRACE_SHAPES];
    const guint8 *forms;
    guint64 n;

    if (!take_run(decoder, TRACE_SHAPES, &decoder->shape_run))
        return FALSE;
    if (decoder->shape_run.left > 0) {
        decoder->shape_run.left--;
        return TRUE;
    }
    decoder->shape_run.known = FALSE;
    if (!trace_take_varint(bytes, &n) || n > MOSE_TRACE_ACCESSES_MAX ||
        !(forms = trace_take_bytes(bytes, n * sizeof(guint16))))
        return bad(decoder, "a shape is missing");
    g_array_set_size(decoder->forms, (guint)n);
    for (guint i = 0; i < n; i++)
        g_array_index(decoder->forms, guint16, i) =
            trace_get16(forms + i * sizeof(guint16));
    trace_model_set_shape(&decoder->model, record,
                          (const guint16 *)(gpointer)decoder->forms->data, n);
    return TRUE;
}

/* --- accesses --- */

static gboolean
take_value(TraceDecoder *decoder, TraceSlot *slot, guint code, MoseTraceAccess *access)
{
    TraceModel *model = &decoder->model;
    guint64 *word = trace_model_word(model, access->address);
    guint64 mask = trace_model_mask(access->size);

    if (!trace_take_near(&decoder->streams[TRACE_VALUES], code,
                         *word >> (access->address % 8 * 8) & mask,
                         (slot->value + (guint64)(gint64)slot->value_stride) & mask,
                         model->value & mask, &access->value[0]))
        return FALSE;
    access->value[0] &= mask;
    trace_model_valued(model, slot, word, access->address, mask, access->value[0]);
    return TRUE;
}

static gboolean
take_wide(TraceDecoder *decoder, MoseTraceAccess *access)
{
    TraceBytes *bytes = &decoder->streams[TRACE_WIDE];
    guint8 known;

    if (!trace_take_byte(bytes, &known))
        return FALSE;
    for (guint i = 0; i < access->size / 8u; i++) {
        guint64 *word = trace_model_word(&decoder->model, access->address + 8 * i);

        if (!(known >> i & 1) && !trace_take_low(bytes, 8, word))
            return FALSE;
        access->value[i] = *word;
    }
    return TRUE;
}

static gboolean
take_access(TraceDecoder *decoder, TraceRecord *record, guint k, guint16 form,
            MoseTraceAccess *ret)
{
    TraceModel *model = &decoder->model;
    TraceSlot *slot = trace_model_slot(model, record, k);
    guint8 code;

    *ret = (MoseTraceAccess){
        .instruction = form % (1u << TRACE_FORM_SIZE_SHIFT),
        .size = (guint8)(1u << (form >> TRACE_FORM_SIZE_SHIFT & 7)),
        .store = (form & TRACE_FORM_STORE) != 0,
        .has_value = (form & TRACE_FORM_VALUE) != 0,
    };
    if (ret->instruction >= record->n_instructions ||
        ret->size > MOSE_TRACE_ACCESS_SIZE_MAX || form >= TRACE_FORM_VALUE << 1 ||
        !trace_take_byte(&decoder->streams[TRACE_CODES], &code) ||
        !trace_take_near(&decoder->streams[TRACE_ADDRESSES], code & 15,
                         slot->address + (guint64)(gint64)slot->stride,
                         model->address + (guint64)(gint64)slot->offset, slot->address,
                         &ret->address))
        return FALSE;
    trace_model_accessed(model, slot, ret->address);
    if (ret->has_value && ret->size <= 8)
        return take_value(decoder, slot, code >> 4, ret);
    return code >> 4 == 0 && (!ret->has_value || take_wide(decoder, ret));
}

static gboolean
take_accesses(TraceDecoder *decoder, TraceRecord *record, MoseTraceStep *step)
{
    if (!take_shape(decoder, record))
        return FALSE;
    g_array_set_size(decoder->accesses, record->n_shape);
    for (guint k = 0; k < record->n_shape; k++)
        if (!take_access(decoder, record, k, decoder->model.shapes[record->shape + k],
                         &g_array_index(decoder->accesses, MoseTraceAccess, k)))
            return bad(decoder, "an access makes no sense");
    if (decoder->model.n_slots > TRACE_SLOTS_MAX)
        return bad(decoder, "it has too many accesses");
    step->accesses = (const MoseTraceAccess *)(gpointer)decoder->accesses->data;
    step->n_accesses = record->n_shape;
    return TRUE;
}

/* --- steps --- */

static gboolean
take_step(TraceDecoder *decoder, MoseTraceStep *step)
{
    TraceRecord *record;
    guint64 number = 0;

    if (!take_block(decoder, &number))
        return FALSE;
    record = trace_model_record(&decoder->model, (guint32)number);
    trace_model_follow(&decoder->model, (guint32)number);
    step->block = (guint32)number - 1;
    step->executed = decoder->blocks[step->block].n;
    record->n_instructions = (guint16)step->executed;
    step->instruction = decoder->instruction;
    decoder->done++;
    if ((decoder->memory && !take_accesses(decoder, record, step)) ||
        !take_cut(decoder, step))
        return FALSE;
    decoder->instruction += step->executed;
    return TRUE;
}

/* All was for something. */
static gboolean
is_used_up(TraceDecoder *decoder)
{
    for (guint i = 0; i < TRACE_FLOW_STREAMS; i++)
        if (trace_bytes_left(&decoder->streams[i]) > 0)
            return bad(decoder, "it holds more than its executions");
    return (decoder->run.left == 0 && decoder->shape_run.left == 0 &&
            !decoder->cut_known && !decoder->event_known &&
            decoder->instruction - decoder->chunk.first == decoder->chunk.count) ||
           bad(decoder, "it says of itself what is not so");
}

TraceDecoded
trace_decoder_next(TraceDecoder *decoder, MoseTraceStep *ret)
{
    gboolean is_last = decoder->done == decoder->executions;

    *ret = (MoseTraceStep){ .vcpu = decoder->chunk.vcpu,
                            .block = MOSE_TRACE_NO_BLOCK,
                            .instruction = decoder->instruction };
    g_array_set_size(decoder->registers, 0);
    if (!take_events(decoder, ret) ||
        !(is_last ? is_used_up(decoder) : take_step(decoder, ret)))
        return TRACE_DECODED_BAD;
    ret->time = decoder->time;
    ret->task = decoder->task;
    ret->registers = (const MoseTraceRegister *)(gpointer)decoder->registers->data;
    ret->n_registers = decoder->registers->len;
    return is_last ? TRACE_DECODED_END : TRACE_DECODED_STEP;
}

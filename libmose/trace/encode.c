/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See encode.h; what each stream holds is said in docs/trace-format.md. */
#include "trace/encode.h"

/* A chunk ends when it has so many bytes, raw; the more, the better it is packed, and
 * the longer a seek takes. */
#define CHUNK_ENOUGH ((gsize)2 << 20)
/* Blocks and accesses between two looks at how much there is. One execution has up to
 * MOSE_TRACE_ACCESSES_MAX, of 76 bytes: the chunk stays below TRACE_CHUNK_MAX. */
#define CHECK_EACH 1024

void
trace_encoder_init(TraceEncoder *encoder, gboolean memory)
{
    *encoder = (TraceEncoder){ .memory = memory, .task = MOSE_TRACE_NO_TASK };
    trace_model_init(&encoder->model);
    encoder->forms = g_array_sized_new(FALSE, FALSE, sizeof(guint16), TRACE_SLOTS);
    g_array_set_size(encoder->forms, TRACE_SLOTS);
    encoder->pending.registers = g_array_new(FALSE, FALSE, sizeof(MoseTraceRegister));
}

void
trace_encoder_clear(TraceEncoder *encoder)
{
    trace_model_clear(&encoder->model);
    g_clear_pointer(&encoder->forms, g_array_unref);
    g_clear_pointer(&encoder->pending.registers, g_array_unref);
}

static TraceSink *
stream(TraceEncoder *encoder, TraceFlowStream which)
{
    return &encoder->draft->streams[which];
}

/* --- chunks --- */

gboolean
trace_encoder_check(TraceEncoder *encoder)
{
    encoder->until_check = CHECK_EACH;
    return trace_draft_raw(encoder->draft) >= CHUNK_ENOUGH ||
           encoder->executions >= TRACE_EXECUTIONS_MAX - CHECK_EACH ||
           encoder->model.n_slots >= TRACE_SLOTS_MAX / 2;
}

void
trace_encoder_begin(TraceEncoder *encoder, guint vcpu, TraceDraft *draft)
{
    TracePending *pending = &encoder->pending;

    trace_draft_begin(draft, TRACE_FLOW, TRACE_FLOW_STREAMS);
    trace_model_reset(&encoder->model);
    memset(encoder->last_registers, 0, sizeof(encoder->last_registers));
    encoder->draft = draft;
    encoder->executions = encoder->last_cut = encoder->last_event = 0;
    encoder->run = encoder->shape_run = 0;
    encoder->until_check = CHECK_EACH;
    /* Each chunk can be read alone: it says what time it is, and whose. */
    encoder->time_written = encoder->time;
    pending->what &= ~(guint)TRACE_EVENT_TIME;
    if (encoder->task != MOSE_TRACE_NO_TASK) {
        pending->what |= TRACE_EVENT_TASK;
        pending->task = encoder->task;
    }
    draft->chunk.vcpu = vcpu;
    draft->chunk.first = encoder->instructions;
    draft->chunk.time = encoder->time;
}

static void
put_registers(TraceEncoder *encoder, TraceSink *sink)
{
    GArray *registers = encoder->pending.registers;

    trace_put_varint(sink, registers->len);
    for (guint i = 0; i < registers->len; i++) {
        const MoseTraceRegister *one = &g_array_index(registers, MoseTraceRegister, i);
        guint64 *last = &encoder->last_registers[one->index];

        trace_put_varint(sink, one->index);
        trace_put_varint(sink, trace_zigzag(one->value - *last));
        *last = one->value;
    }
    g_array_set_size(registers, 0);
}

static void
put_events(TraceEncoder *encoder)
{
    TracePending *pending = &encoder->pending;
    TraceSink *sink = stream(encoder, TRACE_EVENTS);

    trace_put_varint(sink, encoder->executions - encoder->last_event);
    trace_put_byte(sink, (guint8)pending->what);
    if (pending->what & TRACE_EVENT_TIME)
        trace_put_varint(sink, trace_zigzag(pending->time - encoder->time_written));
    if (pending->what & TRACE_EVENT_TASK)
        trace_put_varint(sink, pending->task);
    if (pending->what & TRACE_EVENT_LOST)
        trace_put_varint(sink, pending->lost);
    if (pending->what & TRACE_EVENT_REGISTERS)
        put_registers(encoder, sink);
    encoder->time_written = encoder->time;
    encoder->last_event = encoder->executions;
    pending->what = 0;
    pending->lost = 0;
}

/* --- blocks --- */

static void
put_shape(TraceEncoder *encoder)
{
    const guint16 *forms = (const guint16 *)(gpointer)encoder->forms->data;
    TraceSink *sink = stream(encoder, TRACE_SHAPES);

    trace_put_varint(sink, encoder->shape_run);
    trace_put_varint(sink, encoder->n_accesses);
    for (guint i = 0; i < encoder->n_accesses; i++)
        trace_put_low(sink, forms[i], sizeof(*forms));
    encoder->shape_run = 0;
    trace_model_set_shape(&encoder->model, encoder->record, forms, encoder->n_accesses);
}

static void
put_cut(TraceEncoder *encoder)
{
    TraceSink *sink = stream(encoder, TRACE_CUTS);

    trace_put_varint(sink, encoder->executions - encoder->last_cut);
    trace_put_varint(sink, encoder->executed);
    encoder->last_cut = encoder->executions;
}

/* All has been said of the block given last. */
static inline void
end_block(TraceEncoder *encoder)
{
    TraceRecord *record = encoder->record;

    if (G_UNLIKELY(!record))
        return;
    if (encoder->memory) {
        if (G_LIKELY(encoder->as_before && encoder->n_accesses == record->n_shape))
            encoder->shape_run++;
        else
            put_shape(encoder);
    }
    if (G_UNLIKELY(encoder->executed != record->n_instructions))
        put_cut(encoder);
    encoder->instructions += encoder->executed;
    encoder->record = NULL;
}

static void
put_miss(TraceEncoder *encoder, guint32 number)
{
    TraceSink *sink = stream(encoder, TRACE_PATH);

    trace_put_varint(sink, encoder->run);
    trace_put_varint(sink,
                     number == trace_model_successor(&encoder->model) ? 0 : number);
    encoder->run = 0;
}

void
trace_encoder_block(TraceEncoder *encoder, guint32 id, guint n)
{
    TraceModel *model = &encoder->model;
    guint32 number = id + 1;
    TraceRecord *record;

    end_block(encoder);
    if (G_UNLIKELY(encoder->pending.what))
        put_events(encoder);
    record = trace_model_record(model, number);
    record->n_instructions = (guint16)n;
    if (G_LIKELY(number == trace_model_expected(model)))
        encoder->run++;
    else
        put_miss(encoder, number);
    trace_model_follow(model, number);
    encoder->record = record;
    encoder->executions++;
    encoder->until_check--;
    encoder->executed = n;
    encoder->n_accesses = 0;
    encoder->as_before = TRUE;
}

TraceDraft *
trace_encoder_end(TraceEncoder *encoder, gboolean last)
{
    TraceDraft *draft = encoder->draft;

    end_block(encoder);
    if (last && encoder->pending.what)
        put_events(encoder);
    if (encoder->run > 0)
        trace_put_varint(stream(encoder, TRACE_PATH), encoder->run);
    if (encoder->shape_run > 0)
        trace_put_varint(stream(encoder, TRACE_SHAPES), encoder->shape_run);
    trace_put_low(&draft->head, encoder->executions, sizeof(guint32));
    draft->chunk.count = encoder->instructions - draft->chunk.first;
    encoder->draft = NULL;
    return draft;
}

/* --- accesses --- */

static inline void
put_form(TraceEncoder *encoder, const MoseTraceAccess *access)
{
    const TraceRecord *record = encoder->record;
    guint k = encoder->n_accesses;
    guint16 form =
        (guint16)(access->instruction |
                  (guint)__builtin_ctz(access->size) << TRACE_FORM_SIZE_SHIFT |
                  (access->store ? TRACE_FORM_STORE : 0) |
                  (access->has_value ? TRACE_FORM_VALUE : 0));

    if (G_UNLIKELY(k >= encoder->forms->len))
        g_array_set_size(encoder->forms, 2 * k);
    g_array_index(encoder->forms, guint16, k) = form;
    encoder->as_before &=
        k < record->n_shape && encoder->model.shapes[record->shape + k] == form;
}

static inline guint
put_value(TraceEncoder *encoder, TraceSlot *slot, const MoseTraceAccess *access)
{
    TraceModel *model = &encoder->model;
    guint64 *word = trace_model_word(model, access->address);
    guint64 mask = trace_model_mask(access->size), value = access->value[0] & mask;
    guint code = trace_put_near(
        stream(encoder, TRACE_VALUES), value, *word >> (access->address % 8 * 8) & mask,
        (slot->value + (guint64)(gint64)slot->value_stride) & mask,
        model->value & mask);

    trace_model_valued(model, slot, word, access->address, mask, value);
    return code;
}

/* A byte with a bit for each word that is known, and the others. */
static void
put_wide(TraceEncoder *encoder, const MoseTraceAccess *access)
{
    TraceSink *sink = stream(encoder, TRACE_WIDE);
    gsize mask_at = trace_sink_len(sink);
    guint8 known = 0;

    trace_put_byte(sink, 0);
    for (guint i = 0; i < access->size / 8u; i++) {
        guint64 *word = trace_model_word(&encoder->model, access->address + 8 * i);

        if (*word == access->value[i])
            known |= (guint8)(1u << i);
        else
            trace_put_low(sink, access->value[i], 8);
        *word = access->value[i];
    }
    sink->begin[mask_at] = known;
}

void
trace_encoder_access(TraceEncoder *encoder, const MoseTraceAccess *access)
{
    TraceModel *model = &encoder->model;
    TraceSlot *slot = trace_model_slot(model, encoder->record, encoder->n_accesses);
    guint code;

    put_form(encoder, access);
    code =
        trace_put_near(stream(encoder, TRACE_ADDRESSES), access->address,
                       slot->address + (guint64)(gint64)slot->stride,
                       model->address + (guint64)(gint64)slot->offset, slot->address);
    trace_model_accessed(model, slot, access->address);
    if (access->has_value && access->size <= 8)
        code |= put_value(encoder, slot, access) << 4;
    else if (access->has_value)
        put_wide(encoder, access);
    trace_put_byte(stream(encoder, TRACE_CODES), (guint8)code);
    encoder->n_accesses++;
    encoder->until_check--;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What there is in a trace, written: description, blocks, tasks, names; see writer.h.
 */
#include "trace/writer-private.h"
#include "util/error.h"
#include "util/json.h"

/* Definitions that wait for a chunk are written when they are so many bytes. */
#define ENOUGH ((gsize)1 << 20)

/* --- the description --- */

static JsonObject *
describe(const MoseTraceInfo *info)
{
    JsonArray *registers = json_array_new();

    for (guint i = 0; info->registers && info->registers[i]; i++)
        json_array_add_string_element(registers, info->registers[i]);
    return mose_json_object(
        "vcpus", "i", (gint64)info->n_vcpus, "memory", "b", info->memory, "values", "b",
        info->values, "registers", "a", registers, "about", "o",
        info->about ? json_object_ref(info->about) : json_object_new(), NULL);
}

gboolean
trace_writer_put_info(MoseTraceWriter *writer, const MoseTraceInfo *info,
                      GError **error)
{
    g_autoptr(JsonObject) object = describe(info);
    g_autofree char *text = mose_json_text(object, FALSE);
    gsize len = strlen(text);
    TraceDraft *draft;

    if (len > TRACE_INFO_MAX) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "a description of %" G_GSIZE_FORMAT " bytes is too long", len);
        return FALSE;
    }
    draft = trace_packer_take(writer->packer);
    trace_draft_begin(draft, TRACE_INFO, 0);
    trace_put_bytes(&draft->head, text, len);
    trace_packer_give(writer->packer, draft);
    return TRUE;
}

/* --- chunks of definitions --- */

static void
give(MoseTraceWriter *writer, TraceDraft **draft)
{
    if (*draft)
        trace_packer_give(writer->packer, g_steal_pointer(draft));
}

void
trace_writer_flush(MoseTraceWriter *writer)
{
    give(writer, &writer->code);
    give(writer, &writer->tasks);
}

/* Where the next of @kind goes, which has number @first. */
static TraceDraft *
draft_of(MoseTraceWriter *writer, TraceDraft **draft, TraceKind kind, guint first)
{
    if (*draft && trace_draft_raw(*draft) >= ENOUGH)
        give(writer, draft);
    if (!*draft) {
        *draft = trace_packer_take(writer->packer);
        trace_draft_begin(*draft, kind, kind == TRACE_CODE ? TRACE_CODE_STREAMS : 0);
        (*draft)->chunk.first = first;
    }
    (*draft)->chunk.count++;
    return *draft;
}

/* --- blocks --- */

/* The bytes of all its instructions; 0 where one cannot be. */
static gsize
size_of(const MoseTraceBlock *block)
{
    gsize size = 0;

    for (guint i = 0; i < block->n; i++) {
        if (block->lengths[i] == 0 ||
            block->lengths[i] > MOSE_TRACE_INSTRUCTION_LEN_MAX)
            return 0;
        size += block->lengths[i];
    }
    return size;
}

static void
put_block(MoseTraceWriter *writer, const MoseTraceBlock *block, gsize size)
{
    gboolean begun = writer->code != NULL;
    TraceDraft *draft = draft_of(writer, &writer->code, TRACE_CODE, writer->n_blocks);
    TraceSink *heads = &draft->streams[TRACE_HEADS];

    if (!begun || draft->chunk.count == 1)
        writer->address = 0;
    trace_put_varint(heads, trace_zigzag(block->address - writer->address));
    trace_put_varint(heads, block->n);
    trace_put_bytes(&draft->streams[TRACE_LENGTHS], block->lengths, block->n);
    trace_put_bytes(&draft->streams[TRACE_BYTES], block->bytes, size);
    writer->address = block->address + size;
    writer->code_raw += TRACE_VARINT_MAX + 2 + block->n + size;
}

/* Under the lock. */
static guint32
add_block(MoseTraceWriter *writer, const MoseTraceBlock *block, gsize size)
{
    guint32 id = writer->n_blocks;
    guint16 **piece = &writer->lengths[id / TRACE_PIECE % TRACE_PIECES];

    if (id == MOSE_TRACE_BLOCKS_MAX || writer->code_raw >= TRACE_CODE_MAX / 2) {
        trace_writer_bad(writer, "there are too many blocks: %u", id);
        return MOSE_TRACE_NO_BLOCK;
    }
    put_block(writer, block, size);
    if (!*piece)
        *piece = g_new0(guint16, TRACE_PIECE);
    (*piece)[id % TRACE_PIECE] = (guint16)block->n;
    g_atomic_int_inc(&writer->n_blocks);
    return id;
}

guint32
mose_trace_writer_define(MoseTraceWriter *writer, const MoseTraceBlock *block)
{
    gsize size = block->n <= MOSE_TRACE_INSTRUCTIONS_MAX ? size_of(block) : 0;
    guint32 id;

    if (size == 0) {
        trace_writer_bad(writer,
                         "no block of %u instructions at 0x%" G_GINT64_MODIFIER
                         "x can be: one has no length, or too much of it",
                         block->n, block->address);
        return MOSE_TRACE_NO_BLOCK;
    }
    g_mutex_lock(&writer->lock);
    id = add_block(writer, block, size);
    g_mutex_unlock(&writer->lock);
    return id;
}

/* --- tasks --- */

guint32
mose_trace_writer_define_task(MoseTraceWriter *writer, const MoseTraceTask *task)
{
    guint32 index;

    g_mutex_lock(&writer->lock);
    index = writer->n_tasks;
    if (index == MOSE_TRACE_TASKS_MAX) {
        trace_writer_bad(writer, "there are too many tasks: %u", index);
        index = MOSE_TRACE_NO_TASK;
    } else {
        TraceDraft *draft = draft_of(writer, &writer->tasks, TRACE_TASKS, index);

        trace_put_low(&draft->head, task->pid, 4);
        trace_put_low(&draft->head, task->tgid, 4);
        trace_put_low(&draft->head, task->address, 8);
        trace_put_low(&draft->head, task->cr3, 8);
        trace_put_bytes(&draft->head, task->name, sizeof(task->name));
        g_atomic_int_inc(&writer->n_tasks);
    }
    g_mutex_unlock(&writer->lock);
    return index;
}

/* --- names --- */

static void
put_text(TraceSink *sink, const char *text)
{
    gsize len = text ? strlen(text) : 0;

    trace_put_varint(sink, len);
    trace_put_bytes(sink, text, len);
}

static gboolean
is_short(const char *text)
{
    return !text || strlen(text) <= MOSE_TRACE_NAME_LEN_MAX;
}

/* Under the lock. */
static gboolean
may_name(MoseTraceWriter *writer, const MoseTraceName *name)
{
    if (name->end > name->start && is_short(name->name) && is_short(name->object) &&
        is_short(name->build_id) && writer->n_names < MOSE_TRACE_NAMES_MAX &&
        writer->names_raw < TRACE_NAMES_RAW_MAX - ENOUGH &&
        (name->task == MOSE_TRACE_NO_TASK || name->task < writer->n_tasks))
        return TRUE;
    trace_writer_bad(writer,
                     "no name for 0x%" G_GINT64_MODIFIER "x to 0x%" G_GINT64_MODIFIER
                     "x: it is too long, the range is none, the task unknown, or there "
                     "are too many",
                     name->start, name->end);
    return FALSE;
}

static void
put_name(TraceSink *sink, const MoseTraceName *name)
{
    trace_put_varint(sink,
                     name->task == MOSE_TRACE_NO_TASK ? 0 : (guint64)name->task + 1);
    trace_put_low(sink, name->start, 8);
    trace_put_varint(sink, name->end - name->start);
    trace_put_varint(sink, name->file_offset);
    put_text(sink, name->name);
    put_text(sink, name->object);
    put_text(sink, name->build_id);
}

void
mose_trace_writer_names(MoseTraceWriter *writer, const MoseTraceName *names, gsize n)
{
    TraceDraft *draft = NULL;

    g_mutex_lock(&writer->lock);
    /* The tasks that they are for come before them. */
    give(writer, &writer->tasks);
    for (gsize i = 0; i < n && may_name(writer, &names[i]); i++) {
        gsize before;

        draft = draft_of(writer, &draft, TRACE_NAMES, 0);
        before = trace_draft_raw(draft);
        put_name(&draft->head, &names[i]);
        writer->names_raw += trace_draft_raw(draft) - before;
        writer->n_names++;
    }
    give(writer, &draft);
    g_mutex_unlock(&writer->lock);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What there is in a trace, read when it is opened: description, blocks, tasks, names,
 * and which chunks are which vCPU's. */
#include "trace/reader-private.h"
#include "util/error.h"
#include "util/json.h"

/* --- the description --- */

static gboolean
take_registers(MoseTrace *trace, JsonArray *array)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    guint n = array ? json_array_get_length(array) : 0;

    if (n > MOSE_TRACE_REGISTERS_MAX)
        return FALSE;
    for (guint i = 0; i < n; i++) {
        JsonNode *node = json_array_get_element(array, i);

        if (!JSON_NODE_HOLDS_VALUE(node) || !json_node_get_string(node))
            return FALSE;
        g_ptr_array_add(names, json_node_dup_string(node));
    }
    g_ptr_array_add(names, NULL);
    trace->registers = (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
    return TRUE;
}

static gboolean
load_info(MoseTrace *trace, const TraceChunk *chunk, const TracePayload *payload,
          GError **error)
{
    g_autofree char *what = NULL;
    gint64 n_vcpus;

    if (trace->description || chunk->raw > TRACE_INFO_MAX)
        return trace_damaged(trace, chunk, "it has another description", error);
    what = g_strdup_printf("%s, offset %" G_GUINT64_FORMAT, trace->path, chunk->offset);
    trace->description =
        mose_json_parse((const char *)payload->raw, chunk->raw, what, error);
    if (!trace->description)
        return FALSE;
    n_vcpus = mose_json_int(trace->description, "vcpus", 0);
    if (n_vcpus < 1 || n_vcpus > MOSE_TRACE_VCPUS_MAX ||
        !take_registers(trace, mose_json_array(trace->description, "registers")))
        return trace_damaged(trace, chunk, "its description makes no sense", error);
    trace->info = (MoseTraceInfo){
        .n_vcpus = (guint)n_vcpus,
        .memory = mose_json_bool(trace->description, "memory", FALSE),
        .values = mose_json_bool(trace->description, "values", FALSE),
        .registers = (const char *const *)trace->registers,
        .about = mose_json_child(trace->description, "about"),
    };
    for (guint i = 0; i < trace->info.n_vcpus; i++)
        g_ptr_array_add(trace->flow, g_array_new(FALSE, FALSE, sizeof(TraceChunk)));
    return TRUE;
}

/* --- blocks --- */

static gboolean
take_block(TraceBytes *streams, guint64 *address, MoseTraceBlock *ret)
{
    guint64 difference, n;
    gsize size = 0;

    if (!trace_take_varint(&streams[TRACE_HEADS], &difference) ||
        !trace_take_varint(&streams[TRACE_HEADS], &n) || n == 0 ||
        n > MOSE_TRACE_INSTRUCTIONS_MAX)
        return FALSE;
    *ret = (MoseTraceBlock){ .address = *address + trace_unzigzag(difference),
                             .n = (guint)n,
                             .lengths = trace_take_bytes(&streams[TRACE_LENGTHS], n) };
    for (guint i = 0; ret->lengths && i < n; i++) {
        if (ret->lengths[i] == 0 || ret->lengths[i] > MOSE_TRACE_INSTRUCTION_LEN_MAX)
            return FALSE;
        size += ret->lengths[i];
    }
    ret->bytes = trace_take_bytes(&streams[TRACE_BYTES], size);
    *address = ret->address + size;
    return ret->lengths && ret->bytes;
}

static gboolean
load_code(MoseTrace *trace, const TraceChunk *chunk, TracePayload *payload,
          GError **error)
{
    TraceBytes streams[TRACE_CODE_STREAMS];
    guint64 address = 0;

    if (chunk->first != trace->blocks->len ||
        chunk->count > MOSE_TRACE_BLOCKS_MAX - chunk->first ||
        !trace_take_streams(payload->raw, chunk->raw, 0, streams, TRACE_CODE_STREAMS))
        return trace_damaged(trace, chunk, "its blocks do not follow", error);
    for (guint64 i = 0; i < chunk->count; i++) {
        MoseTraceBlock block;

        if (!take_block(streams, &address, &block))
            return trace_damaged(trace, chunk, "a block makes no sense", error);
        g_array_append_val(trace->blocks, block);
    }
    for (guint i = 0; i < TRACE_CODE_STREAMS; i++)
        if (trace_bytes_left(&streams[i]) > 0)
            return trace_damaged(trace, chunk, "it holds more than its blocks", error);
    /* The blocks point into it. */
    g_ptr_array_add(trace->code, g_steal_pointer(&payload->raw));
    return TRUE;
}

/* --- tasks --- */

static gboolean
load_tasks(MoseTrace *trace, const TraceChunk *chunk, const TracePayload *payload,
           GError **error)
{
    const gsize size = 4 + 4 + 8 + 8 + sizeof(((MoseTraceTask *)0)->name);

    if (chunk->first != trace->tasks->len ||
        chunk->count > MOSE_TRACE_TASKS_MAX - chunk->first ||
        chunk->raw != chunk->count * size)
        return trace_damaged(trace, chunk, "its tasks do not follow", error);
    for (gsize at = 0; at < chunk->raw; at += size) {
        const guint8 *data = payload->raw + at;
        MoseTraceTask task = { .pid = trace_get32(data),
                               .tgid = trace_get32(data + 4),
                               .address = trace_get64(data + 8),
                               .cr3 = trace_get64(data + 16) };

        memcpy(task.name, data + 24, sizeof(task.name));
        g_array_append_val(trace->tasks, task);
    }
    return TRUE;
}

/* --- names --- */

/* An empty one is none. */
static gboolean
take_text(MoseTrace *trace, TraceBytes *bytes, const char **ret)
{
    const guint8 *text;
    guint64 len;

    if (!trace_take_varint(bytes, &len) || len > MOSE_TRACE_NAME_LEN_MAX ||
        !(text = trace_take_bytes(bytes, len)) || memchr(text, 0, len))
        return FALSE;
    if (len > 0) {
        g_autofree char *ended = g_strndup((const char *)text, len);

        *ret = g_string_chunk_insert_const(trace->texts, ended);
    }
    return TRUE;
}

static gboolean
take_name(MoseTrace *trace, TraceBytes *bytes, MoseTraceName *ret)
{
    guint64 task, size;

    *ret = (MoseTraceName){ .task = MOSE_TRACE_NO_TASK };
    if (!trace_take_varint(bytes, &task) || task > trace->tasks->len ||
        !trace_take_low(bytes, 8, &ret->start) || !trace_take_varint(bytes, &size) ||
        size == 0 || size > G_MAXUINT64 - ret->start ||
        !trace_take_varint(bytes, &ret->file_offset))
        return FALSE;
    if (task > 0)
        ret->task = (guint32)task - 1;
    ret->end = ret->start + size;
    return take_text(trace, bytes, &ret->name) &&
           take_text(trace, bytes, &ret->object) &&
           take_text(trace, bytes, &ret->build_id);
}

static gboolean
load_names(MoseTrace *trace, const TraceChunk *chunk, const TracePayload *payload,
           GError **error)
{
    TraceBytes bytes = { payload->raw, payload->raw + chunk->raw };

    if (chunk->count > MOSE_TRACE_NAMES_MAX - trace->names->len)
        return trace_damaged(trace, chunk, "there are too many names", error);
    for (guint64 i = 0; i < chunk->count; i++) {
        TraceRange range = { .reach = 0 };

        if (!take_name(trace, &bytes, &range.name))
            return trace_damaged(trace, chunk, "a name makes no sense", error);
        g_array_append_val(trace->names, range);
    }
    return trace_bytes_left(&bytes) == 0 ||
           trace_damaged(trace, chunk, "it holds more than its names", error);
}

/* --- all of it --- */

/* A vCPU's instructions are all there, one chunk after the other. */
static gboolean
note_flow(MoseTrace *trace, const TraceChunk *chunk, GError **error)
{
    if (chunk->vcpu >= trace->flow->len ||
        chunk->first != mose_trace_instructions(trace, chunk->vcpu))
        return trace_damaged(trace, chunk, "its instructions do not follow", error);
    g_array_append_val(trace->flow->pdata[chunk->vcpu], *chunk);
    return TRUE;
}

static gboolean
load_chunk(MoseTrace *trace, const TraceChunk *chunk, TracePayload *payload,
           GError **error)
{
    if (!trace_payload_read(payload, trace, chunk, error))
        return FALSE;
    switch (chunk->kind) {
    case TRACE_INFO:
        return load_info(trace, chunk, payload, error);
    case TRACE_CODE:
        return load_code(trace, chunk, payload, error);
    case TRACE_TASKS:
        return load_tasks(trace, chunk, payload, error);
    default:
        return load_names(trace, chunk, payload, error);
    }
}

/* What its definitions take unpacked: a small file may claim much. */
static gboolean
is_moderate(const MoseTrace *trace, GError **error)
{
    guint64 code = 0, names = 0;

    for (guint i = 0; i < trace->chunks->len; i++) {
        const TraceChunk *chunk = &g_array_index(trace->chunks, TraceChunk, i);

        code += chunk->kind == TRACE_CODE ? chunk->raw : 0;
        names += chunk->kind == TRACE_NAMES ? chunk->raw : 0;
        if (code > TRACE_CODE_MAX || names > TRACE_NAMES_RAW_MAX)
            return trace_damaged(trace, chunk, "there are too many definitions", error);
    }
    return TRUE;
}

gboolean
trace_load(MoseTrace *trace, GError **error)
{
    g_auto(TracePayload) payload = { NULL };

    if (trace->chunks->len == 0 ||
        g_array_index(trace->chunks, TraceChunk, 0).kind != TRACE_INFO) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s has no description: it was cut when it had just begun, or is "
                    "damaged at offset %d",
                    trace->path, TRACE_HEADER);
        return FALSE;
    }
    if (!is_moderate(trace, error))
        return FALSE;
    for (guint i = 0; i < trace->chunks->len; i++) {
        const TraceChunk *chunk = &g_array_index(trace->chunks, TraceChunk, i);

        if (!(chunk->kind == TRACE_FLOW ? note_flow(trace, chunk, error)
                                        : load_chunk(trace, chunk, &payload, error)))
            return FALSE;
    }
    trace_names_sort(trace);
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the plugin tells, made into a trace; see recorder.h. */
#include "analysis/recorder.h"

#include <string.h>

#include "analysis/recorder-tasks.h"
#include "vmi/linux/modules.h"
#include "vmi/linux/tasks.h"

#define USER_LAST G_GUINT64_CONSTANT(0x00ffffffffffffff)

typedef struct {
    guint32 block; /* the last one that is recorded; MOSE_TRACE_NO_BLOCK: none */
    guint32 task;
    gboolean unwanted; /* what it runs is not recorded */
} Vcpu;

typedef struct {
    guint64 address;
    guint32 n;
} Code;

struct MoseRecorder {
    MoseTraceWriter *writer;
    guint64 begin_ns;
    GArray *code; /* Code, by number */
    guint n_vcpus;
    RecorderTasks *tasks; /* NULL: they are not watched */
    Vcpu vcpus[MOSE_RING_MAX_VCPUS];
    MoseRecorderCounts counts;
};

MoseRecorder *
mose_recorder_new(MoseTraceWriter *writer, guint n_vcpus, guint64 begin_ns)
{
    MoseRecorder *recorder = g_new0(MoseRecorder, 1);

    recorder->writer = writer;
    recorder->begin_ns = begin_ns;
    recorder->n_vcpus = n_vcpus;
    recorder->code = g_array_new(FALSE, FALSE, sizeof(Code));
    for (guint i = 0; i < n_vcpus; i++)
        recorder->vcpus[i] = (Vcpu){ MOSE_TRACE_NO_BLOCK, MOSE_TRACE_NO_TASK, FALSE };
    return recorder;
}

void
mose_recorder_free(MoseRecorder *recorder)
{
    if (!recorder)
        return;
    recorder_tasks_free(recorder->tasks);
    g_array_unref(recorder->code);
    g_free(recorder);
}

static void
record_task(gpointer data, guint vcpu, guint64 address)
{
    MoseRecorder *recorder = data;
    Vcpu *state = &recorder->vcpus[vcpu];
    gboolean wanted;

    if (!recorder->tasks)
        return;
    state->task = recorder_tasks_find(recorder->tasks, address, &wanted);
    state->unwanted = !wanted;
    if (wanted && state->task != MOSE_TRACE_NO_TASK)
        mose_trace_writer_task(recorder->writer, vcpu, state->task);
}

gboolean
mose_recorder_watch_tasks(MoseRecorder *recorder, MoseLinux *kernel, const char *wanted,
                          GError **error)
{
    if (!mose_linux_need_types(kernel, error))
        return FALSE;
    recorder->tasks = recorder_tasks_new(recorder->writer, kernel, wanted);
    for (guint i = 0; i < recorder->n_vcpus; i++) {
        guint64 current;

        if (mose_task_current(kernel, i, &current, NULL))
            record_task(recorder, i, current);
        else
            recorder->vcpus[i].unwanted = wanted != NULL;
    }
    return TRUE;
}

MoseRecorderCounts
mose_recorder_counts(const MoseRecorder *recorder)
{
    return recorder->counts;
}

static void
record_code(gpointer data, guint32 number, guint64 address, guint n,
            const guint8 *sizes, const guint8 *bytes, gsize len)
{
    MoseRecorder *recorder = data;
    const MoseTraceBlock block = { address, n, sizes, bytes };
    Code code = { address, n };

    mose_trace_writer_define(recorder->writer, &block);
    g_array_append_val(recorder->code, code);
    recorder->counts.n_code++;
}

/* The last block came so far; 0: nobody knows. */
static void
record_executed(MoseRecorder *recorder, guint vcpu, guint executed)
{
    guint32 block = recorder->vcpus[vcpu].block;
    guint32 n;

    if (block == MOSE_TRACE_NO_BLOCK)
        return;
    n = g_array_index(recorder->code, Code, block).n;
    if (executed > 0 && executed < n)
        mose_trace_writer_cut(recorder->writer, vcpu, executed);
    recorder->counts.instructions += executed > 0 && executed < n ? executed : n;
}

static void
record_block(gpointer data, guint vcpu, guint32 number, guint executed)
{
    MoseRecorder *recorder = data;

    Vcpu *state = &recorder->vcpus[vcpu];
    guint64 address = g_array_index(recorder->code, Code, number).address;

    record_executed(recorder, vcpu, executed);
    state->block = state->unwanted ? MOSE_TRACE_NO_BLOCK : number;
    if (state->unwanted)
        return;
    mose_trace_writer_block(recorder->writer, vcpu, number);
    recorder->counts.blocks++;
    if (recorder->tasks && address <= USER_LAST)
        recorder_tasks_executed(recorder->tasks, state->task, address);
}

static void
record_access(gpointer data, guint vcpu, guint insn, guint shift, gboolean store,
              guint64 address, const guint64 *value)
{
    MoseRecorder *recorder = data;
    guint32 block = recorder->vcpus[vcpu].block;
    MoseTraceAccess access;

    if (block == MOSE_TRACE_NO_BLOCK ||
        insn >= g_array_index(recorder->code, Code, block).n)
        return;
    access.address = address;
    access.instruction = insn;
    access.size = 1u << shift;
    access.store = store;
    access.has_value = value != NULL;
    if (value)
        memcpy(access.value, value, shift > 3 ? 16 : 8);
    mose_trace_writer_access(recorder->writer, vcpu, &access);
    recorder->counts.accesses++;
}

static void
record_lost(gpointer data, guint vcpu, guint executed, guint64 blocks)
{
    MoseRecorder *recorder = data;

    record_executed(recorder, vcpu, executed);
    recorder->vcpus[vcpu].block = MOSE_TRACE_NO_BLOCK;
    if (recorder->vcpus[vcpu].unwanted)
        return;
    /* Perhaps accesses alone. */
    mose_trace_writer_lost(recorder->writer, vcpu, MAX(blocks, 1));
    recorder->counts.lost += blocks;
}

static void
record_end(gpointer data, guint vcpu, guint executed)
{
    MoseRecorder *recorder = data;

    record_executed(recorder, vcpu, executed);
    recorder->vcpus[vcpu].block = MOSE_TRACE_NO_BLOCK;
}

static void
record_time(gpointer data, guint vcpu, guint64 ns)
{
    MoseRecorder *recorder = data;

    mose_trace_writer_time(recorder->writer, vcpu,
                           ns > recorder->begin_ns ? ns - recorder->begin_ns : 0);
}

const MoseRingSink mose_recorder_sink = {
    .code = record_code,
    .block = record_block,
    .access = record_access,
    .lost = record_lost,
    .end = record_end,
    .task = record_task,
    .time = record_time,
};

/* A function, once. */
static void
add_name(GArray *names, GHashTable *known, const MoseSymbol *symbol)
{
    MoseTraceName name = { .task = MOSE_TRACE_NO_TASK,
                           .start = symbol->address,
                           .end = symbol->address + MAX(symbol->size, 1),
                           .name = symbol->name,
                           .object = symbol->module ? symbol->module : "vmlinux" };

    if (!g_hash_table_add(known, g_memdup2(&symbol->address, sizeof(guint64))))
        return;
    g_array_append_val(names, name);
}

void
mose_recorder_name(MoseRecorder *recorder, MoseLinux *kernel)
{
    g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(MoseTraceName));
    g_autoptr(GHashTable) known =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

    /* Those of modules need types, which not each kernel has. */
    mose_linux_modules(kernel, NULL);
    for (guint i = 0; i < recorder->code->len; i++) {
        const MoseSymbol *symbol = mose_linux_symbol_at(
            kernel, g_array_index(recorder->code, Code, i).address);

        if (symbol)
            add_name(names, known, symbol);
    }
    mose_trace_writer_names(recorder->writer,
                            (const MoseTraceName *)(gpointer)names->data, names->len);
    if (recorder->tasks)
        recorder_tasks_name(recorder->tasks);
}

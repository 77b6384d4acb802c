/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as a trace file, or, behind a 1, as chunks that have sound
 * headers and checksums (2: without an index): kind, vCPU, count (u16), length (u16),
 * payload. What is opened is walked to its end or an error, by vCPU and by time, which
 * agree; numbers are in their limits, and each instruction that was come by is found
 * again.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "lib/trace-forge.h"
#include "trace/bytes.h"
#include "trace/reader.h"
#include "util/fd.h"

#define MAX_STEPS 20000u
#define SEEKS 8u
#define VCPUS 4u

/* --- forging --- */

static gboolean
forge_chunk(TraceForge *forge, TraceBytes *input, guint64 *next)
{
    TraceChunk chunk = { .time = forge->n };
    guint64 number = 0;
    const guint8 *payload;
    guint8 kind, vcpu;
    gsize len;

    if (!trace_take_byte(input, &kind) || !trace_take_byte(input, &vcpu) ||
        !trace_take_low(input, 2, &chunk.count) || !trace_take_low(input, 2, &number))
        return FALSE;
    chunk.kind = kind % TRACE_KINDS;
    chunk.vcpu = chunk.kind == TRACE_FLOW ? vcpu % VCPUS : 0;
    /* They follow each other, as they have to. */
    chunk.first =
        next[chunk.kind == TRACE_FLOW ? TRACE_KINDS + chunk.vcpu : chunk.kind];
    next[chunk.kind == TRACE_FLOW ? TRACE_KINDS + chunk.vcpu : chunk.kind] +=
        chunk.count;
    len = MIN(number, trace_bytes_left(input));
    payload = trace_take_bytes(input, len);
    trace_forge_chunk(forge, &chunk, payload, len);
    return TRUE;
}

static void
forge(TraceForge *forge, const guint8 *data, gsize size, gboolean whole)
{
    TraceBytes input = { data, data + size };
    guint64 next[TRACE_KINDS + VCPUS] = { 0 };

    trace_forge_init(forge);
    trace_forge_info(forge, "{\"vcpus\": 4, \"memory\": true, \"values\": true, "
                            "\"registers\": [\"rax\", \"rip\", \"rsp\"]}");
    while (forge_chunk(forge, &input, next))
        continue;
    if (whole)
        trace_forge_end(forge);
}

/* --- walking --- */

/* Another guess at each byte, so that none goes unread. */
static guint64
sum(const void *data, gsize len)
{
    guint64 ret = 0;

    for (gsize i = 0; i < len; i++)
        ret = ret * 31 + ((const guint8 *)data)[i];
    return ret;
}

static guint64
check_step(const MoseTrace *trace, const MoseTraceStep *step)
{
    const MoseTraceBlock *block = mose_trace_block(trace, step->block);
    MoseTraceFound found;
    guint64 ret = sum(&step->time, sizeof(step->time));

    FUZZ_CHECK(block && block->n > 0 && block->n <= MOSE_TRACE_INSTRUCTIONS_MAX);
    FUZZ_CHECK(step->executed <= block->n);
    FUZZ_CHECK(step->n_accesses <= MOSE_TRACE_ACCESSES_MAX);
    for (guint i = 0; i < step->n_accesses; i++) {
        FUZZ_CHECK(step->accesses[i].instruction < block->n);
        FUZZ_CHECK(step->accesses[i].size <= MOSE_TRACE_ACCESS_SIZE_MAX);
        ret += sum(step->accesses[i].value, sizeof(step->accesses[i].value));
    }
    for (guint i = 0; i < step->n_registers; i++)
        FUZZ_CHECK(step->registers[i].index < MOSE_TRACE_REGISTERS_MAX);
    if (mose_trace_name(trace, step->task, block->address, &found) && found.symbol)
        FUZZ_CHECK(found.symbol->start <= block->address &&
                   block->address < found.symbol->end && found.symbol->name);
    return ret + sum(block->bytes, block->lengths[0]);
}

/* What the steps of @vcpu come to, up to an error. */
static guint64
walk(const MoseTrace *trace, guint vcpu, gboolean *ret_failed)
{
    g_autoptr(MoseTraceCursor) cursor = mose_trace_cursor_new(trace, vcpu);
    g_autoptr(GError) error = NULL;
    guint64 ret = 0, next = 0;
    MoseTraceStep step;
    guint n = 0;

    while (n++ < MAX_STEPS && mose_trace_cursor_next(cursor, &step, &error)) {
        FUZZ_CHECK(step.vcpu == vcpu && step.instruction == next);
        next += step.executed;
        ret += check_step(trace, &step);
    }
    FUZZ_CHECK(error || n > MAX_STEPS || next == mose_trace_instructions(trace, vcpu));
    *ret_failed |= error || n > MAX_STEPS;
    for (guint i = 0; !error && n <= MAX_STEPS && next > 0 && i < SEEKS; i++) {
        guint64 number = next * i / SEEKS;

        FUZZ_CHECK(mose_trace_cursor_seek(cursor, number, &error));
        FUZZ_CHECK(mose_trace_cursor_next(cursor, &step, &error));
        FUZZ_CHECK(step.instruction <= number &&
                   number - step.instruction < step.executed);
    }
    return ret;
}

static void
look(const MoseTrace *trace)
{
    g_autoptr(MoseTraceMerge) merge = mose_trace_merge_new(trace);
    g_autoptr(GError) error = NULL;
    gboolean failed = FALSE;
    guint64 alone = 0, together = 0;
    MoseTraceStep step;

    for (guint i = 0; i < MIN(VCPUS, mose_trace_info(trace)->n_vcpus); i++)
        alone += walk(trace, i, &failed);
    if (failed || mose_trace_info(trace)->n_vcpus > VCPUS)
        return;
    while (mose_trace_merge_next(merge, &step, &error))
        together += check_step(trace, &step);
    FUZZ_CHECK(!error && together == alone);
}

static void
open_and_look(const guint8 *data, gsize size)
{
    g_auto(MoseFd) fd = memfd_create("trace", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(MoseTrace) trace = NULL;
    g_autoptr(GError) error = NULL;

    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    trace = mose_trace_open(path, &error);
    FUZZ_CHECK(!trace == !!error);
    if (trace)
        look(trace);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_auto(TraceForge) forged = { NULL };

    if (size > 0 && (data[0] == 1 || data[0] == 2)) {
        forge(&forged, data + 1, size - 1, data[0] == 1);
        open_and_look(forged.file->data, forged.file->len);
    } else {
        open_and_look(data, size);
    }
    return 0;
}

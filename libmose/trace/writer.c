/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A writer's life, and what happens on the vCPUs; see writer.h. Blocks, tasks and names
 * are in define.c. */
#include "trace/writer.h"

#include <errno.h>
#include <fcntl.h>

#include "trace/writer-private.h"
#include "util/error.h"
#include "util/fd.h"

/* Drafts that nobody fills: under way to the file. */
#define QUEUE 4
/* That of code, that of tasks, one of names. */
#define DEFINITIONS 3

/* --- errors --- */

void
trace_writer_bad(MoseTraceWriter *writer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    trace_packer_keep(writer->packer,
                      g_error_new_valist(MOSE_ERROR, MOSE_ERROR_INVALID, format, args));
    va_end(args);
}

void
mose_trace_writer_rest(MoseTraceWriter *writer)
{
    trace_packer_rest(writer->packer);
}

gboolean
mose_trace_writer_check(const MoseTraceWriter *writer, GError **error)
{
    return trace_packer_check(writer->packer, error);
}

/* --- its life --- */

static gboolean
check_info(const MoseTraceInfo *info, guint *ret_registers, GError **error)
{
    *ret_registers = info->registers ? g_strv_length((char **)info->registers) : 0;
    if (info->n_vcpus > 0 && info->n_vcpus <= MOSE_TRACE_VCPUS_MAX &&
        *ret_registers <= MOSE_TRACE_REGISTERS_MAX)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "no trace of %u vCPUs (1 to %u) and %u registers (at most %u)",
                info->n_vcpus, MOSE_TRACE_VCPUS_MAX, *ret_registers,
                MOSE_TRACE_REGISTERS_MAX);
    return FALSE;
}

MoseTraceWriter *
mose_trace_writer_new(int take_fd, const char *what, const MoseTraceInfo *info,
                      int level, GError **error)
{
    g_autoptr(MoseTraceWriter) writer = NULL;
    g_auto(MoseFd) fd = take_fd;
    guint n_registers;

    if (!check_info(info, &n_registers, error))
        return NULL;
    writer = g_new0(MoseTraceWriter, 1);
    g_mutex_init(&writer->lock);
    writer->n_vcpus = info->n_vcpus;
    writer->n_registers = n_registers;
    writer->memory = info->memory;
    writer->values = info->values;
    writer->packer = trace_packer_new(mose_fd_steal(&fd), what, level,
                                      info->n_vcpus + DEFINITIONS + QUEUE, error);
    if (!writer->packer || !trace_writer_put_info(writer, info, error))
        return NULL;
    writer->vcpus = g_new0(TraceEncoder, info->n_vcpus);
    for (guint i = 0; i < info->n_vcpus; i++)
        trace_encoder_init(&writer->vcpus[i], info->memory);
    return g_steal_pointer(&writer);
}

int
mose_trace_make_file(const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 && errno == EEXIST)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is there already; remove it, or name another file", path);
    else if (fd < 0)
        mose_error_set_errno(error, errno, "cannot make %s", path);
    return fd;
}

MoseTraceWriter *
mose_trace_create(const char *path, const MoseTraceInfo *info, int level,
                  GError **error)
{
    int fd = mose_trace_make_file(path, error);

    return fd < 0 ? NULL : mose_trace_writer_new(fd, path, info, level, error);
}

void
mose_trace_writer_free(MoseTraceWriter *writer)
{
    if (!writer)
        return;
    trace_packer_free(writer->packer);
    for (guint i = 0; writer->vcpus && i < writer->n_vcpus; i++)
        trace_encoder_clear(&writer->vcpus[i]);
    for (guint i = 0; i < TRACE_PIECES; i++)
        g_free(writer->lengths[i]);
    g_mutex_clear(&writer->lock);
    g_free(writer->vcpus);
    g_free(writer);
}

/* The chunk goes to the file, what it uses before it. */
static void
end_chunk(MoseTraceWriter *writer, TraceEncoder *encoder, gboolean last)
{
    TraceDraft *draft = trace_encoder_end(encoder, last);

    g_mutex_lock(&writer->lock);
    trace_writer_flush(writer);
    trace_packer_give(writer->packer, draft);
    g_mutex_unlock(&writer->lock);
}

static void
begin_chunk(MoseTraceWriter *writer, TraceEncoder *encoder)
{
    trace_encoder_begin(encoder, (guint)(encoder - writer->vcpus),
                        trace_packer_take(writer->packer));
}

gboolean
mose_trace_writer_finish(MoseTraceWriter *writer, guint64 *ret_bytes, GError **error)
{
    for (guint i = 0; i < writer->n_vcpus; i++) {
        TraceEncoder *encoder = &writer->vcpus[i];

        if (!encoder->draft && encoder->pending.what)
            begin_chunk(writer, encoder);
        if (encoder->draft)
            end_chunk(writer, encoder, TRUE);
    }
    g_mutex_lock(&writer->lock);
    trace_writer_flush(writer);
    g_mutex_unlock(&writer->lock);
    return trace_packer_finish(writer->packer, ret_bytes, error);
}

/* --- blocks --- */

/* NULL, and a kept error, where there is no such vCPU. */
static inline TraceEncoder *
vcpu_of(MoseTraceWriter *writer, guint vcpu)
{
    if (G_LIKELY(vcpu < writer->n_vcpus))
        return &writer->vcpus[vcpu];
    trace_writer_bad(writer, "the trace has no vCPU %u", vcpu);
    return NULL;
}

/* The same where it has executed no block yet. */
static inline TraceEncoder *
busy_vcpu_of(MoseTraceWriter *writer, guint vcpu)
{
    TraceEncoder *encoder = vcpu_of(writer, vcpu);

    if (G_UNLIKELY(encoder && !encoder->record)) {
        trace_writer_bad(writer, "vCPU %u has executed no block yet", vcpu);
        return NULL;
    }
    return encoder;
}

void
mose_trace_writer_block(MoseTraceWriter *writer, guint vcpu, guint32 id)
{
    TraceEncoder *encoder = vcpu_of(writer, vcpu);

    if (G_UNLIKELY(!encoder))
        return;
    if (G_UNLIKELY(id >= (guint)g_atomic_int_get(&writer->n_blocks))) {
        trace_writer_bad(writer, "vCPU %u: there is no block %u", vcpu, id);
        return;
    }
    if (G_UNLIKELY(!encoder->draft)) {
        begin_chunk(writer, encoder);
    } else if (trace_encoder_is_due(encoder)) {
        end_chunk(writer, encoder, FALSE);
        begin_chunk(writer, encoder);
    }
    trace_encoder_block(encoder, id,
                        writer->lengths[id / TRACE_PIECE][id % TRACE_PIECE]);
}

void
mose_trace_writer_cut(MoseTraceWriter *writer, guint vcpu, guint executed)
{
    TraceEncoder *encoder = busy_vcpu_of(writer, vcpu);

    if (encoder && executed <= encoder->record->n_instructions)
        encoder->executed = executed;
    else if (encoder)
        trace_writer_bad(writer, "vCPU %u: %u instructions of a block of %u", vcpu,
                         executed, encoder->record->n_instructions);
}

static gboolean
is_sound(const MoseTraceWriter *writer, const TraceEncoder *encoder,
         const MoseTraceAccess *access)
{
    return writer->memory && (writer->values || !access->has_value) &&
           access->size > 0 && access->size <= MOSE_TRACE_ACCESS_SIZE_MAX &&
           (access->size & (access->size - 1)) == 0 &&
           access->instruction < encoder->record->n_instructions &&
           encoder->n_accesses < MOSE_TRACE_ACCESSES_MAX;
}

void
mose_trace_writer_access(MoseTraceWriter *writer, guint vcpu,
                         const MoseTraceAccess *access)
{
    TraceEncoder *encoder = busy_vcpu_of(writer, vcpu);

    if (G_LIKELY(encoder && is_sound(writer, encoder, access)))
        trace_encoder_access(encoder, access);
    else if (encoder)
        trace_writer_bad(writer,
                         "vCPU %u: access %u of a block, %u bytes by instruction %u, "
                         "has no place in this trace",
                         vcpu, encoder->n_accesses, access->size, access->instruction);
}

/* --- what is between blocks --- */

static TracePending *
pending_of(MoseTraceWriter *writer, guint vcpu, guint what)
{
    TraceEncoder *encoder = vcpu_of(writer, vcpu);

    if (!encoder)
        return NULL;
    encoder->pending.what |= what;
    return &encoder->pending;
}

void
mose_trace_writer_time(MoseTraceWriter *writer, guint vcpu, guint64 ns)
{
    TracePending *pending = pending_of(writer, vcpu, TRACE_EVENT_TIME);

    if (pending)
        pending->time = writer->vcpus[vcpu].time = ns;
}

void
mose_trace_writer_task(MoseTraceWriter *writer, guint vcpu, guint32 task)
{
    TracePending *pending;

    if (task >= (guint)g_atomic_int_get(&writer->n_tasks)) {
        trace_writer_bad(writer, "vCPU %u: there is no task %u", vcpu, task);
        return;
    }
    pending = pending_of(writer, vcpu, TRACE_EVENT_TASK);
    if (pending)
        pending->task = writer->vcpus[vcpu].task = task;
}

void
mose_trace_writer_lost(MoseTraceWriter *writer, guint vcpu, guint64 n)
{
    TracePending *pending = pending_of(writer, vcpu, TRACE_EVENT_LOST);

    if (pending)
        pending->lost += n;
}

void
mose_trace_writer_registers(MoseTraceWriter *writer, guint vcpu,
                            const MoseTraceRegister *registers, guint n)
{
    TracePending *pending;

    if (n > writer->n_registers) {
        trace_writer_bad(writer, "vCPU %u: %u registers, of %u", vcpu, n,
                         writer->n_registers);
        return;
    }
    for (guint i = 0; i < n; i++) {
        if (registers[i].index >= writer->n_registers) {
            trace_writer_bad(writer, "vCPU %u: there is no register %u", vcpu,
                             registers[i].index);
            return;
        }
    }
    pending = pending_of(writer, vcpu, TRACE_EVENT_REGISTERS);
    if (!pending)
        return;
    g_array_set_size(pending->registers, 0);
    g_array_append_vals(pending->registers, registers, n);
}

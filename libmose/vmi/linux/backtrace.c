/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stacks of tasks and CPUs, unwound at the right moment. See backtrace.h. */
#include "vmi/linux/backtrace.h"

#include "util/error.h"

#define MAX_TRIES 20

void
mose_cpu_trace_free(MoseCpuTrace *trace)
{
    if (!trace)
        return;
    mose_task_free(trace->task);
    mose_backtrace_free(trace->trace);
    g_clear_error(&trace->error);
    g_free(trace);
}

/* --- which CPU --- */

/* arch/x86/include/asm/cpu_entry_area.h: the GDT is its first page. */
static gboolean
is_gdt_of(MoseLinux *kernel, guint cpu, guint64 gdt)
{
    guint64 at, stacks, offset;

    return mose_symbols_by_name(kernel->symbols, NULL, "cea_exception_stacks") &&
           mose_linux_per_cpu(kernel, "cea_exception_stacks", cpu, &at, NULL) &&
           mose_space_read_number(kernel->space, at, 8, &stacks, NULL) &&
           mose_object_offset(kernel, "cpu_entry_area", "estacks", &offset, NULL,
                              NULL) &&
           stacks - offset == gdt;
}

static gboolean
is_base_of(MoseLinux *kernel, guint cpu, guint64 gs_base)
{
    guint64 offsets, offset;

    return mose_linux_symbol(kernel, "__per_cpu_offset", &offsets, NULL) &&
           mose_space_read_number(kernel->space, offsets + (guint64)cpu * 8, 8, &offset,
                                  NULL) &&
           offset == gs_base;
}

guint
mose_linux_cpu_of(MoseLinux *kernel, const MoseVcpu *vcpu)
{
    for (guint i = 0; i < kernel->n_cpus; i++) {
        /* The likely one first. */
        guint cpu = (vcpu->index + i) % kernel->n_cpus;

        if (is_gdt_of(kernel, cpu, vcpu->gdt_base) ||
            is_base_of(kernel, cpu, vcpu->gs_base))
            return cpu;
    }
    return vcpu->index;
}

/* --- all CPUs --- */

typedef struct {
    MoseOrc *orc;
    gboolean with_user;
    GPtrArray *traces;
} Cpus;

static void
trace_one(MoseOrc *orc, gboolean with_user, MoseCpuTrace *trace)
{
    MoseLinux *kernel = mose_orc_kernel(orc);
    guint64 task;

    trace->cpu = mose_linux_cpu_of(kernel, &trace->vcpu);
    if (!mose_task_current(kernel, trace->cpu, &task, &trace->error) ||
        !(trace->task = mose_task_read(kernel, task, &trace->error)))
        return;
    trace->trace = mose_backtrace_vcpu(orc, &trace->vcpu, trace->cpu, task, with_user,
                                       &trace->error);
}

static void
trace_all(const GArray *vcpus, gpointer data)
{
    Cpus *cpus = data;

    mose_linux_forget(mose_orc_kernel(cpus->orc));
    for (guint i = 0; i < vcpus->len; i++) {
        MoseCpuTrace *trace = g_new0(MoseCpuTrace, 1);

        trace->vcpu = g_array_index(vcpus, MoseVcpu, i);
        trace_one(cpus->orc, cpus->with_user, trace);
        g_ptr_array_add(cpus->traces, trace);
    }
}

GPtrArray *
mose_backtrace_cpus(MoseOrc *orc, gboolean with_user, GError **error)
{
    Cpus cpus = { .orc = orc,
                  .with_user = with_user,
                  .traces = g_ptr_array_new_with_free_func(
                      (GDestroyNotify)mose_cpu_trace_free) };

    if (mose_memory_still(mose_orc_kernel(orc)->memory, trace_all, &cpus, error))
        return cpus.traces;
    g_ptr_array_unref(cpus.traces);
    return NULL;
}

/* --- one task --- */

/* NULL without an error: it runs on none. */
static MoseBacktrace *
trace_running(MoseOrc *orc, guint64 task, gboolean with_user, GError **error)
{
    g_autoptr(GPtrArray) traces = mose_backtrace_cpus(orc, with_user, error);

    for (guint i = 0; traces && i < traces->len; i++) {
        MoseCpuTrace *trace = traces->pdata[i];

        if (!trace->task || trace->task->address != task)
            continue;
        if (trace->error)
            g_propagate_error(error, g_steal_pointer(&trace->error));
        return g_steal_pointer(&trace->trace);
    }
    return NULL;
}

MoseBacktrace *
mose_backtrace_any(MoseOrc *orc, const MoseTask *task, gboolean with_user,
                   GError **error)
{
    for (guint i = 0; i < MAX_TRIES; i++) {
        g_autoptr(GError) cause = NULL;
        MoseBacktrace *trace =
            mose_backtrace_task(orc, task->address, with_user, &cause);

        if (!trace && g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_AGAIN)) {
            g_clear_error(&cause);
            trace = trace_running(orc, task->address, with_user, &cause);
        }
        if (trace)
            return trace;
        if (cause) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        mose_linux_forget(mose_orc_kernel(orc));
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "task %d (%s) is switched to and from too often to be seen", task->pid,
                task->comm);
    return NULL;
}

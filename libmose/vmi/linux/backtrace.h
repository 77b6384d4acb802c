/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stack of any task, whether it runs or not, and of all CPUs at one instant. */
#pragma once

#include "vmi/linux/tasks.h"
#include "vmi/linux/unwind.h"

typedef struct {
    guint cpu;            /* Linux's number of it */
    MoseVcpu vcpu;        /* its registers */
    MoseTask *task;       /* which runs on it; of an idle task the pid is 0 */
    MoseBacktrace *trace; /* NULL: */
    GError *error;
} MoseCpuTrace;

void mose_cpu_trace_free(MoseCpuTrace *trace);

/*
 * Of all CPUs, of MoseCpuTrace, while the guest stands still: some milliseconds.
 * @with_user: as unwind.h has it. mose_linux_modules() has been called (mose_orc_new()
 * does). Free with g_ptr_array_unref().
 */
GPtrArray *mose_backtrace_cpus(MoseOrc *orc, gboolean with_user, GError **error);

/* That of one task: where it is blocked, or else, with the guest stopped for that, of
 * the CPU on which it runs. AGAIN where it is switched too often to be seen. */
MoseBacktrace *mose_backtrace_any(MoseOrc *orc, const MoseTask *task,
                                  gboolean with_user, GError **error);

/*
 * Linux's number of the CPU with these registers: by its own GDT, which lies in the
 * CPU's entry area; by its GS base, which in the kernel is that of its per-CPU
 * variables; or else QEMU's number.
 */
guint mose_linux_cpu_of(MoseLinux *kernel, const MoseVcpu *vcpu);

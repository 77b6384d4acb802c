/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's processors, as its kernel knows them, and what each does in one moment. */
#pragma once

#include "vmi/linux/tasks.h"
#include "vmi/vcpu.h"

/* The CPUs in the mask at symbol @name ("__cpu_online_mask", "__cpu_possible_mask",
 * ...): a byte for each of kernel->n_cpus, 1 or 0; free with g_free(). */
guint8 *mose_cpus_mask(MoseLinux *kernel, const char *name, GError **error);

/* Where @cpu's copies of per-CPU variables are, seen from their symbols. */
gboolean mose_linux_per_cpu_offset(const MoseLinux *kernel, guint cpu, guint64 *ret,
                                   GError **error);

/* Linux include/linux/preempt.h: what is counted in preempt_count, from the lowest bits
 * on. */
#define MOSE_PREEMPT_PREEMPT(count) ((count)&0xff)
#define MOSE_PREEMPT_SOFTIRQ(count) ((count) >> 8 & 0xff)
#define MOSE_PREEMPT_HARDIRQ(count) ((count) >> 16 & 0xf)
#define MOSE_PREEMPT_NMI(count) ((count) >> 20 & 0xf)
/* arch/x86/include/asm/preempt.h: inverted, so that one test finds both. */
#define MOSE_PREEMPT_NO_RESCHED 0x80000000u

typedef struct {
    guint cpu;       /* the kernel's number */
    gboolean online; /* else nothing below is set */
    gboolean has_vcpu;
    MoseVcpu vcpu;  /* the registers */
    MoseTask *task; /* that runs there; NULL: it could not be read */
    gboolean has_preempt_count;
    guint32 preempt_count;
    guint64
        task_tables; /* physical, of the task's mm, or of that which it borrows; 0 */
} MoseCpu;

/*
 * All that are possible, of MoseCpu, in ascending order: registers, tasks and counters
 * of one moment (memory.h: mose_memory_moment()). Free with g_ptr_array_unref().
 */
GPtrArray *mose_cpus_read(MoseLinux *kernel, GError **error);

/* What @cr3 leads to, without its flags and process-context id (and, with page-table
 * isolation, that of the kernel's half): physical. */
guint64 mose_cpus_tables(guint64 cr3);

/* Whose tables these are: the first of the processes with that memory; NULL: nobody's,
 * and with *@ret_kernel the kernel's own. To be freed with mose_task_free(). */
MoseTask *mose_cpus_owner(MoseLinux *kernel, guint64 tables, gboolean *ret_kernel,
                          GError **error);

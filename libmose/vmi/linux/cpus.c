/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each processor does. See cpus.h. */
#include "vmi/linux/cpus.h"

#include "util/error.h"

#define PTI_USER 0x1000u /* Linux arch/x86/entry/calling.h: PTI_USER_PGTABLE_MASK */
#define CR3_ADDRESS G_GUINT64_CONSTANT(0x000ffffffffff000)

/* Linux include/linux/cpumask.h: a bitmap of NR_CPUS bits, which nr_cpu_ids is not more
 * than. */
guint8 *
mose_cpus_mask(MoseLinux *kernel, const char *name, GError **error)
{
    g_autofree guint8 *bits = g_malloc0((kernel->n_cpus + 7) / 8);
    guint8 *ret;
    guint64 at;

    if (!mose_linux_symbol(kernel, name, &at, error) ||
        !mose_space_read(kernel->space, at, bits, (kernel->n_cpus + 7) / 8, NULL,
                         error))
        return NULL;
    ret = g_malloc(kernel->n_cpus);
    for (guint i = 0; i < kernel->n_cpus; i++)
        ret[i] = bits[i / 8] >> i % 8 & 1;
    return ret;
}

/* Linux arch/x86/kernel/setup_percpu.c */
gboolean
mose_linux_per_cpu_offset(const MoseLinux *kernel, guint cpu, guint64 *ret,
                          GError **error)
{
    guint64 offsets;

    return mose_linux_symbol(kernel, "__per_cpu_offset", &offsets, error) &&
           mose_space_read_number(kernel->space, offsets + (guint64)cpu * 8, 8, ret,
                                  error);
}

/* --- one moment --- */

static void
cpu_free(gpointer data)
{
    MoseCpu *cpu = data;

    mose_task_free(cpu->task);
    g_free(cpu);
}

/* In a struct from 6.2 to 6.14 (Linux arch/x86/include/asm/preempt.h). */
static gboolean
read_preempt_count(MoseLinux *kernel, guint cpu, guint32 *ret)
{
    guint64 at, value, offset = 0;

    if (mose_object_offset(kernel, "pcpu_hot", "preempt_count", &offset, NULL, NULL)
            ? !mose_linux_per_cpu(kernel, "pcpu_hot", cpu, &at, NULL)
            : !mose_linux_per_cpu(kernel, "__preempt_count", cpu, &at, NULL))
        return FALSE;
    if (!mose_space_read_number(kernel->space, at + offset, 4, &value, NULL))
        return FALSE;
    *ret = value;
    return TRUE;
}

static guint64
read_tables(MoseLinux *kernel, guint64 task)
{
    guint64 mm, pgd, physical;

    /* That of a kernel thread is borrowed from who ran before. */
    if (!mose_object_peek(kernel, "task_struct", task, "active_mm", &mm, NULL) ||
        mm == 0 || !mose_object_peek(kernel, "mm_struct", mm, "pgd", &pgd, NULL) ||
        !mose_space_translate(kernel->space, pgd, &physical, NULL))
        return 0;
    return physical;
}

static void
look_at(MoseLinux *kernel, MoseCpu *cpu)
{
    guint64 current;

    g_clear_pointer(&cpu->task, mose_task_free);
    if (mose_task_current(kernel, cpu->cpu, &current, NULL)) {
        cpu->task = mose_task_read(kernel, current, NULL);
        cpu->task_tables = read_tables(kernel, current);
    }
    cpu->has_preempt_count = read_preempt_count(kernel, cpu->cpu, &cpu->preempt_count);
}

typedef struct {
    MoseLinux *kernel;
    GPtrArray *cpus;
    GArray *vcpus; /* MoseVcpu; owned */
} Moment;

static void
look_at_all(Moment *moment)
{
    for (guint i = 0; i < moment->cpus->len; i++) {
        MoseCpu *cpu = moment->cpus->pdata[i];

        if (cpu->online)
            look_at(moment->kernel, cpu);
    }
}

/* While the guest stands still. */
static void
look_still(const GArray *vcpus, gpointer data)
{
    Moment *moment = data;

    moment->vcpus = g_array_copy((GArray *)vcpus);
    look_at_all(moment);
}

/* --- which vCPU is which CPU --- */

/* Both may be counted differently. Each CPU has a table of segments of its own, which
 * it uses through another address (Linux arch/x86/include/asm/desc.h). */
static guint64
find_gdt(MoseLinux *kernel, guint cpu)
{
    guint64 at, physical;

    return mose_linux_per_cpu(kernel, "gdt_page", cpu, &at, NULL) &&
                   mose_space_translate(kernel->space, at, &physical, NULL)
               ? physical
               : 0;
}

static void
give_vcpus(MoseLinux *kernel, GPtrArray *cpus, const GArray *vcpus)
{
    g_autofree guint64 *tables = g_new0(guint64, cpus->len + 1);

    for (guint i = 0; i < cpus->len; i++)
        if (((MoseCpu *)cpus->pdata[i])->online)
            tables[i] = find_gdt(kernel, ((MoseCpu *)cpus->pdata[i])->cpu);
    for (guint v = 0; v < vcpus->len; v++) {
        const MoseVcpu *vcpu = &g_array_index(vcpus, MoseVcpu, v);
        guint64 physical;

        if (!mose_space_translate(kernel->space, vcpu->gdt_base, &physical, NULL))
            continue;
        for (guint i = 0; i < cpus->len; i++) {
            MoseCpu *cpu = cpus->pdata[i];

            if (tables[i] == 0 || tables[i] != physical || cpu->has_vcpu)
                continue;
            cpu->has_vcpu = TRUE;
            cpu->vcpu = *vcpu;
            break;
        }
    }
}

static GPtrArray *
possible_cpus(MoseLinux *kernel, GError **error)
{
    g_autofree guint8 *possible = mose_cpus_mask(kernel, "__cpu_possible_mask", error);
    g_autofree guint8 *online =
        possible ? mose_cpus_mask(kernel, "__cpu_online_mask", error) : NULL;
    GPtrArray *cpus;

    if (!online)
        return NULL;
    cpus = g_ptr_array_new_with_free_func(cpu_free);
    for (guint i = 0; i < kernel->n_cpus; i++) {
        MoseCpu *cpu;

        if (!possible[i])
            continue;
        cpu = g_new0(MoseCpu, 1);
        cpu->cpu = i;
        cpu->online = online[i];
        g_ptr_array_add(cpus, cpu);
    }
    return cpus;
}

GPtrArray *
mose_cpus_read(MoseLinux *kernel, GError **error)
{
    g_autoptr(GPtrArray) cpus = NULL;
    Moment moment = { .kernel = kernel };
    gboolean good;

    if (!mose_linux_need_types(kernel, error) || !(cpus = possible_cpus(kernel, error)))
        return NULL;
    moment.cpus = cpus;
    /* What is looked up once, need not be in the moment. */
    look_at_all(&moment);
    good = mose_memory_still(kernel->memory, look_still, &moment, error);
    if (good)
        give_vcpus(kernel, cpus, moment.vcpus);
    g_clear_pointer(&moment.vcpus, g_array_unref);
    return good ? g_steal_pointer(&cpus) : NULL;
}

/* --- whose tables --- */

guint64
mose_cpus_tables(guint64 cr3)
{
    return cr3 & CR3_ADDRESS & ~(guint64)PTI_USER;
}

static gboolean
is_kernels(MoseLinux *kernel, guint64 tables)
{
    guint64 at, physical;

    return mose_linux_symbol(kernel, "init_top_pgt", &at, NULL) &&
           mose_space_translate(kernel->space, at, &physical, NULL) &&
           mose_cpus_tables(physical) == tables;
}

MoseTask *
mose_cpus_owner(MoseLinux *kernel, guint64 tables, gboolean *ret_kernel, GError **error)
{
    g_autoptr(GPtrArray) tasks = NULL;
    MoseTask *found = NULL;

    *ret_kernel = is_kernels(kernel, tables);
    if (*ret_kernel || !(tasks = mose_tasks_read(kernel, FALSE, NULL, error)))
        return NULL;
    for (guint i = 0; i < tasks->len && !found; i++) {
        const MoseTask *task = tasks->pdata[i];
        guint64 pgd, physical;

        if (task->mm &&
            mose_object_peek(kernel, "mm_struct", task->mm, "pgd", &pgd, NULL) &&
            mose_space_translate(kernel->space, pgd, &physical, NULL) &&
            mose_cpus_tables(physical) == tables)
            found = mose_task_read(kernel, task->address, NULL);
    }
    return found;
}

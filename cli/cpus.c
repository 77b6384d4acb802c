/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose cpus: what each processor of a guest does, from outside. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/error.h"
#include "util/json.h"
#include "vmi/exact.h"
#include "vmi/linux/cpus.h"

#define RFLAGS_IF 0x200u

static gboolean registers;

static const GOptionEntry entries[] = {
    { "registers", 'r', 0, G_OPTION_ARG_NONE, &registers, "with all registers", NULL },
    { NULL },
};

static const MoseColumn of_linux[] = {
    { "cpu", "CPU" },
    { "vcpu", "VCPU" },
    { "state", "STATE" },
    { "interrupts", "INTR" },
    { "in", "IN" },
    { "pid", "PID" },
    { "comm", "COMMAND" },
    { "where", "IP" },
    { "tables-of", "TABLES" },
    { NULL },
};

static const MoseColumn of_others[] = {
    { "vcpu", "VCPU" },          { "state", "STATE" },
    { "interrupts", "INTR" },    { "privilege", "RING" },
    { "paging", "PAGING" },      { "rip", "RIP" },
    { "page-tables", "TABLES" }, { NULL },
};

/* --- a vCPU --- */

static const char *
paging_name(const MosePaging *paging)
{
    switch (mose_paging_levels(paging)) {
    case 5:
        return "5-level";
    case 4:
        return "4-level";
    case 3:
        return "PAE";
    case 2:
        return "32-bit";
    default:
        return "off";
    }
}

static JsonObject *
registers_json(const MoseVcpu *vcpu)
{
    const struct {
        const char *name;
        guint64 value;
    } others[] = {
        { "rip", vcpu->rip },
        { "rflags", vcpu->rflags },
        { "cs", vcpu->cs },
        { "ss", vcpu->ss },
        { "fs-base", vcpu->fs_base },
        { "gs-base", vcpu->gs_base },
        { "gdt", vcpu->gdt_base },
        { "idt", vcpu->idt_base },
        { "cr0", vcpu->paging.cr0 },
        { "cr2", vcpu->cr2 },
        { "cr3", vcpu->paging.cr3 },
        { "cr4", vcpu->paging.cr4 },
        { "efer", vcpu->paging.efer },
        { "dr7", vcpu->dr7 },
    };
    JsonObject *object = json_object_new();

    for (guint i = 0; i < MOSE_N_GENERAL; i++)
        mose_table_set_hex(object, mose_general_names[i], vcpu->general[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
        mose_table_set_hex(object, others[i].name, others[i].value);
    return object;
}

static void
add_vcpu(JsonObject *row, const MoseVcpu *vcpu)
{
    json_object_set_int_member(row, "vcpu", vcpu->index);
    json_object_set_string_member(row, "interrupts",
                                  vcpu->rflags & RFLAGS_IF ? "on" : "off");
    json_object_set_boolean_member(row, "halted", vcpu->halted);
    json_object_set_int_member(row, "privilege", vcpu->cs & 3);
    json_object_set_string_member(row, "paging", paging_name(&vcpu->paging));
    mose_table_set_hex(row, "rip", vcpu->rip);
    mose_table_set_hex(row, "page-tables", mose_cpus_tables(vcpu->paging.cr3));
    json_object_set_object_member(row, "registers", registers_json(vcpu));
}

/* Four a line, as QEMU and gdb have them. */
static void
print_registers(JsonObject *row, const char *name)
{
    JsonObject *object = json_object_get_object_member(row, "registers");
    g_autoptr(GList) names = object ? json_object_get_members(object) : NULL;
    guint n = 0;

    if (!object)
        return;
    printf("\n%s %" G_GINT64_FORMAT "\n", name,
           json_object_get_int_member(row, strcmp(name, "CPU") == 0 ? "cpu" : "vcpu"));
    for (const GList *l = names; l; l = l->next, n++)
        printf("%8s %-18s%s", (const char *)l->data,
               json_object_get_string_member(object, l->data),
               n % 4 == 3 || !l->next ? "\n" : " ");
}

/* --- a CPU of Linux's --- */

/* What preempt_count says of where it is: the innermost. */
static const char *
context_of(guint32 count)
{
    return MOSE_PREEMPT_NMI(count)       ? "nmi"
           : MOSE_PREEMPT_HARDIRQ(count) ? "hardirq"
           /* odd: it is served; even ones count who keeps it off */
           : MOSE_PREEMPT_SOFTIRQ(count) & 1 ? "softirq"
           : MOSE_PREEMPT_PREEMPT(count)     ? "atomic"
                                             : "task";
}

static void
add_preempt_count(JsonObject *row, guint32 count)
{
    json_object_set_string_member(row, "in", context_of(count));
    json_object_set_object_member(
        row, "preempt-count",
        mose_json_object("preempt", "i", (gint64)MOSE_PREEMPT_PREEMPT(count), "softirq",
                         "i", (gint64)MOSE_PREEMPT_SOFTIRQ(count), "hardirq", "i",
                         (gint64)MOSE_PREEMPT_HARDIRQ(count), "nmi", "i",
                         (gint64)MOSE_PREEMPT_NMI(count), NULL));
    json_object_set_boolean_member(row, "need-resched",
                                   !(count & MOSE_PREEMPT_NO_RESCHED));
}

static void
add_task(JsonObject *row, const MoseTask *task)
{
    json_object_set_int_member(row, "pid", task->pid);
    json_object_set_int_member(row, "tgid", task->tgid);
    json_object_set_string_member(row, "comm", task->comm);
    mose_table_set_hex(row, "task", task->address);
}

static void
add_place(JsonObject *row, MoseLinux *kernel, const MoseVcpu *vcpu)
{
    const MoseSymbol *symbol = (vcpu->cs & 3) == 0
                                   ? mose_symbols_by_address(kernel->symbols, vcpu->rip)
                                   : NULL;
    g_autofree char *name = symbol ? mose_vmi_printable(symbol->name) : NULL;
    g_autofree char *text =
        symbol ? g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", name,
                                 vcpu->rip - symbol->address)
               : g_strdup_printf("0x%" G_GINT64_MODIFIER "x", vcpu->rip);

    json_object_set_string_member(row, "where", text);
    if (symbol) {
        json_object_set_string_member(row, "symbol", name);
        json_object_set_int_member(row, "offset",
                                   (gint64)(vcpu->rip - symbol->address));
    }
}

/* Its own where that is so; else they are looked for. */
static gboolean
add_tables(JsonObject *row, MoseLinux *kernel, const MoseCpu *cpu, GError **error)
{
    guint64 tables = mose_cpus_tables(cpu->vcpu.paging.cr3);
    g_autoptr(MoseTask) owner = NULL;
    g_autoptr(GError) cause = NULL;
    g_autofree char *text = NULL;
    gboolean kernels;

    if (cpu->task && cpu->task->mm && tables == mose_cpus_tables(cpu->task_tables)) {
        json_object_set_string_member(row, "tables-of", "task");
        return TRUE;
    }
    owner = mose_cpus_owner(kernel, tables, &kernels, &cause);
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    text = owner     ? g_strdup_printf("%d (%s)", owner->pid, owner->comm)
           : kernels ? g_strdup("kernel")
                     : NULL;
    if (text)
        json_object_set_string_member(row, "tables-of", text);
    return TRUE;
}

static const char *
state_of(const MoseCpu *cpu)
{
    if (!cpu->online)
        return "offline";
    if (cpu->has_vcpu && (cpu->vcpu.cs & 3) == 3)
        return "user";
    return cpu->task && cpu->task->pid == 0 ? "idle" : "kernel";
}

static JsonObject *
to_row(MoseLinux *kernel, const MoseCpu *cpu, GError **error)
{
    g_autoptr(JsonObject) row =
        mose_json_object("cpu", "i", (gint64)cpu->cpu, "online", "b", cpu->online,
                         "state", "s", state_of(cpu), NULL);

    if (cpu->task)
        add_task(row, cpu->task);
    if (cpu->has_preempt_count)
        add_preempt_count(row, cpu->preempt_count);
    if (cpu->has_vcpu) {
        add_vcpu(row, &cpu->vcpu);
        add_place(row, kernel, &cpu->vcpu);
        if (!add_tables(row, kernel, cpu, error))
            return NULL;
    }
    return g_steal_pointer(&row);
}

/* --- both --- */

static void
print(MoseTable *table, GPtrArray *rows, JsonObject *more, const char *name)
{
    for (guint i = 0; i < rows->len; i++)
        mose_table_add(table, json_object_ref(rows->pdata[i]));
    json_object_set_int_member(more, "stopped-us", mose_exact_stop_us());
    mose_table_print(table, "cpus", more);
    for (guint i = 0; registers && !mose_cli_json() && i < rows->len; i++)
        print_registers(rows->pdata[i], name);
}

static gboolean
show_linux(MoseLinux *kernel, GError **error)
{
    g_autoptr(GPtrArray) cpus = mose_cpus_read(kernel, error);
    g_autoptr(GPtrArray) rows =
        g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    g_autoptr(MoseTable) table = mose_table_new(of_linux);

    for (guint i = 0; cpus && i < cpus->len; i++) {
        JsonObject *row = to_row(kernel, cpus->pdata[i], error);

        if (!row)
            return FALSE;
        g_ptr_array_add(rows, row);
    }
    if (cpus)
        print(table, rows, mose_json_object("system", "s", "linux", NULL), "CPU");
    return cpus != NULL;
}

/* @why: what it is that is not known. */
static gboolean
show_unknown(MoseMemory *memory, const char *why, GError **error)
{
    g_autoptr(GArray) vcpus = mose_memory_vcpus(memory, TRUE, error);
    g_autoptr(GPtrArray) rows =
        g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    g_autoptr(MoseTable) table = mose_table_new(of_others);

    if (!vcpus)
        return FALSE;
    for (guint i = 0; i < vcpus->len; i++) {
        const MoseVcpu *vcpu = &g_array_index(vcpus, MoseVcpu, i);
        JsonObject *row =
            mose_json_object("state", "s", vcpu->halted ? "halted" : "runs", NULL);

        add_vcpu(row, vcpu);
        g_ptr_array_add(rows, row);
    }
    if (!mose_cli_json())
        fprintf(stderr, "%s: %s: registers alone are shown\n", g_get_prgname(), why);
    print(table, rows,
          mose_json_object("system", "s", "unknown", "why", "s", why, NULL), "vCPU");
    return TRUE;
}

int
mose_cmd_cpus(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) unknown = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 1, &ret))
        return ret;
    if (!mose_look_open(&look, argv[1], &error))
        return mose_look_fail(&look, error);
    look.kernel = mose_linux_find(look.memory, &unknown);
    if (look.kernel && mose_linux_need_types(look.kernel, &unknown)
            ? !show_linux(look.kernel, &error)
            : !show_unknown(look.memory, unknown->message, &error))
        return mose_look_fail(&look, error);
    return MOSE_EXIT_DONE;
}

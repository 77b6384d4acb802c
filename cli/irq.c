/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose irq: the interrupts of a guest, from outside. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/look.h"
#include "cli/table.h"
#include "util/json.h"
#include "vmi/linux/irqs.h"

/* With more CPUs there is one column for all. */
#define MAX_CPU_COLUMNS 16

static gboolean softirqs, total;

static const GOptionEntry entries[] = {
    { "softirqs", 's', 0, G_OPTION_ARG_NONE, &softirqs,
      "softirqs, as /proc/softirqs has them", NULL },
    { "total", 't', 0, G_OPTION_ARG_NONE, &total, "all CPUs together", NULL },
    { NULL },
};

static guint
count_of(const MoseIrqs *irqs, const MoseIrq *irq)
{
    return irq->kind == MOSE_IRQ_SUM ? 1 : irqs->cpus->len;
}

static guint64
sum_of(const MoseIrqs *irqs, const MoseIrq *irq)
{
    guint64 sum = 0;

    for (guint i = 0; i < count_of(irqs, irq); i++)
        sum += irq->counts[i];
    return sum;
}

static JsonArray *
states_of(const MoseIrq *irq)
{
    const struct {
        gboolean is;
        const char *word;
    } states[] = {
        { irq->disabled, "disabled" },
        { irq->masked, "masked" },
        { irq->in_progress, "in-progress" },
        { irq->pending, "pending" },
    };
    JsonArray *array = json_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(states); i++)
        if (states[i].is)
            json_array_add_string_element(array, states[i].word);
    return array;
}

/* What the handler's address is called. */
static JsonArray *
handlers_of(const MoseLinux *kernel, const MoseIrq *irq)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < irq->handlers->len; i++) {
        guint64 address = *(const guint64 *)irq->handlers->pdata[i];
        const MoseSymbol *symbol = mose_symbols_by_address(kernel->symbols, address);
        g_autofree char *text =
            symbol && symbol->address == address
                ? mose_vmi_printable(symbol->name)
                : g_strdup_printf("0x%" G_GINT64_MODIFIER "x", address);

        json_array_add_string_element(array, text);
    }
    return array;
}

static void
add_device(JsonObject *row, const MoseLinux *kernel, const MoseIrq *irq)
{
    JsonArray *actions = json_array_new();

    for (guint i = 0; i < irq->actions->len; i++)
        json_array_add_string_element(actions, irq->actions->pdata[i]);
    if (irq->chip)
        json_object_set_string_member(row, "chip", irq->chip);
    if (irq->has_hwirq)
        json_object_set_int_member(row, "hwirq", (gint64)irq->hwirq);
    if (irq->flow)
        json_object_set_string_member(row, "flow", irq->flow);
    json_object_set_string_member(row, "trigger", irq->level ? "level" : "edge");
    json_object_set_array_member(row, "state", states_of(irq));
    json_object_set_array_member(row, "actions", actions);
    json_object_set_array_member(row, "handlers", handlers_of(kernel, irq));
}

static JsonObject *
to_json(const MoseLinux *kernel, const MoseIrqs *irqs, const MoseIrq *irq)
{
    static const char *const kinds[] = { "device", "processor", "processor",
                                         "softirq" };
    JsonObject *row =
        mose_json_object("irq", "s", irq->name, "kind", "s", kinds[irq->kind], "total",
                         "i", (gint64)sum_of(irqs, irq), NULL);
    JsonArray *counts = json_array_new();

    for (guint i = 0; i < count_of(irqs, irq); i++)
        json_array_add_int_element(counts, (gint64)irq->counts[i]);
    if (irq->kind != MOSE_IRQ_SUM)
        json_object_set_array_member(row, "counts", counts);
    else
        json_array_unref(counts);
    if (irq->text)
        json_object_set_string_member(row, "text", irq->text);
    if (irq->kind == MOSE_IRQ_DEVICE)
        add_device(row, kernel, irq);
    return row;
}

/* --- for people --- */

typedef struct {
    MoseColumn columns[MAX_CPU_COLUMNS + 8];
    char names[MAX_CPU_COLUMNS][16];
    gboolean per_cpu;
} Columns;

static void
make_columns(Columns *columns, const MoseIrqs *irqs)
{
    static const MoseColumn of_devices[] = {
        { "chip", "CHIP" },   { "hwirq", "HWIRQ" }, { "flow", "FLOW" },
        { "state", "STATE" }, { "what", "WHAT" },
    };
    guint n = 0;

    columns->per_cpu = !total && irqs->cpus->len <= MAX_CPU_COLUMNS;
    columns->columns[n++] = (MoseColumn){ "irq", "IRQ" };
    for (guint i = 0; columns->per_cpu && i < irqs->cpus->len; i++) {
        g_snprintf(columns->names[i], sizeof(columns->names[i]), "CPU%u",
                   g_array_index(irqs->cpus, guint, i));
        columns->columns[n++] = (MoseColumn){ columns->names[i], columns->names[i] };
    }
    if (!columns->per_cpu)
        columns->columns[n++] = (MoseColumn){ "total", "TOTAL" };
    for (gsize i = 0; !softirqs && i < G_N_ELEMENTS(of_devices); i++)
        columns->columns[n++] = of_devices[i];
}

static JsonObject *
to_row(const Columns *columns, const MoseLinux *kernel, const MoseIrqs *irqs,
       const MoseIrq *irq)
{
    JsonObject *row = to_json(kernel, irqs, irq);

    for (guint i = 0; columns->per_cpu && i < count_of(irqs, irq); i++)
        json_object_set_int_member(row, columns->names[i], (gint64)irq->counts[i]);
    if (irq->text)
        json_object_set_string_member(row, "what", irq->text);
    else if (irq->kind == MOSE_IRQ_DEVICE)
        json_object_set_array_member(
            row, "what", json_array_ref(json_object_get_array_member(row, "actions")));
    return row;
}

static void
print(const MoseLinux *kernel, const MoseIrqs *irqs)
{
    Columns columns = { 0 };
    g_autoptr(MoseTable) table = NULL;
    JsonObject *more = mose_table_retries(irqs->retries);
    JsonArray *cpus = json_array_new();

    make_columns(&columns, irqs);
    table = mose_table_new(columns.columns);
    for (guint i = 0; i < irqs->cpus->len; i++)
        json_array_add_int_element(cpus, g_array_index(irqs->cpus, guint, i));
    json_object_set_array_member(more, "cpus", cpus);
    for (guint i = 0; i < irqs->all->len; i++) {
        const MoseIrq *irq = irqs->all->pdata[i];

        if (mose_cli_json())
            mose_table_add(table, to_json(kernel, irqs, irq));
        else if ((irq->kind == MOSE_IRQ_SOFTIRQ) == softirqs)
            mose_table_add(table, to_row(&columns, kernel, irqs, irq));
    }
    mose_table_print(table, "interrupts", more);
}

int
mose_cmd_irq(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseIrqs) irqs = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 1, &ret))
        return ret;
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(irqs = mose_irqs_read(look.kernel, &error)))
        return mose_look_fail(&look, error);
    print(look.kernel, irqs);
    return MOSE_EXIT_DONE;
}

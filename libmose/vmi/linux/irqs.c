/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts of devices (Linux kernel/irq/proc.c:show_interrupts). See irqs.h. */
#include "vmi/linux/irqs.h"

#include "util/error.h"
#include "vmi/linux/cpus.h"
#include "vmi/linux/irqs-priv.h"
#include "vmi/linux/maple.h"
#include "vmi/linux/xarray.h"

#define MAX_IRQS (1u << 20)
#define MAX_ACTIONS 256
#define MAX_TEXT 128

/* Linux include/linux/irq.h */
#define IRQ_HIDDEN (1u << 20)
#define IRQD_LEVEL (1u << 13)
#define IRQD_IRQ_DISABLED (1u << 16)
#define IRQD_IRQ_MASKED (1u << 17)
#define IRQD_IRQ_INPROGRESS (1u << 18)
#define IRQS_PENDING 0x200u /* Linux kernel/irq/internals.h */

MoseIrq *
mose_irq_new(MoseIrqKind kind, const char *name, guint n_counts)
{
    MoseIrq *irq = g_new0(MoseIrq, 1);

    irq->kind = kind;
    irq->name = g_strdup(name);
    irq->counts = g_new0(guint64, n_counts + 1);
    irq->actions = g_ptr_array_new_with_free_func(g_free);
    irq->handlers = g_ptr_array_new_with_free_func(g_free);
    return irq;
}

void
mose_irq_free(MoseIrq *irq)
{
    if (!irq)
        return;
    g_free(irq->name);
    g_free(irq->text);
    g_free(irq->counts);
    g_free(irq->chip);
    g_free(irq->flow);
    g_ptr_array_unref(irq->actions);
    g_ptr_array_unref(irq->handlers);
    g_free(irq);
}

void
mose_irqs_free(MoseIrqs *irqs)
{
    if (!irqs)
        return;
    g_array_unref(irqs->cpus);
    g_ptr_array_unref(irqs->all);
    g_free(irqs);
}

char *
mose_irqs_text(MoseLinux *kernel, guint64 at, GError **error)
{
    g_autofree char *text = mose_space_read_text(kernel->space, at, MAX_TEXT, error);

    return text ? mose_vmi_printable(text) : NULL;
}

gboolean
mose_irqs_counts(MoseLinux *kernel, const MoseIrqs *irqs, guint64 at, gsize size,
                 MoseIrq *irq, GError **error)
{
    for (guint i = 0; i < irqs->cpus->len; i++) {
        guint64 offset;

        if (!mose_linux_per_cpu_offset(kernel, g_array_index(irqs->cpus, guint, i),
                                       &offset, error) ||
            !mose_space_read_number(kernel->space, at + offset, size, &irq->counts[i],
                                    error))
            return FALSE;
    }
    return TRUE;
}

/* --- one --- */

/* *@ret_own: of its handlers some are a driver's, and not the kernel's for interrupts
 * that only lead to others (irq_desc_is_chained()). */
static gboolean
read_actions(MoseLinux *kernel, guint64 first, MoseIrq *irq, gboolean *ret_own,
             GError **error)
{
    guint64 at = first, chained, name, handler;

    *ret_own =
        first != 0 && !(mose_linux_symbol(kernel, "chained_action", &chained, NULL) &&
                        first == chained);
    for (guint i = 0; at != 0; i++) {
        char *text;

        if (i == MAX_ACTIONS) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "interrupt %u has more than %u handlers", irq->number,
                        MAX_ACTIONS);
            return FALSE;
        }
        if (!mose_object_peek(kernel, "irqaction", at, "name", &name, error) ||
            !mose_object_peek(kernel, "irqaction", at, "handler", &handler, error) ||
            !mose_object_peek(kernel, "irqaction", at, "next", &at, error))
            return FALSE;
        text = name ? mose_irqs_text(kernel, name, error) : g_strdup("");
        if (!text)
            return FALSE;
        g_ptr_array_add(irq->actions, text);
        g_ptr_array_add(irq->handlers, g_memdup2(&handler, sizeof(handler)));
    }
    return TRUE;
}

static gboolean
read_chip(MoseLinux *kernel, const MoseObject *desc, MoseIrq *irq, GError **error)
{
    guint64 chip, domain, name;

    if (!mose_object_get(desc, "irq_data.chip", &chip, error) ||
        !mose_object_get(desc, "irq_data.domain", &domain, error) ||
        !mose_object_get(desc, "irq_data.hwirq", &irq->hwirq, error) ||
        !mose_object_get(desc, "name", &name, error) ||
        (name && !(irq->flow = mose_irqs_text(kernel, name, error))))
        return FALSE;
    irq->has_hwirq = domain != 0;
    if (chip == 0)
        return TRUE;
    return mose_object_peek(kernel, "irq_chip", chip, "name", &name, error) &&
           (name == 0 || (irq->chip = mose_irqs_text(kernel, name, error)) != NULL);
}

/* Linux kernel/irq/settings.h and internals.h; the names in irq_desc are to keep others
 * away. */
static gboolean
read_state(const MoseObject *desc, MoseIrq *irq, gboolean *ret_hidden, GError **error)
{
    guint64 settings, internal, state;

    if (!mose_object_get(desc, "status_use_accessors", &settings, error) ||
        !mose_object_get(desc, "core_internal_state__do_not_mess_with_it", &internal,
                         error) ||
        !mose_object_get(desc, "irq_common_data.state_use_accessors", &state, error))
        return FALSE;
    *ret_hidden = (settings & IRQ_HIDDEN) != 0;
    irq->level = (state & IRQD_LEVEL) != 0;
    irq->disabled = (state & IRQD_IRQ_DISABLED) != 0;
    irq->masked = (state & IRQD_IRQ_MASKED) != 0;
    irq->in_progress = (state & IRQD_IRQ_INPROGRESS) != 0;
    irq->pending = (internal & IRQS_PENDING) != 0;
    return TRUE;
}

static gboolean
has_counts(const MoseIrqs *irqs, const MoseIrq *irq)
{
    for (guint i = 0; i < irqs->cpus->len; i++)
        if (irq->counts[i])
            return TRUE;
    return FALSE;
}

/* *@ret_shown: /proc/interrupts has it: it has a driver, or has happened. */
static gboolean
read_irq(MoseLinux *kernel, const MoseIrqs *irqs, const MoseObject *desc, MoseIrq *irq,
         gboolean *ret_shown, GError **error)
{
    guint64 counts, action;
    gboolean hidden, own;

    if (!mose_object_get(desc, "kstat_irqs", &counts, error) ||
        !mose_object_get(desc, "action", &action, error) ||
        !read_state(desc, irq, &hidden, error) ||
        (counts && !mose_irqs_counts(kernel, irqs, counts, 4, irq, error)) ||
        !read_chip(kernel, desc, irq, error) ||
        !read_actions(kernel, action, irq, &own, error))
        return FALSE;
    *ret_shown = !hidden && (own || has_counts(irqs, irq));
    return TRUE;
}

/* --- all --- */

typedef struct {
    MoseLinux *kernel;
    MoseIrqs *irqs;
    MoseObject desc; /* its bytes are used again */
} Walk;

static gboolean
add(Walk *walk, guint64 number, guint64 address, GError **error)
{
    g_autofree char *name = g_strdup_printf("%" G_GUINT64_FORMAT, number);
    g_autoptr(MoseIrq) irq = mose_irq_new(MOSE_IRQ_DEVICE, name, walk->irqs->cpus->len);
    gboolean shown;

    irq->number = number;
    if (!mose_object_read(walk->kernel, "irq_desc", address, &walk->desc, error) ||
        !read_irq(walk->kernel, walk->irqs, &walk->desc, irq, &shown, error)) {
        g_prefix_error(error, "interrupt %s: ", name);
        return FALSE;
    }
    if (shown)
        g_ptr_array_add(walk->irqs->all, g_steal_pointer(&irq));
    return TRUE;
}

static gboolean
add_from_xarray(guint64 index, guint64 entry, gpointer data, GError **error)
{
    return add(data, index, entry, error);
}

static gboolean
add_from_maple(guint64 first, guint64 last, guint64 entry, gpointer data,
               GError **error)
{
    return add(data, first, entry, error);
}

/* A radix tree until 6.4, a maple tree since (Linux kernel/irq/irqdesc.c). */
static gboolean
read_devices(MoseLinux *kernel, gpointer data, GError **error)
{
    Walk *walk = data;
    MoseXarrayLayout array;
    MoseMapleLayout tree;
    guint64 at;

    g_ptr_array_set_size(walk->irqs->all, 0);
    if (mose_linux_symbol(kernel, "irq_desc_tree", &at, NULL))
        return mose_xarray_layout(kernel, &array, error) &&
               mose_xarray_walk(kernel->space, &array, at, MAX_IRQS, add_from_xarray,
                                walk, error);
    return mose_linux_symbol(kernel, "sparse_irqs", &at, error) &&
           mose_maple_layout(kernel, &tree, error) &&
           mose_maple_walk(kernel->space, &tree, at, MAX_IRQS, add_from_maple, walk,
                           error);
}

static gboolean
find_cpus(MoseLinux *kernel, GArray *cpus, GError **error)
{
    g_autofree guint8 *online = mose_cpus_mask(kernel, "__cpu_online_mask", error);

    for (guint i = 0; online && i < kernel->n_cpus; i++)
        if (online[i])
            g_array_append_val(cpus, i);
    return online != NULL;
}

MoseIrqs *
mose_irqs_read(MoseLinux *kernel, GError **error)
{
    g_autoptr(MoseIrqs) irqs = g_new0(MoseIrqs, 1);
    Walk walk = { .kernel = kernel, .irqs = irqs };
    gboolean good;

    irqs->cpus = g_array_new(FALSE, FALSE, sizeof(guint));
    irqs->all = g_ptr_array_new_with_free_func((GDestroyNotify)mose_irq_free);
    good = mose_linux_need_types(kernel, error) &&
           find_cpus(kernel, irqs->cpus, error) &&
           mose_linux_retry(kernel, read_devices, &walk, &irqs->retries, error) &&
           mose_irqs_add_arch(kernel, irqs, error) &&
           mose_irqs_add_softirqs(kernel, irqs, error);
    mose_object_clear(&walk.desc);
    return good ? g_steal_pointer(&irqs) : NULL;
}

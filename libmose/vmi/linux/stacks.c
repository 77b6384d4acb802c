/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stacks of a task and of a CPU. See stacks.h. */
#include "vmi/linux/stacks.h"

#include "util/error.h"

#define MAX_STACK (1 << 20)

MoseStack *
mose_stack_at(const GArray *stacks, guint64 address, gsize len)
{
    for (guint i = 0; i < stacks->len; i++) {
        MoseStack *stack = &g_array_index(stacks, MoseStack, i);

        if (address >= stack->begin && address < stack->end &&
            len <= stack->end - address)
            return stack;
    }
    return NULL;
}

static void
add(GArray *stacks, const char *name, guint64 begin, guint64 size)
{
    MoseStack stack = { .name = name, .begin = begin, .end = begin + size };

    if (begin != 0 && size > 0 && size <= MAX_STACK && stack.end > begin)
        g_array_append_val(stacks, stack);
}

/* THREAD_SIZE: what include/asm-generic/vmlinux.lds.h:INIT_TASK_DATA reserves; renamed
 * in 6.10. */
static guint64
task_stack_size(MoseLinux *kernel)
{
    guint64 begin, end;

    if ((mose_linux_symbol(kernel, "__start_init_stack", &begin, NULL) &&
         mose_linux_symbol(kernel, "__end_init_stack", &end, NULL)) ||
        (mose_linux_symbol(kernel, "__start_init_task", &begin, NULL) &&
         mose_linux_symbol(kernel, "__end_init_task", &end, NULL)))
        return end - begin;
    return 0;
}

/* A pointer that each CPU has: a variable, or (6.2 to 6.14) in pcpu_hot. */
static gboolean
read_per_cpu(MoseLinux *kernel, const char *variable, guint cpu, guint64 *ret)
{
    guint64 at, offset;

    if (mose_symbols_by_name(kernel->symbols, NULL, variable))
        return mose_linux_per_cpu(kernel, variable, cpu, &at, NULL) &&
               mose_space_read_number(kernel->space, at, 8, ret, NULL);
    return mose_symbols_by_name(kernel->symbols, NULL, "pcpu_hot") &&
           mose_object_offset(kernel, "pcpu_hot", variable, &offset, NULL, NULL) &&
           mose_linux_per_cpu(kernel, "pcpu_hot", cpu, &at, NULL) &&
           mose_space_read_number(kernel->space, at + offset, 8, ret, NULL);
}

/* The pointer is that of its topmost word, or the end of it before 5.13; soft
 * interrupts use it, too. */
static void
add_interrupt_stack(MoseLinux *kernel, guint cpu, GArray *stacks)
{
    guint64 top;
    gint64 size = kernel->types
                      ? mose_types_size(kernel->types,
                                        mose_types_find(kernel->types, "irq_stack"))
                      : 0;

    if (size > 0 && read_per_cpu(kernel, "hardirq_stack_ptr", cpu, &top) && top != 0) {
        guint64 end = (top + 8) & ~(guint64)0xfff;

        add(stacks, "IRQ", end - size, size);
    }
}

/* arch/x86/include/asm/cpu_entry_area.h */
static const struct {
    const char *member, *name;
} exceptions[] = {
    { "DF_stack", "#DF" },  { "NMI_stack", "NMI" }, { "DB_stack", "#DB" },
    { "MCE_stack", "#MC" }, { "VC_stack", "#VC" },  { "VC2_stack", "#VC2" },
};

static void
add_entry_stacks(MoseLinux *kernel, guint cpu, GArray *stacks)
{
    guint64 base, offset, inner;
    gsize size;

    if (!read_per_cpu(kernel, "cea_exception_stacks", cpu, &base) || base == 0)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(exceptions); i++)
        if (mose_object_offset(kernel, "cea_exception_stacks", exceptions[i].member,
                               &offset, &size, NULL))
            add(stacks, exceptions[i].name, base + offset, size);
    if (mose_object_offset(kernel, "cpu_entry_area", "estacks", &inner, NULL, NULL) &&
        mose_object_offset(kernel, "cpu_entry_area", "entry_stack_page", &offset, &size,
                           NULL))
        add(stacks, "entry", base - inner + offset, size);
}

GArray *
mose_stacks_of(MoseLinux *kernel, guint64 task, int cpu, GError **error)
{
    g_autoptr(GArray) stacks = g_array_new(FALSE, FALSE, sizeof(MoseStack));
    guint64 base, size = task_stack_size(kernel);

    if (!mose_object_peek(kernel, "task_struct", task, "stack", &base, error))
        return NULL;
    add(stacks, "task", base, size);
    if (stacks->len == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    base == 0 ? "the task has no stack any more: it has ended"
                              : "how large the kernel's stacks are, is not known");
        return NULL;
    }
    if (cpu >= 0) {
        add_interrupt_stack(kernel, cpu, stacks);
        add_entry_stacks(kernel, cpu, stacks);
    }
    return g_steal_pointer(&stacks);
}

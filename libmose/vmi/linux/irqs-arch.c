/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts of the processor's own (Linux arch/x86/kernel/irq.c:arch_show_interrupts),
 * and softirqs. See irqs.h. */
#include "util/error.h"
#include "vmi/linux/irqs-priv.h"

enum { MAX_STATS = 256, N_SOFTIRQS = 32 };

/* --- of late: a table in the kernel --- */

static gboolean
is_bit_set(MoseLinux *kernel, guint64 bits, guint number)
{
    guint64 byte;

    return mose_space_read_number(kernel->space, bits + number / 8, 1, &byte, NULL) &&
           (byte >> number % 8 & 1);
}

static gboolean
add_stat(MoseLinux *kernel, MoseIrqs *irqs, guint64 info, guint64 count, GError **error)
{
    g_autoptr(MoseIrq) irq = NULL;
    g_autofree char *name = NULL;
    g_autofree char *said = NULL;
    guint64 symbol, text;

    if (!mose_object_peek(kernel, "irq_stat_info", info, "symbol", &symbol, error) ||
        !mose_object_peek(kernel, "irq_stat_info", info, "text", &text, error) ||
        !(name = mose_irqs_text(kernel, symbol, error)))
        return FALSE;
    irq = mose_irq_new(MOSE_IRQ_ARCH, name, irqs->cpus->len);
    said = mose_space_read_text(kernel->space, text, 128, error);
    if (!said || !mose_irqs_counts(kernel, irqs, count, 4, irq, error))
        return FALSE;
    irq->text = mose_vmi_printable(g_strstrip(said));
    g_ptr_array_add(irqs->all, g_steal_pointer(&irq));
    return TRUE;
}

static gboolean
add_stats(MoseLinux *kernel, MoseIrqs *irqs, guint64 table, GError **error)
{
    guint64 shown, stat, counts;
    gint64 size =
        mose_types_size(kernel->types, mose_types_find(kernel->types, "irq_stat_info"));
    gsize counts_size;

    if (!mose_linux_symbol(kernel, "irq_stat_count_show", &shown, error) ||
        !mose_linux_symbol(kernel, "irq_stat", &stat, error) ||
        !mose_object_offset(kernel, "irq_cpustat_t", "counts", &counts, &counts_size,
                            error))
        return FALSE;
    for (guint i = 0; i < MIN(counts_size / 4, MAX_STATS) && size > 0; i++)
        if (is_bit_set(kernel, shown, i) &&
            !add_stat(kernel, irqs, table + i * (guint64)size,
                      stat + counts + i * (guint64)4, error))
            return FALSE;
    return TRUE;
}

/* --- before: lines of the function's --- */

typedef enum { ALWAYS, VECTOR, CALLBACK, AMD } Condition;

static const struct {
    const char *name, *text;
    const char *member; /* of irq_cpustat_t; or else */
    const char *symbol; /* a per-CPU variable; or else */
    const char *sum;    /* a variable */
    Condition condition;
    guint vector; /* Linux arch/x86/include/asm/irq_vectors.h */
} lines[] = {
    { "NMI", "Non-maskable interrupts", "__nmi_count" },
    { "LOC", "Local timer interrupts", "apic_timer_irqs" },
    { "SPU", "Spurious interrupts", "irq_spurious_count" },
    { "PMI", "Performance monitoring interrupts", "apic_perf_irqs" },
    { "IWI", "IRQ work interrupts", "apic_irq_work_irqs" },
    { "RTR", "APIC ICR read retries", "icr_read_retry_count" },
    { "PLT", "Platform interrupts", "x86_platform_ipis", .condition = CALLBACK },
    { "RES", "Rescheduling interrupts", "irq_resched_count" },
    { "CAL", "Function call interrupts", "irq_call_count" },
    { "TLB", "TLB shootdowns", "irq_tlb_count" },
    { "TRM", "Thermal event interrupts", "irq_thermal_count" },
    { "THR", "Threshold APIC interrupts", "irq_threshold_count" },
    { "DFR", "Deferred Error APIC interrupts", "irq_deferred_error_count",
      .condition = AMD },
    { "MCE", "Machine check exceptions", NULL, "mce_exception_count" },
    { "MCP", "Machine check polls", NULL, "mce_poll_count" },
    { "HYP", "Hypervisor callback interrupts", "irq_hv_callback_count",
      .condition = VECTOR, .vector = 0xf3 },
    { "HRE", "Hyper-V reenlightenment interrupts", "irq_hv_reenlightenment_count",
      .condition = VECTOR, .vector = 0xee },
    { "HVS", "Hyper-V stimer0 interrupts", "hyperv_stimer0_count", .condition = VECTOR,
      .vector = 0xed },
    { "ERR", NULL, NULL, NULL, "irq_err_count" },
    { "MIS", NULL, NULL, NULL, "irq_mis_count" },
    { "PIN", "Posted-interrupt notification event", "kvm_posted_intr_ipis" },
    { "NPI", "Nested posted-interrupt event", "kvm_posted_intr_nested_ipis" },
    { "PIW", "Posted-interrupt wakeup event", "kvm_posted_intr_wakeup_ipis" },
    { "VPMI", "Perf Guest Mediated PMI", "perf_guest_mediated_pmis" },
    { "PMN", "Posted MSI notification event", "posted_msi_notification_count" },
};

/* Linux arch/x86/include/asm/processor.h */
enum { X86_VENDOR_AMD = 2, X86_VENDOR_HYGON = 9 };

static gboolean
is_amd(MoseLinux *kernel)
{
    guint64 at, vendor;

    return mose_linux_symbol(kernel, "boot_cpu_data", &at, NULL) &&
           mose_object_peek(kernel, "cpuinfo_x86", at, "x86_vendor", &vendor, NULL) &&
           (vendor == X86_VENDOR_AMD || vendor == X86_VENDOR_HYGON);
}

static gboolean
is_shown(MoseLinux *kernel, Condition condition, guint vector)
{
    guint64 at, value;

    switch (condition) {
    case VECTOR:
        return mose_linux_symbol(kernel, "system_vectors", &at, NULL) &&
               is_bit_set(kernel, at, vector);
    case CALLBACK:
        return mose_linux_symbol(kernel, "x86_platform_ipi_callback", &at, NULL) &&
               mose_space_read_number(kernel->space, at, 8, &value, NULL) && value;
    case AMD:
        return is_amd(kernel);
    default:
        return TRUE;
    }
}

/* Where line @i is counted; FALSE: this kernel does not. */
static gboolean
find_counter(MoseLinux *kernel, gsize i, guint64 *ret)
{
    guint64 offset;

    if (!lines[i].member)
        return mose_linux_symbol(
            kernel, lines[i].symbol ? lines[i].symbol : lines[i].sum, ret, NULL);
    if (!mose_linux_symbol(kernel, "irq_stat", ret, NULL) ||
        !mose_object_offset(kernel, "irq_cpustat_t", lines[i].member, &offset, NULL,
                            NULL))
        return FALSE;
    *ret += offset;
    return TRUE;
}

static gboolean
add_line(MoseLinux *kernel, MoseIrqs *irqs, gsize i, GError **error)
{
    g_autoptr(MoseIrq) irq = NULL;
    guint64 at;

    if (!find_counter(kernel, i, &at) ||
        !is_shown(kernel, lines[i].condition, lines[i].vector))
        return TRUE;
    irq = mose_irq_new(lines[i].sum ? MOSE_IRQ_SUM : MOSE_IRQ_ARCH, lines[i].name,
                       irqs->cpus->len);
    irq->text = g_strdup(lines[i].text);
    if (lines[i].sum
            ? !mose_space_read_number(kernel->space, at, 4, &irq->counts[0], error)
            : !mose_irqs_counts(kernel, irqs, at, 4, irq, error))
        return FALSE;
    g_ptr_array_add(irqs->all, g_steal_pointer(&irq));
    return TRUE;
}

gboolean
mose_irqs_add_arch(MoseLinux *kernel, MoseIrqs *irqs, GError **error)
{
    guint64 table;

    if (mose_linux_symbol(kernel, "irq_stat_info", &table, NULL))
        return add_stats(kernel, irqs, table, error);
    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++)
        if (!add_line(kernel, irqs, i, error))
            return FALSE;
    return TRUE;
}

/* --- softirqs --- */

/* Their names are in softirq_to_name (Linux kernel/softirq.c), their counts in kstat
 * (include/linux/kernel_stat.h). */
gboolean
mose_irqs_add_softirqs(MoseLinux *kernel, MoseIrqs *irqs, GError **error)
{
    guint64 stat, offset, names, name;
    gsize size;

    if (!mose_linux_symbol(kernel, "kstat", &stat, error) ||
        !mose_linux_symbol(kernel, "softirq_to_name", &names, error) ||
        !mose_object_offset(kernel, "kernel_stat", "softirqs", &offset, &size, error))
        return FALSE;
    for (guint i = 0; i < MIN(size / 4, N_SOFTIRQS); i++) {
        g_autoptr(MoseIrq) irq = NULL;
        g_autofree char *text = NULL;

        if (!mose_space_read_number(kernel->space, names + i * (guint64)8, 8, &name,
                                    error) ||
            !(text = mose_irqs_text(kernel, name, error)))
            return FALSE;
        irq = mose_irq_new(MOSE_IRQ_SOFTIRQ, text, irqs->cpus->len);
        if (!mose_irqs_counts(kernel, irqs, stat + offset + i * (guint64)4, 4, irq,
                              error))
            return FALSE;
        g_ptr_array_add(irqs->all, g_steal_pointer(&irq));
    }
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events that KVM has begun to deliver and has not delivered.
 *
 * KVM takes an interrupt out of the APIC's IRR into its ISR, then enters the guest
 * with it; an exit on the way (a page of the guest that is not mapped yet, a
 * signal for QEMU) leaves it "injected", to be delivered at the next entry
 * (KVM_GET_VCPU_EVENTS). QEMU sends it, and nothing in target/i386/tcg reads it:
 * the interrupt is lost, and its bit in ISR, which nobody will end, keeps out
 * every other one of its priority and below. Back under KVM the stale event would
 * be delivered once more.
 *
 * An interrupt goes back to IRR. A fault is forgotten: its instruction has not
 * been executed, and faults again. An NMI is asked for again. What is left (traps,
 * `int n`, an interrupt of the PIC) is rare, and gone a moment later: the switch
 * fails and can be tried again.
 */
#include "stream/rules/list.h"

#include "util/error.h"

#define NONE G_MAXUINT32
/* target/i386/cpu.h: CPU_INTERRUPT_NMI, HF2_NMI_MASK */
#define CPU_INTERRUPT_NMI 0x200u
#define HF2_NMI (1u << 2)
/* Exceptions that are faults (SDM 3A, table 6-1): #DE #BR #UD #NM #TS #NP #SS #GP
 * #PF #MF #AC #XM #VE #CP. */
#define FAULTS 0x003b7ce1u

static gboolean
not_now(const char *what, guint64 number, guint cpu, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "KVM is about to deliver %s (%" G_GUINT64_FORMAT
                ") to vCPU %u, which an emulator cannot; try again",
                what, number, cpu);
    return FALSE;
}

static gboolean
change_bit(MoseSection *section, const char *path, guint64 clear, guint64 set,
           GError **error)
{
    guint64 value;

    return mose_section_get(section, path, &value, error) &&
           mose_section_set(section, path, (value & ~clear) | set, error);
}

/* The vector goes from ISR back to IRR, as before KVM took it. */
static gboolean
return_interrupt(MoseDoc *doc, guint cpu, guint64 vector, GError **error)
{
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", cpu);
    g_autofree char *isr = NULL, *irr = NULL;
    guint64 bits, bit = 1u << vector % 32;

    if (!apic || vector > 255)
        return not_now("an interrupt", vector, cpu, error);
    isr = g_strdup_printf("isr[%u]", (guint)vector / 32);
    irr = g_strdup_printf("irr[%u]", (guint)vector / 32);
    if (!mose_section_get(apic, isr, &bits, error))
        return FALSE;
    if (!(bits & bit))
        return not_now("an interrupt of the PIC", vector, cpu, error);
    return change_bit(apic, isr, bit, 0, error) && change_bit(apic, irr, 0, bit, error);
}

static gboolean
interrupt(MoseDoc *doc, MoseSection *section, guint cpu, gboolean *changed,
          GError **error)
{
    guint64 vector, soft;

    if (!mose_section_get(section, "env.interrupt_injected", &vector, error) ||
        !mose_section_get(section, "env.soft_interrupt", &soft, error))
        return FALSE;
    if ((guint32)vector == NONE)
        return TRUE;
    if (soft)
        return not_now("a software interrupt", vector, cpu, error);
    *changed = TRUE;
    return return_interrupt(doc, cpu, vector, error) &&
           mose_section_set(section, "env.interrupt_injected", NONE, error);
}

static gboolean
exception(MoseSection *section, guint cpu, gboolean *changed, GError **error)
{
    guint64 number;

    if (!mose_section_get(section, "env.exception_nr", &number, error))
        return FALSE;
    if ((guint32)number == NONE)
        return TRUE;
    if (number > 31 || !(FAULTS >> number & 1))
        return not_now("an exception", number, cpu, error);
    *changed = TRUE;
    return mose_section_set(section, "env.exception_nr", NONE, error) &&
           mose_section_set(section, "env.has_error_code", 0, error);
}

/* KVM holds further NMIs back while it delivers one (NMI mask). */
static gboolean
nmi(MoseDoc *doc, MoseSection *section, guint cpu, gboolean *changed, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    guint64 injected, pending;

    if (!mose_section_get(section, "env.nmi_injected", &injected, error) ||
        !mose_section_get(section, "env.nmi_pending", &pending, error))
        return FALSE;
    if (!common || (!injected && !pending))
        return TRUE;
    *changed = TRUE;
    return mose_section_set(section, "env.nmi_injected", 0, error) &&
           mose_section_set(section, "env.nmi_pending", 0, error) &&
           change_bit(section, "env.hflags2", injected ? HF2_NMI : 0, 0, error) &&
           change_bit(common, "interrupt_request", 0, CPU_INTERRUPT_NMI, error);
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    return interrupt(doc, section, cpu, data, error) &&
           exception(section, cpu, data, error) && nmi(doc, section, cpu, data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_in_flight = {
    .name = "in-flight",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "interrupts and exceptions that KVM has begun to deliver",
    .effect = "the interrupt is lost, and its bit in ISR keeps out all others: the "
              "guest sleeps for ever",
    .fix = "an interrupt goes from ISR back to IRR, an NMI is asked for again, a fault "
           "forgotten (its instruction is executed again); others fail the switch",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_get_vcpu_events; Linux "
              "Documentation/virt/kvm/api.rst, KVM_GET_VCPU_EVENTS",
    .evidence = 'b',
    .test = "vm/rules: in-flight",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

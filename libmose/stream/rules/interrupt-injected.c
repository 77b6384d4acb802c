/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An interrupt that KVM has begun to deliver (in-flight.h).
 *
 * KVM has taken it out of the APIC's IRR into its ISR, or out of the PIC's (Linux
 * arch/x86/kvm/irq.c:kvm_cpu_get_interrupt). The emulator never delivers it, and its
 * bit in ISR, which nobody will end, keeps out every other one of its priority and
 * below.
 *
 * It goes back to IRR, as before KVM took it. One of `int n` is forgotten if the vCPU
 * stands before that instruction, which is executed again.
 */
#include "stream/rules/in-flight.h"
#include "stream/rules/irq.h"
#include "stream/rules/list.h"

typedef struct {
    const MoseRuleContext *context;
    gboolean *changed;
} Job;

/* From the APIC's ISR back to its IRR; *@ret tells whether it was there. */
static gboolean
to_apic(MoseSection *apic, guint64 vector, gboolean *changed, gboolean *ret,
        GError **error)
{
    g_autofree char *isr = g_strdup_printf("isr[%u]", (guint)vector / 32);
    g_autofree char *irr = g_strdup_printf("irr[%u]", (guint)vector / 32);
    guint64 bits, bit = 1u << vector % 32;

    if (!mose_section_get(apic, isr, &bits, error))
        return FALSE;
    *ret = (bits & bit) != 0;
    return !*ret || (mose_rule_change_bits(apic, isr, bit, 0, changed, error) &&
                     mose_rule_change_bits(apic, irr, 0, bit, changed, error));
}

/* The same with the PIC that has this vector. */
static gboolean
to_pic(MoseDoc *doc, guint64 vector, gboolean *changed, gboolean *ret, GError **error)
{
    MoseSection *pics[2] = { mose_irq_pic(doc, 0), mose_irq_pic(doc, 1) };

    *ret = FALSE;
    for (int i = 0; i < 2 && !*ret; i++) {
        guint64 base, isr, bit = 1u << vector % 8;

        if (!pics[i])
            continue;
        if (!mose_section_get(pics[i], "irq_base", &base, error) ||
            !mose_section_get(pics[i], "isr", &isr, error))
            return FALSE;
        *ret = vector - vector % 8 == base && (isr & bit);
        if (*ret && (!mose_rule_change_bits(pics[i], "isr", bit, 0, changed, error) ||
                     !mose_rule_change_bits(pics[i], "irr", 0, bit, changed, error)))
            return FALSE;
        /* The second one's way is through the first. */
        if (*ret && i == 1 &&
            (!mose_rule_change_bits(pics[0], "isr", MOSE_PIC_CASCADE, 0, changed,
                                    error) ||
             !mose_rule_change_bits(pics[0], "irr", 0, MOSE_PIC_CASCADE, changed,
                                    error)))
            return FALSE;
    }
    return TRUE;
}

static gboolean
give_back(MoseDoc *doc, guint cpu, guint64 vector, gboolean *changed, GError **error)
{
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", cpu);
    gboolean done = FALSE;

    if (vector > 255)
        return mose_in_flight_not_now("an interrupt", vector, cpu, error);
    if (apic && !to_apic(apic, vector, changed, &done, error))
        return FALSE;
    if (!done && !to_pic(doc, vector, changed, &done, error))
        return FALSE;
    return done ||
           mose_in_flight_not_now("an interrupt of no controller", vector, cpu, error);
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    const Job *job = data;
    guint64 vector, soft;

    if (!mose_section_get(section, "env.interrupt_injected", &vector, error) ||
        !mose_section_get(section, "env.soft_interrupt", &soft, error))
        return FALSE;
    if ((guint32)vector == MOSE_NO_EVENT)
        return TRUE;
    if (soft && !mose_in_flight_is_int(job->context, section, vector))
        return mose_in_flight_not_now("a software interrupt", vector, cpu, error);
    return (soft || give_back(doc, cpu, vector, job->changed, error)) &&
           mose_rule_change(section, "env.interrupt_injected", MOSE_NO_EVENT,
                            job->changed, error) &&
           mose_rule_change(section, "env.soft_interrupt", 0, job->changed, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    Job job = { context, ret_changed };

    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, &job, error);
}

const MoseRule mose_rule_interrupt_injected = {
    .name = "interrupt-injected",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "an interrupt that KVM has begun to deliver",
    .effect = "the interrupt is lost, and its bit in ISR keeps out all others: the "
              "guest sleeps for ever",
    .fix = "it goes from ISR back to IRR, of the APIC or the PIC; `int n` is executed "
           "again",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_get_vcpu_events; Linux "
              "arch/x86/kvm/irq.c:kvm_cpu_get_interrupt, "
              "Documentation/virt/kvm/api.rst, KVM_GET_VCPU_EVENTS",
    .evidence = 'b',
    .test = "vm/rules-events: interrupt-injected",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An exception that KVM has begun to deliver (in-flight.h).
 *
 * A fault is forgotten: its instruction has not been executed, and faults again. So
 * are #BP and #OF of an `int` that the vCPU stands before. What is left (traps, aborts,
 * a triple fault) is rare, and gone a moment later: not now.
 *
 * For a page fault CR2 was set when KVM injected it; it is when it comes again.
 */
#include "stream/rules/in-flight.h"
#include "stream/rules/list.h"

/* Exceptions that are faults (SDM 3A, table 6-1): #DE #BR #UD #NM #TS #NP #SS #GP
 * #PF #MF #AC #XM #VE #CP. */
#define FAULTS 0x003b7ce1u

/* KVM: the vCPU is to be shut down at its next entry. TCG never looks. */
static gboolean
triple_fault(MoseSection *section, guint cpu, GError **error)
{
    MoseSection *fault = mose_section_subsection(section, "cpu/triple_fault");
    guint64 pending;

    if (!fault)
        return TRUE;
    return mose_section_get(fault, "env.triple_fault_pending", &pending, error) &&
           (!pending || mose_in_flight_not_now("a triple fault", pending, cpu, error));
}

typedef struct {
    const MoseRuleContext *context;
    gboolean *changed;
} Job;

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    const Job *job = data;
    guint64 number;

    if (!triple_fault(section, cpu, error) ||
        !mose_section_get(section, "env.exception_nr", &number, error))
        return FALSE;
    if ((guint32)number == MOSE_NO_EVENT)
        return TRUE;
    if ((number > 31 || !(FAULTS >> number & 1)) &&
        !mose_in_flight_is_int(job->context, section, number))
        return mose_in_flight_not_now("an exception", number, cpu, error);
    return mose_rule_change(section, "env.exception_nr", MOSE_NO_EVENT, job->changed,
                            error) &&
           mose_rule_change(section, "env.has_error_code", 0, job->changed, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    Job job = { context, ret_changed };

    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, &job, error);
}

const MoseRule mose_rule_exception_injected = {
    .name = "exception-injected",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "an exception that KVM has begun to deliver",
    .effect =
        "forgotten by the emulator, and delivered once more, out of nowhere, when "
        "the guest is back under KVM",
    .fix = "a fault is forgotten by both (its instruction is executed again); what "
           "cannot be repeated fails the switch",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_get_vcpu_events, kvm_put_vcpu_events; "
              "Linux Documentation/virt/kvm/api.rst, KVM_GET_VCPU_EVENTS",
    .evidence = 'a',
    .test = "vm/rules-events: exception-injected",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

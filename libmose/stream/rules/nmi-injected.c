/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An NMI that KVM has begun to deliver, or holds back (in-flight.h).
 *
 * It is asked for again, in TCG's way. KVM masks further ones from the moment at which
 * it injects one; in TCG it is the delivery that does (target/i386/tcg/system/
 * seg_helper.c:x86_cpu_exec_interrupt). One that KVM holds back while the guest is in
 * an NMI stays masked, and comes at its iret.
 */
#include "stream/rules/in-flight.h"
#include "stream/rules/list.h"

/* target/i386/cpu.h: CPU_INTERRUPT_NMI, HF2_NMI_MASK */
#define CPU_INTERRUPT_NMI 0x200u
#define HF2_NMI (1u << 2)

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    guint64 injected, pending;

    if (!mose_section_get(section, "env.nmi_injected", &injected, error) ||
        !mose_section_get(section, "env.nmi_pending", &pending, error))
        return FALSE;
    if (!common || (!injected && !pending))
        return TRUE;
    return mose_rule_change(section, "env.nmi_injected", 0, data, error) &&
           mose_rule_change(section, "env.nmi_pending", 0, data, error) &&
           mose_rule_change_bits(section, "env.hflags2", injected ? HF2_NMI : 0, 0,
                                 data, error) &&
           mose_rule_change_bits(common, "interrupt_request", 0, CPU_INTERRUPT_NMI,
                                 data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_nmi_injected = {
    .name = "nmi-injected",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "an NMI that KVM has begun to deliver or holds back",
    .effect =
        "it is lost, and NMIs may stay masked for ever: no watchdog, no backtrace",
    .fix = "it is asked for again in cpu_common/interrupt_request, and unmasked",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_get_vcpu_events; Linux "
              "Documentation/virt/kvm/api.rst, KVM_GET_VCPU_EVENTS",
    .evidence = 'b',
    .test = "vm/rules-events: nmi-injected",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

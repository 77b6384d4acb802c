/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stale request for system management mode: the example of the MOSE paper.
 *
 * KVM's side may leave CPU_INTERRUPT_SMI set where KVM has no SMM of its own. TCG
 * takes it at its word and enters SMM at SMBASE + 0x8000; with SMBASE as after
 * reset no firmware has put a handler there, and the guest runs into its own
 * data. Where firmware has moved SMBASE, its handler is there and a request may
 * be real: it is left alone.
 */
#include "stream/rules/list.h"

/* include/exec/cpu-all.h: CPU_INTERRUPT_TGT_EXT_2; target/i386/cpu.h */
#define CPU_INTERRUPT_SMI 0x40u
#define SMBASE_AT_RESET 0x30000u

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    MoseSection *state = mose_rule_cpu_section(doc, "cpu", cpu);
    gboolean *changed = data;
    guint64 request, smbase;

    if (!state || !mose_section_get(section, "interrupt_request", &request, error) ||
        !mose_section_get(state, "env.smbase", &smbase, error))
        return state == NULL;
    if (!(request & CPU_INTERRUPT_SMI) || smbase != SMBASE_AT_RESET)
        return TRUE;
    *changed = TRUE;
    return mose_section_set(section, "interrupt_request",
                            request & ~(guint64)CPU_INTERRUPT_SMI, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu_common", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_smi = {
    .name = "smi",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "a stale system management interrupt in interrupt_request",
    .effect = "the emulator enters SMM where no handler is: the guest freezes",
    .fix =
        "bit 6 of cpu_common/interrupt_request cleared while SMBASE is as after reset",
    .source = "QEMU target/i386/tcg/system/smm_helper.c:do_smm_enter, "
              "target/i386/kvm/kvm.c:kvm_get_vcpu_events; the MOSE paper, section 4",
    .evidence = 'b',
    .test = "vm/rules: smi",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

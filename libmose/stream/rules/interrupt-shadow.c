/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one instruction after `sti` or `mov ss`, before which no interrupt comes.
 *
 * Neither way is it passed on. KVM has it as interrupt.shadow of KVM_GET_VCPU_EVENTS,
 * which QEMU does not take (target/i386/kvm/kvm.c:kvm_get_vcpu_events) nor give
 * (kvm_put_vcpu_events: no KVM_VCPUEVENT_VALID_SHADOW); TCG has it as a bit of hflags.
 * Stopped between `sti` and `hlt`, the guest takes the interrupt that it wants to wait
 * for before it waits: it sleeps through it.
 *
 * To TCG: the bit is set where the instruction before was, by its bytes, one of these.
 * A byte that only looks so costs nothing: one instruction without an interrupt. To
 * KVM: `hlt` is done for it, the vCPU goes to sleep, and what waits wakes it.
 */
#include "stream/rules/list.h"
#include "stream/rules/paging.h"

/* target/i386/cpu.h: HF_CPL_MASK, HF_INHIBIT_IRQ_MASK, HF_TF_MASK */
#define HF_CPL 3u
#define HF_INHIBIT_IRQ (1u << 3)
#define EFLAGS_TF (1u << 8)
#define EFLAGS_IF (1u << 9)

enum { STI = 0xfb, HLT = 0xf4, POP_SS = 0x17, MOV_SREG = 0x8e };

/* Of `mov ss, register`: the second byte without the register's number. */
#define IS_TO_SS(modrm) (((modrm)&0xf8) == 0xd0)

typedef struct {
    const MoseRuleContext *context;
    gboolean *changed;
} Job;

typedef struct {
    guint64 hflags, eflags, eip, halted;
} State;

static gboolean
get_state(MoseSection *section, MoseSection *common, State *ret, GError **error)
{
    return mose_section_get(section, "env.hflags", &ret->hflags, error) &&
           mose_section_get(section, "env.eflags", &ret->eflags, error) &&
           mose_section_get(section, "env.eip", &ret->eip, error) &&
           mose_section_get(common, "halted", &ret->halted, error);
}

static gboolean
is_behind_one(const MoseRuleContext *context, MoseSection *section)
{
    guint8 before[2];

    if (mose_paging_read_code(context, section, -1, before, 1) &&
        (before[0] == STI || before[0] == POP_SS))
        return TRUE;
    return mose_paging_read_code(context, section, -2, before, 2) &&
           before[0] == MOV_SREG && IS_TO_SS(before[1]);
}

static gboolean
to_tcg(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    const Job *job = data;
    State state;

    if (!common)
        return TRUE;
    if (!get_state(section, common, &state, error))
        return FALSE;
    if (state.halted || !(state.eflags & EFLAGS_IF) ||
        !is_behind_one(job->context, section))
        return TRUE;
    return mose_rule_change_bits(section, "env.hflags", 0, HF_INHIBIT_IRQ, job->changed,
                                 error);
}

static gboolean
to_kvm(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data, GError **error)
{
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    const Job *job = data;
    State state;
    guint8 next;

    if (!common)
        return TRUE;
    if (!get_state(section, common, &state, error))
        return FALSE;
    if (state.halted || !(state.hflags & HF_INHIBIT_IRQ))
        return TRUE;
    if (!mose_rule_change_bits(section, "env.hflags", HF_INHIBIT_IRQ, 0, job->changed,
                               error))
        return FALSE;
    if ((state.hflags & HF_CPL) || (state.eflags & EFLAGS_TF) ||
        !(state.eflags & EFLAGS_IF) ||
        !mose_paging_read_code(job->context, section, 0, &next, 1) || next != HLT)
        return TRUE;
    return mose_rule_change(section, "env.eip", state.eip + 1, job->changed, error) &&
           mose_rule_change(common, "halted", 1, job->changed, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    Job job = { context, ret_changed };

    return mose_rule_each_cpu(doc, "cpu",
                              context->direction == MOSE_TCG_TO_KVM ? to_kvm : to_tcg,
                              &job, error);
}

const MoseRule mose_rule_interrupt_shadow = {
    .name = "interrupt-shadow",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "the instruction after `sti` or `mov ss`, before which no interrupt comes",
    .effect = "between `sti` and `hlt` the guest takes the interrupt that it wants to "
              "wait for, and then sleeps through it",
    .fix = "bit 3 of env.hflags set where the code before the vCPU says so; for KVM, "
           "which cannot be told, `hlt` is done",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_get_vcpu_events, kvm_put_vcpu_events, "
              "target/i386/cpu.c:x86_cpu_pending_interrupt; Linux "
              "Documentation/virt/kvm/api.rst, KVM_GET_VCPU_EVENTS",
    .evidence = 'b',
    .test = "vm/rules-events: interrupt-shadow",
    .rewrite = rewrite,
};

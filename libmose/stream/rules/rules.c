/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of rules, and running them. */
#include <string.h>

#include "stream/rules/rule.h"
#include "stream/rules/list.h"

/*
 * Refusals first. Then the timers, which go by the time at which the guest was stopped;
 * then the clocks in the order in which they build on each other: the TSC as the guest
 * last saw it, the clocks that vCPUs make of theirs, the time that passed since, the
 * clock made from both. Whether a vCPU sleeps before what it waits for. What is in
 * flight goes back to the interrupt controllers (async-pf asks for it before), so what
 * waits there comes last.
 */
/* clang-format off */
const MoseRule *const mose_rules[] = {
    &mose_rule_cpu_features,
    &mose_rule_phys_bits,
    &mose_rule_devices,
    &mose_rule_blocked,
    &mose_rule_globalstate,
    &mose_rule_ioapic_version,
    &mose_rule_pit,
    &mose_rule_hpet,
    &mose_rule_lapic_oneshot,
    &mose_rule_tsc,
    &mose_rule_pvclock_vcpus,
    &mose_rule_pvclock_frequency,
    &mose_rule_stopped_time,
    &mose_rule_kvmclock,
    &mose_rule_kvmclock_aps,
    &mose_rule_guest_stopped,
    &mose_rule_wall_clock,
    &mose_rule_steal_time,
    &mose_rule_hyperv_hypercall,
    &mose_rule_tsc_deadline,
    &mose_rule_hypercall,
    &mose_rule_hflags,
    &mose_rule_hflags_protection,
    &mose_rule_pmu,
    &mose_rule_xsave_layout,
    &mose_rule_a20,
    &mose_rule_tr_busy,
    &mose_rule_xstate_bv,
    &mose_rule_pdptrs,
    &mose_rule_poll_control,
    &mose_rule_stale_shadow,
    &mose_rule_interrupt_shadow,
    &mose_rule_x87_stack,
    &mose_rule_mtrr_mask,
    &mose_rule_misc_enable,
    &mose_rule_mp_state,
    &mose_rule_sipi,
    &mose_rule_smi,
    &mose_rule_async_pf,
    &mose_rule_exception_injected,
    &mose_rule_interrupt_injected,
    &mose_rule_nmi_injected,
    &mose_rule_pit_edge,
    &mose_rule_lapic_pending,
    &mose_rule_pic_pending,
    &mose_rule_stale_interrupt,
    NULL,
};
/* clang-format on */

static const char *const class_names[MOSE_N_CLASSES] = {
    [MOSE_HW_EQUIVALENCE] = "HW equivalence",
    [MOSE_HW_STATE] = "HW state",
    [MOSE_SW_STATE] = "SW state",
};

const char *
mose_rule_class_name(MoseRuleClass rule_class)
{
    return class_names[rule_class];
}

guint64
mose_rule_source_khz(const MoseRuleContext *context)
{
    return context->source_khz ? context->source_khz : context->tsc_khz;
}

guint
mose_direction(const char *from_accel, const char *to_accel)
{
    gboolean from_kvm = strcmp(from_accel, "kvm") == 0;
    gboolean to_kvm = strcmp(to_accel, "kvm") == 0;

    if (to_kvm)
        return from_kvm ? MOSE_KVM_TO_KVM : MOSE_TCG_TO_KVM;
    return from_kvm ? MOSE_KVM_TO_TCG : MOSE_TCG_TO_TCG;
}

const char *
mose_direction_name(guint direction)
{
    switch (direction) {
    case MOSE_KVM_TO_TCG:
        return "KVM -> TCG";
    case MOSE_TCG_TO_KVM:
        return "TCG -> KVM";
    case MOSE_TCG_TO_TCG:
        return "TCG -> TCG";
    case MOSE_KVM_TO_KVM:
        return "KVM -> KVM";
    case MOSE_TO_TCG:
        return "to TCG";
    case MOSE_TO_KVM:
        return "to KVM";
    case MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM:
    case MOSE_TO_TCG | MOSE_TCG_TO_KVM:
        return "KVM <-> TCG";
    default:
        return "any";
    }
}

const MoseRule *
mose_rule_by_name(const char *name)
{
    for (const MoseRule *const *rule = mose_rules; *rule; rule++)
        if (strcmp((*rule)->name, name) == 0)
            return *rule;
    return NULL;
}

gboolean
mose_rules_make_up_for(guint direction, const char *name)
{
    for (const MoseRule *const *rule = mose_rules; *rule; rule++)
        if (((*rule)->directions & direction) && (*rule)->features &&
            g_strv_contains((*rule)->features, name))
            return TRUE;
    return FALSE;
}

gboolean
mose_rule_from_kvm(const MoseFacts *facts)
{
    return (facts->direction & (MOSE_KVM_TO_TCG | MOSE_KVM_TO_KVM)) != 0;
}

gboolean
mose_rule_applies(const MoseRule *rule, const MoseFacts *facts)
{
    if (!(rule->directions & facts->direction))
        return FALSE;
    return !rule->detect || rule->detect(facts);
}

gboolean
mose_rule_is_left_out(const char *name, const char *without)
{
    g_auto(GStrv) names = g_strsplit(without ? without : "", ",", -1);

    return g_strv_contains((const char *const *)names, name);
}

gboolean
mose_rules_rewrite(const MoseRuleContext *context, MoseDoc *doc, const char *without,
                   GPtrArray *changed, GError **error)
{
    for (const MoseRule *const *p = mose_rules; *p; p++) {
        const MoseRule *rule = *p;
        gboolean did = FALSE;

        if (!rule->rewrite || !(rule->directions & context->direction) ||
            mose_rule_is_left_out(rule->name, without))
            continue;
        if (!rule->rewrite(context, doc, &did, error)) {
            g_prefix_error(error, "rule %s: ", rule->name);
            return FALSE;
        }
        if (did && changed)
            g_ptr_array_add(changed, (gpointer)rule->name);
    }
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A one-shot timer of the local APIC.
 *
 * KVM's side sends its initial count, loaded now (hw/i386/kvm/apic.c:
 * kvm_get_apic_state); the count that is left, APIC_TMCCT, is not in the stream. So a
 * one-shot starts anew in the emulator: late by up to its whole interval, which for an
 * idle guest without a tick is seconds.
 *
 * It expires at once instead, as KVM itself has it when it gets such a state (Linux
 * arch/x86/kvm/lapic.c:set_target_expiration, where APIC_TMCCT is 0): guests bear an
 * interrupt that is early, since they look at their clock, and one that comes twice.
 * Periodic timers go on with their period. This runs before rule stopped-time, so that
 * "now" is over when the guest goes on.
 */
#include "stream/rules/list.h"

#define LVT_MASKED (1u << 16)
#define LVT_MODE (3u << 17) /* 0: one-shot */
#define NEVER G_MAXUINT64

typedef struct {
    gboolean from_kvm;
    guint64 now;
    gboolean *changed;
} Job;

typedef struct {
    guint64 lvt, count, shift, loaded, expiry;
} Timer;

static gboolean
get_timer(MoseSection *apic, Timer *ret, GError **error)
{
    return mose_section_get(apic, "lvt[0]", &ret->lvt, error) &&
           mose_section_get(apic, "initial_count", &ret->count, error) &&
           mose_section_get(apic, "count_shift", &ret->shift, error) &&
           mose_section_get(apic, "initial_count_load_time", &ret->loaded, error) &&
           mose_section_get(apic, "timer_expiry", &ret->expiry, error);
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *apic, guint cpu, gpointer data, GError **error)
{
    const Job *job = data;
    Timer timer;

    if (!get_timer(apic, &timer, error))
        return FALSE;
    if ((timer.lvt & (LVT_MASKED | LVT_MODE)) || timer.expiry == NEVER ||
        timer.shift > 7 || timer.expiry <= job->now ||
        /* TCG's own knows when it was loaded: hardly at the moment of the stop. */
        (!job->from_kvm && timer.loaded != job->now))
        return TRUE;
    /* Loaded long enough ago that it does not start again when it has expired
     * (hw/intc/apic_common.c:apic_next_timer). */
    return mose_rule_change(apic, "initial_count_load_time",
                            job->now - ((timer.count + 1) << timer.shift), job->changed,
                            error) &&
           mose_rule_change(apic, "next_time", job->now, job->changed, error) &&
           mose_rule_change(apic, "timer_expiry", job->now, job->changed, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *timer = mose_doc_find(doc, "timer", 0);
    Job job = { context->direction == MOSE_KVM_TO_TCG, 0, ret_changed };

    return !timer || (mose_section_get(timer, "cpu_clock_offset", &job.now, error) &&
                      mose_rule_each_cpu(doc, "apic", rewrite_cpu, &job, error));
}

const MoseRule mose_rule_lapic_oneshot = {
    .name = "lapic-oneshot",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "a one-shot timer of the local APIC: KVM's side sends its whole interval",
    .effect = "it starts anew in the emulator: a guest sleeps up to twice as long",
    .fix = "it expires at once, as in KVM when it loads such a state",
    .source = "QEMU hw/i386/kvm/apic.c:kvm_get_apic_state, hw/intc/apic_common.c:"
              "apic_next_timer; Linux arch/x86/kvm/lapic.c:set_target_expiration",
    .evidence = 'a',
    .test = "vm/rules-kvm: lapic-oneshot",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

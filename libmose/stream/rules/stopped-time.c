/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The time for which a switch stopped the guest.
 *
 * QEMU keeps the guest's clocks still while it is stopped, so each migration
 * makes the guest's wall clock late. The TSC and the clock of QEMU's devices
 * (QEMU_CLOCK_VIRTUAL, timer/cpu_clock_offset) are moved on together by the
 * time the guest stood still, so that no clocksource watchdog sees them part;
 * timers that ran out meanwhile fire at once, as they would have.
 */
#include "stream/rules/list.h"

static gboolean
move_field(MoseSection *section, const char *path, guint64 by, GError **error)
{
    guint64 value;

    return mose_section_get(section, path, &value, error) &&
           mose_section_set(section, path, value + by, error);
}

static gboolean
move_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data, GError **error)
{
    return move_field(section, "env.tsc", *(guint64 *)data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *timer = mose_doc_find(doc, "timer", 0);
    MoseSection *kvmclock = mose_doc_find(doc, "kvmclock", 0);
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);
    guint64 tsc, ticks;
    gint64 ns;

    if (!timer || !cpu || !context->stopped_ns)
        return TRUE;
    /* Where the guest's TSC is now: rule `tsc` has run. */
    if (!(context->direction & MOSE_KVM_TO_KVM
              ? mose_section_get(cpu, "env.tsc", &tsc, error)
              : mose_section_get(timer, "cpu_ticks_offset", &tsc, error)))
        return FALSE;
    ns = context->stopped_ns(context->data, tsc);
    if (ns <= 0)
        return TRUE;
    /* As the guest has seen it tick. */
    ticks = (guint64)((__int128)ns * mose_rule_source_khz(context) / 1000000);
    *ret_changed = TRUE;
    if (kvmclock && !move_field(kvmclock, "clock", ns, error))
        return FALSE;
    return move_field(timer, "cpu_ticks_offset", ticks, error) &&
           move_field(timer, "cpu_clock_offset", ns, error) &&
           mose_rule_each_cpu(doc, "cpu", move_cpu, &ticks, error);
}

const MoseRule mose_rule_stopped_time = {
    .name = "stopped-time",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_ANY_WAY,
    .title = "the guest's clocks stand still while it is switched",
    .effect = "the guest's wall clock is late by each switch",
    .fix = "TSC, virtual clock and kvmclock += the time it stood still",
    .source = "QEMU system/cpu-timers.c:cpu_disable_ticks, hw/i386/kvm/clock.c",
    .evidence = 'a',
    .test = "vm/switch: clock",
    .rewrite = rewrite,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's way to ask KVM what time it is.
 *
 * It writes an address to an MSR, and KVM puts there the time of day at which kvm-clock
 * showed 0 (Linux arch/x86/kvm/x86.c:kvm_write_wall_clock); the guest adds its clock
 * (arch/x86/kernel/kvmclock.c:kvm_get_wallclock), as it does when it wakes from suspend
 * to RAM. TCG ignores the MSR, and what the guest then finds is KVM's last answer: late
 * by all the time for which the guest was paused since, and wrong after QEMU has loaded
 * it into a KVM, which writes an answer then, before it has the guest's clock.
 *
 * The answer that KVM would give now is put there, where the old one is off. It stays
 * right for as long as the guest's clock goes on, and rule stopped-time sees to that.
 */
#include "stream/rules/list.h"
#include "stream/rules/paravirt.h"

/* Less is what the clocks of host and guest drift, and what a switch costs. */
#define RIGHT_NS G_GINT64_CONSTANT(100000000)
#define NS_PER_S G_GINT64_CONSTANT(1000000000)

/* struct pvclock_wall_clock, Linux arch/x86/include/asm/pvclock-abi.h */
typedef struct {
    guint32 version;
    guint32 sec;
    guint32 nsec;
} __attribute__((packed)) WallClock;

/* What the guest's clock will show when it resumes; rules before this one have set it.
 */
static gboolean
guest_clock(const MoseRuleContext *context, MoseDoc *doc, MoseSection *cpu,
            guint64 *ret)
{
    MoseSection *timer = mose_doc_find(doc, "timer", 0);
    MosePvClock clock;
    guint64 tsc;

    return timer && mose_section_get(timer, "cpu_ticks_offset", &tsc, NULL) &&
           mose_pvclock_read(context, cpu, &clock) && mose_pvclock_at(&clock, tsc, ret);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);
    gint64 zero = g_get_real_time() * 1000, was;
    guint64 address, clock;
    WallClock wall;

    if (!cpu || !mose_section_get(cpu, "env.wall_clock_msr", &address, NULL) ||
        !address || !guest_clock(context, doc, cpu, &clock) ||
        !context->read_memory(context->data, address, &wall, sizeof(wall)))
        return TRUE;
    /* The guest's own page may claim that it runs for longer than there is time. */
    if (clock > (guint64)zero)
        return TRUE;
    zero -= (gint64)clock;
    was = wall.sec * NS_PER_S + wall.nsec;
    if (was - zero < RIGHT_NS && zero - was < RIGHT_NS)
        return TRUE;
    wall.version = (wall.version & ~1u) + 2;
    wall.sec = (guint32)(zero / NS_PER_S);
    wall.nsec = (guint32)(zero % NS_PER_S);
    *ret_changed = context->write_memory(context->data, address, &wall, sizeof(wall));
    return TRUE;
}

const MoseRule mose_rule_wall_clock = {
    .name = "wall-clock",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "KVM alone tells the guest the time of day when it asks",
    .effect = "the guest in the emulator believes KVM's last answer: late by all the "
              "time that it was paused since",
    .fix = "struct pvclock_wall_clock made anew from the host's clock and the guest's",
    .source = "Linux arch/x86/kvm/x86.c:kvm_write_wall_clock, "
              "arch/x86/kernel/kvmclock.c:kvm_get_wallclock",
    .evidence = 'a',
    .test = "vm/paravirt: wall-clock",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

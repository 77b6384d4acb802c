/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the PIT next raises or lowers its line.
 *
 * TCG sets a timer to it when it loads (hw/timer/i8254.c:pit_post_load), and from there
 * makes one transition after the other until it has caught up. KVM's side sends the
 * first transition after the counter was *loaded* (hw/i386/kvm/i8254.c:kvm_pit_get),
 * hours or days ago: a storm of all ticks since, in which QEMU does nothing else.
 *
 * The next one after the guest was stopped is put in its place, as
 * hw/timer/i8254_common.c:pit_get_next_transition_time finds it. This runs before rule
 * stopped-time: ticks of the time that the guest stood still are made good.
 */
#include "stream/rules/list.h"

#define PIT_HZ 1193182
#define NEVER G_MAXUINT64
#define SECOND_NS G_GINT64_CONSTANT(1000000000)
#define NEXT "channels[0].next_transition_time"

typedef struct {
    gint64 count; /* in ticks of the PIT; 0 only in a broken stream */
    gint64 loaded;
    guint64 mode;
} Counter;

/* The tick, counted since the counter was loaded, for which QEMU sets its timer at tick
 * @now; -1: for none. In mode 2 it counts on its own rounding. */
static gint64
next_tick(const Counter *counter, gint64 now)
{
    gint64 count = counter->count, base = now - now % count, half = (count + 1) / 2;

    switch (counter->mode) {
    case 2: /* high for one tick of each round */
        return now == base && now != 0 ? base + count : base + count + 1;
    case 3: /* a square wave */
        return now - base < half ? base + half : base + count;
    case 4:
    case 5: /* for one tick, once */
        return now < count ? count : now == count ? count + 1 : -1;
    default:
        return now < count ? count : -1;
    }
}

static gint64
next_ns(const Counter *counter, gint64 now)
{
    __int128 passed = (__int128)now - counter->loaded, tick;

    tick = next_tick(counter, (gint64)(MAX(passed, 0) * PIT_HZ / SECOND_NS));
    if (tick < 0)
        return -1;
    tick = tick * SECOND_NS / PIT_HZ + counter->loaded;
    return tick > now ? (gint64)MIN(tick, G_MAXINT64) : now + 1;
}

static gboolean
get_counter(MoseSection *pit, Counter *ret, GError **error)
{
    guint64 count, loaded;

    if (!mose_section_get(pit, "channels[0].count", &count, error) ||
        !mose_section_get(pit, "channels[0].count_load_time", &loaded, error) ||
        !mose_section_get(pit, "channels[0].mode", &ret->mode, error))
        return FALSE;
    ret->count = (gint32)count;
    ret->loaded = (gint64)loaded;
    return TRUE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *pit = mose_doc_find(doc, "i8254", 0);
    MoseSection *timer = mose_doc_find(doc, "timer", 0);
    /* TCG's own is late by what its host is busy with, and not by more. */
    gint64 late = context->direction == MOSE_KVM_TO_TCG ? 0 : SECOND_NS;
    guint64 now, next, off;
    Counter counter;

    if (!pit || !timer)
        return TRUE;
    if (!mose_section_get(timer, "cpu_clock_offset", &now, error) ||
        !mose_section_get(pit, NEXT, &next, error) ||
        !mose_section_get(pit, "channels[0].irq_disabled", &off, error) ||
        !get_counter(pit, &counter, error))
        return FALSE;
    if (off || next == NEVER || counter.count <= 0 || (gint64)(now - next) <= late)
        return TRUE;
    return mose_rule_change(pit, NEXT, next_ns(&counter, now), ret_changed, error);
}

const MoseRule mose_rule_pit = {
    .name = "pit",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "the PIT's next transition: KVM's side sends the first one ever",
    .effect =
        "the emulator makes all that were since, one after the other: QEMU answers "
        "nobody meanwhile, and the guest gets a storm of ticks",
    .fix = "channels[0].next_transition_time := the next after the guest was stopped",
    .source = "QEMU hw/i386/kvm/i8254.c:kvm_pit_get, hw/timer/i8254.c:pit_post_load, "
              "pit_irq_timer_update",
    .evidence = 'b',
    .test = "vm/rules-irq: pit",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

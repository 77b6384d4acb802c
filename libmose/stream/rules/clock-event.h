/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux's clock event device of a local APIC: the object by which a processor asks for
 * its next tick, and whose function it calls for that.
 *
 * Each processor has one, `lapic_events` (arch/x86/kernel/apic/apic.c), a copy of the
 * static `lapic_clockevent`. Under a CPU with TSC-deadline, setup_APIC_timer() gives it
 * another name, function and frequency. Both are found here without symbols: the copy
 * in the processor's per-CPU area, at its GS base; the static one among the data of
 * the kernel's image. Each field of both has to be as that function leaves it.
 */
#pragma once

#include "stream/rules/kernel-view.h"

/*
 * struct clock_event_device (include/linux/clockchips.h) as it has been since Linux
 * 4.4, the same on each x86-64. It is aligned to a cache line of 64 bytes, so its last
 * 48 bytes belong to nobody and are zero: what was changed in it is kept there.
 * Guest and host are both little-endian.
 */
typedef struct {
    guint64 event_handler, set_next_event, set_next_ktime, next_event;
    guint64 max_delta_ns, min_delta_ns;
    guint32 mult, shift, state, features;
    guint64 retries;
    guint64 set_state_periodic, set_state_oneshot, set_state_oneshot_stopped;
    guint64 set_state_shutdown, tick_resume;
    guint64 broadcast, suspend, resume;
    guint64 min_delta_ticks, max_delta_ticks;
    guint64 name;
    gint32 rating, irq, bound_on, hole;
    guint64 cpumask, list_next, list_prev, owner;
    struct {
        guint64 magic; /* MOSE_CLOCK_EVENT_CHANGED, or 0 */
        guint64 set_next_event, max_delta_ns, min_delta_ns;
        guint32 mult, shift;
        guint64 address; /* its own, linear */
    } kept;
} MoseClockEvent;
G_STATIC_ASSERT(G_STRUCT_OFFSET(MoseClockEvent, name) == 152);
G_STATIC_ASSERT(sizeof(MoseClockEvent) == 256);

#define MOSE_CLOCK_EVENT_NAME "lapic-deadline"
#define MOSE_CLOCK_EVENT_CHANGED G_GUINT64_CONSTANT(0x31656e694c45534d)

/* Ticks of a deadline device: of any length, but for the shortest. */
#define MOSE_CLOCK_EVENT_MIN_TICKS 0xf
#define MOSE_CLOCK_EVENT_MAX_TICKS G_MAXUINT64

/* Where one was found. */
typedef struct {
    MoseKernelView view;
    guint64 linear, physical;
    MoseClockEvent event; /* a copy */
} MoseClockEventPlace;

/*
 * The device of the vCPU with section @cpu, which has to be a deadline device for a
 * TSC of about @context's frequency. NOT_FOUND in words where there is none.
 */
gboolean mose_clock_event_find(const MoseRuleContext *context, const MoseSection *cpu,
                               MoseClockEventPlace *ret, GError **error);

/* The set_next_event of the static device that @device is a copy of: it programs the
 * APIC's own counter. NOT_FOUND where there is not exactly one. */
gboolean mose_clock_event_find_oneshot(const MoseKernelView *view,
                                       const MoseClockEvent *device, guint64 *ret,
                                       GError **error);

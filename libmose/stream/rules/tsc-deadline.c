/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux whose tick comes from the local APIC's TSC-deadline mode.
 *
 * A CPU with tsc-deadline lets the guest write the TSC at which its next tick is due
 * into MSR 0x6e0 (SDM 3A, 11.5.4.1). TCG has no such timer and ignores the write
 * (target/i386/tcg/system/misc_helper.c:helper_wrmsr): the tick that was pending is
 * lost, and no other ever comes.
 *
 * Linux asks for its ticks through an object of each processor (clock-event.h). In the
 * emulator this is made what Linux would have made of it under a CPU without the
 * feature: the function that programs the APIC's counter, and the factors of its
 * frequency. What was there is kept in bytes of the same object that nobody uses, and
 * its address in the MSR, which TCG carries along and clears at a reset: so the way
 * back needs no search. The way back undoes it, for under KVM the counter would not do:
 * Linux still sets the APIC's mode to deadline when it wakes a timer that it had shut
 * down (__setup_APIC_LVTT), in which KVM ignores the counter and TCG does not.
 *
 * A vCPU that is between reading these factors and programming the timer would mix the
 * old with the new: then the switch is tried again later.
 */
#include <string.h>

#include "stream/rules/clock-event.h"
#include "stream/rules/list.h"
#include "util/error.h"

#define FEATURE "tsc-deadline"
#define MSR "cpu/msr_tscdeadline"

/* The timer's entry of the LVT: mode in bits 17 and 18. */
#define LVT_MODE (3u << 17)
#define LVT_DEADLINE (2u << 17)
#define LVT_MASKED (1u << 16)

/* QEMU's counter goes at 1 GHz; Linux divides by 16 (__setup_APIC_LVTT), in one-shot
 * mode at most by 31 bits, and never asks for less than 1 us (cev_delta2ns). */
#define DIVIDE_BY_16 3u
#define COUNT_SHIFT 4
#define COUNT_MAX 0x7fffffffu
#define MIN_DELTA_NS 1000u
#define MAX_DELTA_NS ((guint64)COUNT_MAX << COUNT_SHIFT)
/* 1/16 in units of 2^-32: lapic_init_clockevent */
#define ONESHOT_MULT (1u << (32 - COUNT_SHIFT))
#define ONESHOT_SHIFT 32u

typedef struct {
    const MoseRuleContext *context;
    guint64 tsc, clock; /* the guest's, when it resumes: ticks, ns */
    guint64 oneshot;    /* Linux's lapic_next_event(), once it was looked for */
    guint n_devices;    /* that were changed */
    gboolean *changed;
} Change;

static gboolean
refused(const char *why, guint cpu, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "vCPU %u has its ticks from the TSC-deadline timer, which the emulator "
                "lacks, and cannot be given others: %s",
                cpu, why);
    return FALSE;
}

/* Whether the vCPU is far from the device at @linear. Linux sets a timer with
 * interrupts off, and holds its device until that is done (kernel/time/clockevents.c:
 * clockevents_program_event). */
static gboolean
may_be_changed(const MoseKernelView *view, MoseDoc *doc, guint cpu, guint64 linear,
               GError **error)
{
    gboolean atomic, mentioned = FALSE;

    if (!mose_kernel_is_atomic(doc, cpu, &atomic, error) ||
        (atomic &&
         !mose_kernel_mentions(view, mose_rule_cpu_section(doc, "cpu", cpu), linear,
                               sizeof(MoseClockEvent), &mentioned, error)))
        return FALSE;
    if (!mentioned)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "vCPU %u may be setting its timer, which cannot be changed meanwhile; "
                "try again",
                cpu);
    return FALSE;
}

static gint64
scale(gint64 value, guint64 by, guint64 over)
{
    return (gint64)((__int128)value * by / over);
}

/* --- into the emulator --- */

static void
make_oneshot(MoseClockEvent *device, guint64 linear, guint64 set_next_event)
{
    device->kept.address = linear;
    device->kept.magic = MOSE_CLOCK_EVENT_CHANGED;
    device->kept.set_next_event = device->set_next_event;
    device->kept.max_delta_ns = device->max_delta_ns;
    device->kept.min_delta_ns = device->min_delta_ns;
    device->kept.mult = device->mult;
    device->kept.shift = device->shift;
    device->set_next_event = set_next_event;
    device->max_delta_ns = MAX_DELTA_NS;
    device->min_delta_ns = MAX(device->min_delta_ns, MIN_DELTA_NS);
    device->max_delta_ticks = COUNT_MAX;
    device->mult = ONESHOT_MULT;
    device->shift = ONESHOT_SHIFT;
}

/* Plan the new device in the guest's memory. */
static gboolean
change_device(Change *change, MoseDoc *doc, guint cpu, guint64 *ret_physical,
              GError **error)
{
    g_autoptr(GError) why = NULL;
    MoseClockEventPlace place;

    if (!mose_clock_event_find(change->context, mose_rule_cpu_section(doc, "cpu", cpu),
                               &place, &why) ||
        (!change->oneshot && !mose_clock_event_find_oneshot(&place.view, &place.event,
                                                            &change->oneshot, &why)))
        return refused(why->message, cpu, error);
    if (!may_be_changed(&place.view, doc, cpu, place.linear, error))
        return FALSE;
    change->n_devices++;
    make_oneshot(&place.event, place.linear, change->oneshot);
    *ret_physical = place.physical;
    if (!change->context->write_memory ||
        !change->context->write_memory(change->context->data, place.physical,
                                       &place.event, sizeof(place.event)))
        return refused("its memory cannot be written", cpu, error);
    return TRUE;
}

/* The APIC counts what is left until @deadline (0: nothing is due). A moment that has
 * passed is due at once. */
static gboolean
set_counter(const Change *change, MoseSection *apic, guint64 deadline, GError **error)
{
    guint64 lvt, count = 0, expiry = G_MAXUINT64; /* -1: not armed */
    gint64 left = (gint64)(deadline - change->tsc);

    if (!mose_section_get(apic, "lvt[0]", &lvt, error))
        return FALSE;
    if (deadline && !(lvt & LVT_MASKED)) {
        left =
            left > 0 ? scale(left, 1000000, mose_rule_source_khz(change->context)) : 0;
        count = CLAMP(left >> COUNT_SHIFT, 1, COUNT_MAX);
        expiry = change->clock + ((count + 1) << COUNT_SHIFT);
    }
    return mose_section_set(apic, "lvt[0]", lvt & ~(guint64)LVT_MODE, error) &&
           mose_section_set(apic, "divide_conf", DIVIDE_BY_16, error) &&
           mose_section_set(apic, "count_shift", COUNT_SHIFT, error) &&
           mose_section_set(apic, "initial_count", count, error) &&
           mose_section_set(apic, "initial_count_load_time", change->clock, error) &&
           mose_section_set(apic, "next_time", count ? expiry : change->clock, error) &&
           mose_section_set(apic, "timer_expiry", expiry, error);
}

static gboolean
has_deadline(MoseSection *apic, gboolean *ret, GError **error)
{
    guint64 lvt;

    if (!mose_section_get(apic, "lvt[0]", &lvt, error))
        return FALSE;
    *ret = (lvt & LVT_MODE) == LVT_DEADLINE;
    return TRUE;
}

static gboolean
to_tcg(MoseDoc *doc, MoseSection *apic, guint cpu, gpointer data, GError **error)
{
    MoseSection *section = mose_rule_cpu_section(doc, "cpu", cpu);
    MoseSection *msr = section ? mose_section_subsection(section, MSR) : NULL;
    Change *change = data;
    guint64 deadline = 0, device;
    gboolean wanted;

    if (!has_deadline(apic, &wanted, error))
        return FALSE;
    if (!wanted || !section)
        return TRUE;
    if ((msr && !mose_section_get(msr, "env.tsc_deadline", &deadline, error)) ||
        !change_device(change, doc, cpu, &device, error) ||
        !set_counter(change, apic, deadline, error))
        return FALSE;
    *change->changed = TRUE;
    if (msr)
        return mose_section_set(msr, "env.tsc_deadline", device, error);
    msr = mose_section_add_subsection(section, MSR, 1);
    mose_section_append(msr, "env.tsc_deadline", "uint64", 8, device);
    return TRUE;
}

/* A guest that has seen the feature and has not used it yet would do so there. */
static gboolean
is_to_come(const Change *change, GError **error)
{
    if (change->n_devices > 0 || !change->context->lost_features ||
        !g_strv_contains(change->context->lost_features, FEATURE))
        return FALSE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "the guest has been offered the TSC-deadline timer, which the emulator "
                "lacks, and does not use it: it may have still to choose its timers. "
                "Try again when it has booted, or start it with `mose run --cpu "
                "portable`");
    return TRUE;
}

/* --- and back --- */

static void
make_deadline(MoseClockEvent *device)
{
    device->set_next_event = device->kept.set_next_event;
    device->max_delta_ns = device->kept.max_delta_ns;
    device->min_delta_ns = device->kept.min_delta_ns;
    device->max_delta_ticks = MOSE_CLOCK_EVENT_MAX_TICKS;
    device->mult = device->kept.mult;
    device->shift = device->kept.shift;
    memset(&device->kept, 0, sizeof(device->kept));
}

/* What is left of the APIC's counter becomes the TSC at which it ends. */
static gboolean
set_deadline(const Change *change, MoseSection *apic, MoseSection *msr, GError **error)
{
    guint64 lvt, expiry, deadline = 0;
    gint64 left;

    if (!mose_section_get(apic, "lvt[0]", &lvt, error) ||
        !mose_section_get(apic, "timer_expiry", &expiry, error))
        return FALSE;
    if (expiry != G_MAXUINT64 && !(lvt & LVT_MASKED)) {
        left = MAX((gint64)(expiry - change->clock), 0);
        deadline = change->tsc + scale(left, change->context->tsc_khz, 1000000);
    }
    lvt = (lvt & ~(guint64)LVT_MODE) | LVT_DEADLINE;
    return mose_section_set(apic, "lvt[0]", lvt, error) &&
           mose_section_set(apic, "initial_count", 0, error) &&
           mose_section_set(apic, "timer_expiry", G_MAXUINT64, error) &&
           mose_section_set(msr, "env.tsc_deadline", deadline, error);
}

/* The mark is the device's address. A guest that has started another kernel meanwhile,
 * or made the device anew, has no need of the deadline timer. */
static gboolean
to_kvm(MoseDoc *doc, MoseSection *apic, guint cpu, gpointer data, GError **error)
{
    MoseSection *section = mose_rule_cpu_section(doc, "cpu", cpu);
    MoseSection *msr = section ? mose_section_subsection(section, MSR) : NULL;
    Change *change = data;
    MoseClockEvent device;
    MoseKernelView view;
    guint64 address;

    if (!msr || !change->context->write_memory)
        return TRUE;
    if (!mose_section_get(msr, "env.tsc_deadline", &address, error))
        return FALSE;
    *change->changed = TRUE;
    if (!change->context->read_memory(change->context->data, address, &device,
                                      sizeof(device)) ||
        device.kept.magic != MOSE_CLOCK_EVENT_CHANGED)
        return mose_section_set(msr, "env.tsc_deadline", 0, error);
    if (mose_kernel_view_open(change->context, section, FALSE, &view) &&
        !may_be_changed(&view, doc, cpu, device.kept.address, error))
        return FALSE;
    make_deadline(&device);
    return change->context->write_memory(change->context->data, address, &device,
                                         sizeof(device)) &&
           set_deadline(change, apic, msr, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *timer = mose_doc_find(doc, "timer", 0);
    Change change = { .context = context, .changed = ret_changed };

    if (!timer)
        return TRUE;
    /* Rules `tsc` and `stopped-time` have run: both are as when the guest resumes. */
    if (!mose_section_get(timer, "cpu_ticks_offset", &change.tsc, error) ||
        !mose_section_get(timer, "cpu_clock_offset", &change.clock, error))
        return FALSE;
    if (context->direction == MOSE_TCG_TO_KVM)
        return mose_rule_each_cpu(doc, "apic", to_kvm, &change, error);
    return mose_rule_each_cpu(doc, "apic", to_tcg, &change, error) &&
           !is_to_come(&change, error);
}

static gboolean
detect(const MoseFacts *facts)
{
    return facts->lost_features && g_strv_contains(facts->lost_features, FEATURE);
}

static const char *const features[] = { FEATURE, NULL };

const MoseRule mose_rule_tsc_deadline = {
    .name = "tsc-deadline",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "a Linux that has its ticks from the APIC's TSC-deadline timer",
    .effect = "TCG ignores the timer's MSR: the guest's tick stops for ever",
    .fix =
        "Linux's clock event devices are made one-shot in its memory, and what is "
        "pending goes into the APIC's counter; undone on the way back. Refused where "
        "the guest is no Linux whose devices are found",
    .source = "QEMU target/i386/tcg/system/misc_helper.c:helper_wrmsr, "
              "hw/intc/apic_common.c:apic_next_timer; Linux arch/x86/kernel/apic/"
              "apic.c:setup_APIC_timer, lapic_next_event, lapic_next_deadline",
    .evidence = 'a',
    .test = "vm/kvm-linux: tsc-deadline",
    .features = features,
    .detect = detect,
    .rewrite = rewrite,
};

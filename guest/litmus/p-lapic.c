/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local APIC's timer, in its modes. */
#include "litmus.h"

/* How much later than asked for an interrupt may come, on a busy host; a little
 * earlier is what two clocks may differ by. */
enum { LATE_MS = 20000, EARLY_MS = 60, AGAIN_MS = 300 };

static Moment armed;
static volatile uint64_t fired_tsc;

static void
fire(Frame *frame)
{
    fired_tsc = rdtsc();
    count_and_eoi(frame);
}

static void
begin(void)
{
    on_vector(VECTOR_TIMER, fire);
    ticks[VECTOR_TIMER] = 0;
    fired_tsc = 0;
    armed = now();
}

/* It must come, at @ms after it was armed, and once. @loosely: a machine that has only
 * the whole interval, not what is left of it, gives it at once, be it early or once
 * more a switch (Linux arch/x86/kvm/lapic.c:set_target_expiration, of a state without
 * APIC_TMCCT). */
static const char *
check_once(uint64_t ms, bool loosely)
{
    uint64_t after;
    uint32_t n;

    irq_on();
    wait_change(&ticks[VECTOR_TIMER], 0, (unsigned)ms + LATE_MS);
    wait_ms(AGAIN_MS + (machine.slow ? 0 : (unsigned)ms));
    irq_off();
    n = ticks[VECTOR_TIMER];
    after = (fired_tsc - armed.tsc) / tsc_khz;
    apic_timer_off();
    if (n == 0)
        return "never fired";
    if (!loosely && after + EARLY_MS < ms)
        return say("fired after %lu ms, not %lu", after, ms);
    return n <= 1 + (loosely ? option_number("switches", 1) : 0)
               ? NULL
               : say("fired %u times", n);
}

/* --- it fires behind the switch --- */

static const char *
prepare_oneshot(void)
{
    begin();
    apic_timer(0, machine.wait_ms * UINT64_C(1000000));
    return NULL;
}

static const char *
check_oneshot(void)
{
    return check_once(machine.wait_ms, true);
}

PROPERTY(lapic_oneshot) = {
    .name = "lapic-oneshot",
    .prepare = prepare_oneshot,
    .check = check_oneshot,
};

/* --- it has fired before the switch, and does not start again --- */

enum { EXPIRED_MS = 100 };

static const char *
prepare_expired(void)
{
    begin();
    apic_timer(0, EXPIRED_MS * UINT64_C(1000000));
    irq_on();
    wait_change(&ticks[VECTOR_TIMER], 0, LATE_MS);
    irq_off();
    return NULL;
}

static const char *
check_expired(void)
{
    return check_once(EXPIRED_MS, true);
}

PROPERTY(lapic_expired) = {
    .name = "lapic-expired",
    .prepare = prepare_expired,
    .check = check_expired,
};

/* --- periodic --- */

enum { PERIODIC_HZ = 50 };

static const char *
prepare_periodic(void)
{
    begin();
    apic_timer(LVT_PERIODIC, UINT64_C(1000000000) / PERIODIC_HZ);
    return NULL;
}

static const char *
check_periodic(void)
{
    const char *wrong = check_rate(VECTOR_TIMER, PERIODIC_HZ);

    apic_timer_off();
    return wrong;
}

PROPERTY(lapic_periodic) = {
    .name = "lapic-periodic",
    .prepare = prepare_periodic,
    .check = check_periodic,
};

/* --- at a value of the TSC --- */

enum { LEAF1_TSC_DEADLINE = 1 << 24, MSR_TSC_DEADLINE = 0x6e0 };

static const char *
prepare_deadline(void)
{
    if (!(machine.leaf1.ecx & LEAF1_TSC_DEADLINE))
        return "no TSC-deadline timer";
    begin();
    apic_write(APIC_LVT_TIMER, LVT_DEADLINE | VECTOR_TIMER);
    if (!try_wrmsr(MSR_TSC_DEADLINE, rdtsc() + machine.wait_ms * tsc_khz)) {
        apic_timer_off();
        return "the TSC-deadline timer cannot be set";
    }
    return NULL;
}

static const char *
check_deadline(void)
{
    return check_once(machine.wait_ms, false);
}

PROPERTY(lapic_deadline) = {
    .name = "lapic-deadline",
    .prepare = prepare_deadline,
    .check = check_deadline,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An interrupt that waits in the PIC while no line of any device changes: it comes as
 * soon as interrupts are on, of itself. The switch has to be over within the time that
 * timers are set to, and the host is to be still for as long again.
 */
#include "litmus.h"

enum { ONCE = 0x30, TICKS = 1000 };

static bool came;

static void
take_pic(Frame *frame)
{
    ticks[frame->vector]++;
    pic_eoi(0);
}

static const char *
prepare(void)
{
    pic_init();
    on_vector(VECTOR_PIC, take_pic);
    ticks[VECTOR_PIC] = 0;
    came = false;
    apic_write(APIC_LVT_LINT0, LVT_EXTINT);
    pic_unmask(0);
    outb(0x43, ONCE); /* the PIT */
    outb(0x40, TICKS & 0xff);
    outb(0x40, TICKS >> 8);
    wait_ms(20);
    return pic_pending() & 1 ? NULL : "IRR does not show it";
}

/* Nothing but the TSC is looked at. */
static void
wait(void)
{
    uint64_t end = rdtsc() + machine.wait_ms * tsc_khz;

    while (rdtsc() < end)
        relax();
    irq_on();
    end = rdtsc() + machine.wait_ms * tsc_khz / 2;
    while (rdtsc() < end)
        relax();
    irq_off();
    came = ticks[VECTOR_PIC] != 0;
    while (!host_says())
        relax();
}

static const char *
check(void)
{
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    pic_init();
    return came ? NULL : "it has not come";
}

PROPERTY(pic_quiet) = {
    .name = "pic-quiet",
    .flags = IRQS_OFF,
    .prepare = prepare,
    .wait = wait,
    .check = check,
};

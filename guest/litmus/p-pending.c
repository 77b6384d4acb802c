/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts that wait while interrupts are off: they come once, when they are on
 * again. And a processor that sleeps until its timer fires. */
#include "litmus.h"

enum { SOON_MS = 5000, AGAIN_MS = 50 };

/* ticks[@vector], which was 0, becomes 1 with interrupts on, and stays so. */
static const char *
comes_once(unsigned vector)
{
    uint32_t before = ticks[vector];

    irq_on();
    wait_change(&ticks[vector], 0, SOON_MS);
    wait_ms(AGAIN_MS);
    irq_off();
    if (before)
        return "came with interrupts off";
    return ticks[vector] == 1 ? NULL : say("came %u times", ticks[vector]);
}

/* --- in the local APIC: an IPI to itself --- */

static const char *
prepare_ipi(void)
{
    on_vector(VECTOR_SELF, count_and_eoi);
    ticks[VECTOR_SELF] = 0;
    apic_send_self(VECTOR_SELF);
    return apic_bit(APIC_IRR, VECTOR_SELF) ? NULL : "IRR does not show it";
}

static const char *
check_ipi(void)
{
    bool pending = apic_bit(APIC_IRR, VECTOR_SELF);
    const char *wrong = comes_once(VECTOR_SELF);

    return pending ? wrong : "not in IRR any more";
}

PROPERTY(ipi_pending) = {
    .name = "ipi-pending",
    .flags = IRQS_OFF,
    .prepare = prepare_ipi,
    .check = check_ipi,
};

/* --- in the PIC --- */

static void
take_pic(Frame *frame)
{
    ticks[frame->vector]++;
    pic_eoi(0);
}

static const char *
prepare_pic(void)
{
    pic_init();
    on_vector(VECTOR_PIC, take_pic);
    ticks[VECTOR_PIC] = 0;
    apic_write(APIC_LVT_LINT0, LVT_EXTINT);
    pic_unmask(0);
    outb(0x43, 0x30); /* the PIT, once, after 1000 of its ticks */
    outb(0x40, 1000 & 0xff);
    outb(0x40, 1000 >> 8);
    wait_ms(20);
    return pic_pending() & 1 ? NULL : "IRR does not show it";
}

static const char *
check_pic(void)
{
    bool pending = pic_pending() & 1;
    const char *wrong = comes_once(VECTOR_PIC);

    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    pic_init();
    return pending ? wrong : "not in the PIC's IRR any more";
}

PROPERTY(pic_pending) = {
    .name = "pic-pending",
    .flags = IRQS_OFF,
    .prepare = prepare_pic,
    .check = check_pic,
};

/* --- through the IOAPIC, and its line stays high until the handler calms it: COM2,
 * which has room for output all the time --- */

enum { COM2_PIN = 3, IER = 1, IER_EMPTY = 2, IIR = 2, LSR = 5 };

static void
take_level(Frame *frame)
{
    outb(COM2 + IER, 0);
    count_and_eoi(frame);
}

static bool
raise_level(void)
{
    ticks[VECTOR_DEVICE] = 0;
    ioapic_route(COM2_PIN, IOAPIC_LEVEL | VECTOR_DEVICE);
    outb(COM2 + IER, IER_EMPTY);
    wait_ms(1);
    return apic_bit(APIC_IRR, VECTOR_DEVICE) &&
           (ioapic_entry(COM2_PIN) & IOAPIC_REMOTE_IRR);
}

/* A KVM in software may not keep ISR, and give it again at its EOI. */
static const char *
prepare_level(void)
{
    if (inb(COM2 + LSR) == 0xff)
        return "no COM2";
    on_vector(VECTOR_DEVICE, take_level);
    if (!raise_level())
        return "the line does not come through";
    if (comes_once(VECTOR_DEVICE))
        return "one level comes more than once here";
    return raise_level() ? NULL : "the line does not come through again";
}

/* A second time, since only an EOI that reaches the IOAPIC allows for it. */
static const char *
check_level(void)
{
    bool remote = ioapic_entry(COM2_PIN) & IOAPIC_REMOTE_IRR;
    const char *wrong = comes_once(VECTOR_DEVICE);

    if (!wrong && (ioapic_entry(COM2_PIN) & IOAPIC_REMOTE_IRR))
        wrong = "the IOAPIC knows nothing of its end";
    if (!wrong) {
        raise_level();
        wrong = comes_once(VECTOR_DEVICE) ? "it does not come a second time" : NULL;
    }
    outb(COM2 + IER, 0);
    ioapic_route(COM2_PIN, IOAPIC_MASKED);
    return remote ? wrong : "remote IRR is not set any more";
}

PROPERTY(ioapic_level) = {
    .name = "ioapic-level",
    .flags = IRQS_OFF,
    .prepare = prepare_level,
    .check = check_level,
};

/* --- asleep --- */

enum { SLEEP_MS = 200 };

static uint32_t sleeps;

static void
sleep_once(void)
{
    uint32_t before = ticks[VECTOR_TIMER];

    apic_timer(0, SLEEP_MS * UINT64_C(1000000));
    while (ticks[VECTOR_TIMER] == before) {
        irq_on_and_halt();
        irq_off();
    }
    sleeps++;
}

static const char *
prepare_halted(void)
{
    on_vector(VECTOR_TIMER, count_and_eoi);
    ticks[VECTOR_TIMER] = 0;
    sleeps = 0;
    return NULL;
}

static void
wait_halted(void)
{
    irq_off();
    do
        sleep_once();
    while (!host_says());
}

static const char *
check_halted(void)
{
    sleep_once();
    apic_timer_off();
    return sleeps == ticks[VECTOR_TIMER]
               ? NULL
               : say("%u times asleep, %u times woken", sleeps, ticks[VECTOR_TIMER]);
}

PROPERTY(halted) = {
    .name = "halted",
    .prepare = prepare_halted,
    .wait = wait_halted,
    .check = check_halted,
};

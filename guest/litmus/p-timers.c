/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Timers outside of the processor, all periodic: PIT, HPET, RTC. */
#include "litmus.h"

enum { PIT_HZ = 1193182, HZ = 100, RTC_HZ = 64 };
enum { PIT_CHANNEL0 = 0x40, PIT_CONTROL = 0x43, PIT_RATE = 0x34, PIT_ONCE = 0x30 };

static void
pit_start(void)
{
    outb(PIT_CONTROL, PIT_RATE);
    outb(PIT_CHANNEL0, (uint8_t)(PIT_HZ / HZ));
    outb(PIT_CHANNEL0, (uint8_t)(PIT_HZ / HZ >> 8));
}

/* In this mode it does nothing before it gets a count. */
static void
pit_stop(void)
{
    outb(PIT_CONTROL, PIT_ONCE);
}

/* --- PIT through the PIC --- */

static void
take_pic(Frame *frame)
{
    ticks[frame->vector]++;
    pic_eoi(0);
}

static const char *
prepare_pit_pic(void)
{
    pic_init();
    on_vector(VECTOR_PIC, take_pic);
    apic_write(APIC_LVT_LINT0, LVT_EXTINT);
    pic_unmask(0);
    pit_start();
    return NULL;
}

static const char *
check_pit_pic(void)
{
    const char *wrong = check_rate(VECTOR_PIC, HZ);

    pit_stop();
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    pic_init();
    return wrong;
}

PROPERTY(pit_pic) = {
    .name = "pit-pic",
    .prepare = prepare_pit_pic,
    .check = check_pit_pic,
};

/* --- PIT through the IOAPIC, where it is at pin 2 --- */

static const char *
prepare_pit_ioapic(void)
{
    on_vector(VECTOR_DEVICE, count_and_eoi);
    ioapic_route(2, VECTOR_DEVICE);
    pit_start();
    return NULL;
}

static const char *
check_pit_ioapic(void)
{
    const char *wrong = check_rate(VECTOR_DEVICE, HZ);

    pit_stop();
    ioapic_route(2, IOAPIC_MASKED);
    return wrong;
}

PROPERTY(pit_ioapic) = {
    .name = "pit-ioapic",
    .prepare = prepare_pit_ioapic,
    .check = check_pit_ioapic,
};

/* --- HPET (IA-PC HPET specification 1.0a) --- */

enum {
    HPET = 0xfed00000,
    HPET_ID = 0,
    HPET_PERIOD = 4,
    HPET_CONFIG = 0x10,
    HPET_COUNTER = 0xf0,
    HPET_T0 = 0x100,
    HPET_T0_ROUTES = 0x104,
    HPET_T0_COMPARATOR = 0x108
};
enum {
    HPET_ENABLE = 1,
    T_ENABLE = 1 << 2,
    T_PERIODIC = 1 << 3,
    T_SET = 1 << 6,
    T_ROUTE = 9,
    T_32BIT = 1 << 8
};

static unsigned hpet_pin;

static volatile uint32_t *
hpet(unsigned reg)
{
    return (volatile uint32_t *)(uintptr_t)(HPET + reg);
}

static const char *
prepare_hpet(void)
{
    uint32_t routes, period_fs = *hpet(HPET_PERIOD);

    if (*hpet(HPET_ID) >> 16 != 0x8086 || period_fs == 0)
        return "no HPET";
    routes = *hpet(HPET_T0_ROUTES) & ~3u;
    if (!routes)
        return "the HPET has no pin of the IOAPIC";
    hpet_pin = (unsigned)__builtin_ctz(routes);
    on_vector(VECTOR_DEVICE, count_and_eoi);
    ioapic_route(hpet_pin, VECTOR_DEVICE);
    *hpet(HPET_CONFIG) = 0;
    *hpet(HPET_COUNTER) = 0;
    *hpet(HPET_COUNTER + 4) = 0;
    *hpet(HPET_T0) = T_ENABLE | T_PERIODIC | T_SET | T_32BIT | hpet_pin << T_ROUTE;
    *hpet(HPET_T0_COMPARATOR) = (uint32_t)(UINT64_C(1000000000000000) / HZ / period_fs);
    *hpet(HPET_T0_COMPARATOR) = (uint32_t)(UINT64_C(1000000000000000) / HZ / period_fs);
    *hpet(HPET_CONFIG) = HPET_ENABLE;
    return NULL;
}

static const char *
check_hpet(void)
{
    const char *wrong = check_rate(VECTOR_DEVICE, HZ);

    *hpet(HPET_CONFIG) = 0;
    *hpet(HPET_T0) = 0;
    ioapic_route(hpet_pin, IOAPIC_MASKED);
    return wrong;
}

PROPERTY(hpet) = {
    .name = "hpet",
    .prepare = prepare_hpet,
    .check = check_hpet,
};

/* --- RTC --- */

enum { CMOS_INDEX = 0x70, CMOS_DATA = 0x71, REG_A = 0x0a, REG_B = 0x0b, REG_C = 0x0c };
enum { A_64HZ = 0x2a, B_PERIODIC = 0x40, RTC_PIN = 8 };

static uint8_t
cmos_read(uint8_t reg)
{
    outb(CMOS_INDEX, reg);
    return inb(CMOS_DATA);
}

static void
cmos_write(uint8_t reg, uint8_t value)
{
    outb(CMOS_INDEX, reg);
    outb(CMOS_DATA, value);
}

static void
take_rtc(Frame *frame)
{
    cmos_read(REG_C);
    count_and_eoi(frame);
}

static const char *
prepare_rtc(void)
{
    on_vector(VECTOR_DEVICE, take_rtc);
    ioapic_route(RTC_PIN, VECTOR_DEVICE);
    cmos_write(REG_A, A_64HZ);
    cmos_write(REG_B, cmos_read(REG_B) | B_PERIODIC);
    cmos_read(REG_C);
    return NULL;
}

static const char *
check_rtc(void)
{
    const char *wrong = check_rate(VECTOR_DEVICE, RTC_HZ);

    cmos_write(REG_B, cmos_read(REG_B) & ~B_PERIODIC);
    cmos_read(REG_C);
    ioapic_route(RTC_PIN, IOAPIC_MASKED);
    return wrong;
}

PROPERTY(rtc) = {
    .name = "rtc",
    .prepare = prepare_rtc,
    .check = check_rtc,
};

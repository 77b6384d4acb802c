/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The time of day that KVM tells goes with that of the CMOS clock (Linux
 * arch/x86/kernel/kvmclock.c:kvm_get_wallclock). Only with "pv" on the command line: it
 * takes kvm-clock for itself.
 */
#include "litmus.h"
#include "pv.h"

typedef struct {
    volatile uint32_t version, sec, nsec;
} WallClock;

typedef struct {
    volatile uint32_t version, pad0;
    volatile uint64_t tsc_timestamp, system_time;
    volatile uint32_t tsc_to_system_mul;
    volatile int8_t tsc_shift;
    volatile uint8_t flags, pad[2];
} PvClock;

enum {
    CLOCKSOURCE2 = 1 << 3,
    ENABLED = 1,
    CMOS_INDEX = 0x70,
    CMOS_DATA = 0x71,
    CMOS_STATUS_A = 0x0a,
    CMOS_UPDATING = 0x80,
    DAY = 86400,
    LIMIT = 2 /* seconds */
};
#define MSR_KVM_WALL_CLOCK_NEW 0x4b564d00u
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01u

static WallClock *const wall = (WallClock *)(PV_PAGES + PV_WALL);
static PvClock *const page = (PvClock *)(PV_PAGES + PV_CLOCK);

static uint8_t
cmos(uint8_t index)
{
    outb(CMOS_INDEX, index);
    return inb(CMOS_DATA);
}

static unsigned
from_bcd(uint8_t value)
{
    return value / 16 * 10 + value % 16;
}

/* Seconds since midnight. */
static unsigned
cmos_time(void)
{
    unsigned seconds, again;

    do {
        while (cmos(CMOS_STATUS_A) & CMOS_UPDATING)
            relax();
        seconds = from_bcd(cmos(0)) + 60 * from_bcd(cmos(2)) + 3600 * from_bcd(cmos(4));
        again = from_bcd(cmos(0));
    } while (seconds % 60 != again);
    return seconds;
}

static unsigned
wall_time(void)
{
    uint64_t delta, high, low;

    wrmsr(MSR_KVM_WALL_CLOCK_NEW, (uintptr_t)wall);
    delta = rdtsc() - page->tsc_timestamp;
    delta = page->tsc_shift < 0 ? delta >> -page->tsc_shift : delta << page->tsc_shift;
    __asm__("mulq %3"
            : "=a"(low), "=d"(high)
            : "a"(delta), "r"((uint64_t)page->tsc_to_system_mul));
    return (unsigned)((wall->sec +
                       (wall->nsec + page->system_time + (high << 32 | low >> 32)) /
                           1000000000) %
                      DAY);
}

static const char *
compare(void)
{
    unsigned by_wall = wall_time(), by_cmos = cmos_time();
    int late = (int)((by_cmos + DAY - by_wall) % DAY);

    if (late > LIMIT && late < DAY - LIMIT)
        return say("KVM's time is %u s, the CMOS clock's %u s", by_wall, by_cmos);
    return NULL;
}

static const char *
prepare(void)
{
    if (!option_flag("pv"))
        return "not asked for";
    if (!(machine.kvm_features & CLOCKSOURCE2))
        return "no kvm-clock";
    memset((void *)(uintptr_t)page, 0, sizeof(*page));
    memset((void *)(uintptr_t)wall, 0, sizeof(*wall));
    wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)page | ENABLED);
    return compare();
}

PROPERTY(pv_wall) = {
    .name = "pv-wall",
    .prepare = prepare,
    .check = compare,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM's paravirtual clock does not go back, and goes on with the TSC. Linux
 * arch/x86/include/asm/pvclock-abi.h, Documentation/virt/kvm/x86/msr.rst. */
#include "litmus.h"

typedef struct {
    volatile uint32_t version, pad0;
    volatile uint64_t tsc_timestamp, system_time;
    volatile uint32_t tsc_to_system_mul;
    volatile int8_t tsc_shift;
    volatile uint8_t flags, pad[2];
} PvClock;

enum { CLOCKSOURCE2 = 1 << 3, ENABLED = 1, LIMIT_US = 2000000 };
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01u

static PvClock page __attribute__((aligned(64)));
static bool registered;
static uint64_t begin_ns, begin_tsc, last, back;

static uint64_t
clock_ns(uint64_t tsc)
{
    uint64_t delta = tsc - page.tsc_timestamp, high, low;

    delta = page.tsc_shift < 0 ? delta >> -page.tsc_shift : delta << page.tsc_shift;
    __asm__("mulq %3"
            : "=a"(low), "=d"(high)
            : "a"(delta), "r"((uint64_t)page.tsc_to_system_mul));
    return page.system_time + (high << 32 | low >> 32);
}

static uint64_t
read_clock(uint64_t *ret_tsc)
{
    uint32_t version;
    uint64_t ns;

    do {
        version = page.version & ~1u;
        *ret_tsc = rdtsc();
        ns = clock_ns(*ret_tsc);
    } while (page.version != version);
    return ns;
}

static const char *
prepare(void)
{
    if (!(machine.kvm_features & CLOCKSOURCE2))
        return "no kvm-clock";
    if (!registered) {
        wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)&page | ENABLED);
        registered = true;
    }
    if (!page.version)
        return "KVM does not write the page";
    begin_ns = last = read_clock(&begin_tsc);
    back = 0;
    return NULL;
}

static void
work(void)
{
    uint64_t tsc, ns = read_clock(&tsc);

    if (ns < last && last - ns > back)
        back = last - ns;
    last = ns;
}

static const char *
check(void)
{
    uint64_t tsc, ns = read_clock(&tsc), msr;
    int64_t ahead = (int64_t)(ns - begin_ns) / 1000 -
                    (int64_t)((tsc - begin_tsc) / (tsc_khz / 1000));

    work();
    if (back)
        return say("went back by %lu ns", back);
    if (ahead > LIMIT_US || ahead < -LIMIT_US)
        return say("%ld us ahead of the TSC", ahead);
    if (try_rdmsr(MSR_KVM_SYSTEM_TIME_NEW, &msr) && msr != 0 &&
        msr != ((uintptr_t)&page | ENABLED))
        return say("its MSR is %lx", msr);
    return NULL;
}

PROPERTY(kvmclock) = {
    .name = "kvmclock",
    .flags = BACKGROUND,
    .prepare = prepare,
    .work = work,
    .check = check,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The TSC does not go back, and goes on with the machine's other clocks. */
#include "litmus.h"

/* What a switch may make them part: the TSC runs in KVM from when it is loaded (QEMU
 * target/i386/kvm/kvm.c:kvm_put_msrs), the others from when the guest goes on
 * (system/cpu-timers.c:cpu_enable_ticks), which a busy host may leave waiting. */
enum { LIMIT_US = 2000000 };

static Moment begin;
static uint64_t last, back;

static const char *
prepare(void)
{
    begin = now();
    last = begin.tsc;
    back = 0;
    return NULL;
}

static void
work(void)
{
    uint64_t tsc = rdtsc();

    if (tsc < last && last - tsc > back)
        back = last - tsc;
    last = tsc;
}

static const char *
check(void)
{
    Moment end;
    int64_t ahead;

    work();
    end = now();
    ahead = tsc_ahead_us(begin, end);
    if (back)
        return say("went back by %lu", back);
    if (ahead > LIMIT_US || ahead < -LIMIT_US)
        return say("%ld us ahead of the PM timer, TSC %lx to %lx", ahead, begin.tsc,
                   end.tsc);
    return NULL;
}

PROPERTY(tsc) = {
    .name = "tsc",
    .flags = BACKGROUND,
    .prepare = prepare,
    .work = work,
    .check = check,
};

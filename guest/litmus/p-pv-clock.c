/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks that the guest makes of its TSC by a page that KVM writes (Linux
 * arch/x86/include/asm/pvclock-abi.h), where TSCs are not one, or not the host's. Where
 * KVM cannot have such TSCs the guest fills the page as KVM would, and the test has the
 * stream say the rest. So only with "pv" on the command line.
 */
#include "litmus.h"
#include "pv.h"

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
    RATE_MS = 500,
    RATE_PERCENT = 5,
    JUMP_S = 3
};
#define MSR_TSC 0x10u
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01u
#define SECOND UINT64_C(1000000000)

static uint64_t clocks[MAX_VCPUS], last_ns;

static PvClock *
page_of(unsigned vcpu)
{
    return (PvClock *)(uintptr_t)(PV_PAGES + vcpu * PV_PAGE_SIZE + PV_CLOCK);
}

static uint64_t
clock_ns(const PvClock *page)
{
    uint64_t delta = rdtsc() - page->tsc_timestamp, high, low;

    delta = page->tsc_shift < 0 ? delta >> -page->tsc_shift : delta << page->tsc_shift;
    __asm__("mulq %3"
            : "=a"(low), "=d"(high)
            : "a"(delta), "r"((uint64_t)page->tsc_to_system_mul));
    return page->system_time + (high << 32 | low >> 32);
}

static void
look(void)
{
    const PvClock *page = page_of(this_vcpu());
    uint32_t version;

    do {
        version = page->version & ~1u;
        clocks[this_vcpu()] = clock_ns(page);
    } while (page->version != version);
}

/* Each of the others shows what the first one shows about then, to a second. */
static const char *
look_at_all(void)
{
    uint64_t before;

    look();
    before = clocks[0];
    if (!vcpus_call(look))
        return "a vCPU does not come";
    look();
    for (unsigned i = 1; i < machine.vcpus; i++)
        if (clocks[i] + SECOND < before || clocks[i] > clocks[0] + SECOND)
            return say("vCPU %u shows %lu ns, the first one %lu", i, clocks[i],
                       clocks[0]);
    return NULL;
}

/* The page as KVM writes it for a TSC of @khz that is at @tsc now. */
static void
fill(unsigned vcpu, uint64_t khz, uint64_t tsc)
{
    PvClock *page = page_of(vcpu);

    memset((void *)(uintptr_t)page, 0, sizeof(*page));
    page->tsc_to_system_mul = (uint32_t)((UINT64_C(1000000) << 32) / khz);
    page->system_time = 100 * SECOND;
    page->tsc_timestamp = tsc;
    page->version = 2;
}

/* --- the others' TSCs are ahead --- */

static void
enable(void)
{
    PvClock *page = page_of(this_vcpu());

    memset((void *)(uintptr_t)page, 0, sizeof(*page));
    wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)page | ENABLED);
}

static void
enable_ahead(void)
{
    wrmsr(MSR_TSC, rdtsc() + PV_TSC_AHEAD);
    enable();
}

/* A KVM in software has one TSC for all, too: there the stream has to say so. */
static const char *
prepare_vcpus(void)
{
    if (!option_flag("pv"))
        return "not asked for";
    if (machine.vcpus == 1)
        return "one vCPU";
    if ((machine.kvm_features & CLOCKSOURCE2) && !machine.slow) {
        enable();
        return vcpus_call(enable_ahead) ? look_at_all() : "a vCPU does not come";
    }
    for (unsigned i = 0; i < machine.vcpus; i++)
        fill(i, tsc_khz, rdtsc() + (i ? PV_TSC_AHEAD : 0));
    return NULL;
}

PROPERTY(pv_clock_vcpus) = {
    .name = "pv-clock-vcpus",
    .prepare = prepare_vcpus,
    .check = look_at_all,
};

/* --- KVM scales the TSC --- */

static const char *
prepare_frequency(void)
{
    if (!option_flag("pv"))
        return "not asked for";
    fill(0, tsc_khz * PV_TSC_PERCENT / 100, rdtsc());
    return NULL;
}

static void
work_frequency(void)
{
    look();
    last_ns = clocks[0];
}

static const char *
check_frequency(void)
{
    uint64_t ns, percent;
    Moment from, to;

    look();
    ns = clocks[0];
    if (ns < last_ns || ns - last_ns > JUMP_S * SECOND)
        return say("it showed %lu ns, and then %lu", last_ns, ns);
    from = now();
    wait_ms(RATE_MS);
    look();
    to = now();
    percent =
        (clocks[0] - ns) * PM_HZ / ((to.pm - from.pm) & 0xffffff) / (SECOND / 100);
    if (percent < 100 - RATE_PERCENT || percent > 100 + RATE_PERCENT)
        return say("it runs at %lu %% of its rate", percent);
    return NULL;
}

PROPERTY(pv_clock_frequency) = {
    .name = "pv-clock-frequency",
    .prepare = prepare_frequency,
    .work = work_frequency,
    .check = check_frequency,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLBs of other vCPUs are flushed as a Linux with kvm-pv-tlb-flush does it: that of one
 * which KVM says does not run is left to KVM (arch/x86/kernel/kvm.c:
 * kvm_flush_tlb_multi), the others are told. With "pv" on the command line also where
 * there is no KVM: then the guest says what KVM would, and the stream where.
 */
#include "litmus.h"
#include "pv.h"

enum { STEAL_TIME = 1 << 5, ENABLED = 1, PREEMPTED = 1, FLUSH_TLB = 2, SLOT = 40 };
#define MSR_KVM_STEAL_TIME 0x4b564d03u

typedef struct {
    uint64_t steal;
    uint32_t version, flags;
    uint8_t preempted, pad[47];
} StealTime;

static uint64_t pages[2][PAGE_SIZE / 8] __attribute__((aligned(PAGE_SIZE)));
static volatile uint64_t *window;
static uint64_t seen[MAX_VCPUS];

static StealTime *
steal_time(unsigned vcpu)
{
    return (StealTime *)(uintptr_t)(PV_PAGES + vcpu * PV_PAGE_SIZE + PV_STEAL);
}

static void
enable(void)
{
    StealTime *mine = steal_time(this_vcpu());

    memset(mine, 0, sizeof(*mine));
    if (!(machine.kvm_features & STEAL_TIME))
        mine->preempted = PREEMPTED; /* as KVM does where it can */
    wrmsr(MSR_KVM_STEAL_TIME, (uintptr_t)mine | ENABLED);
}

static void
look(void)
{
    seen[this_vcpu()] = *window;
}

static void
flush(void)
{
    flush_page(window);
}

/* Leave it to KVM if the vCPU does not run. */
static bool
left_to_kvm(unsigned vcpu)
{
    uint8_t *preempted = &steal_time(vcpu)->preempted;
    uint8_t state = __atomic_load_n(preempted, __ATOMIC_SEQ_CST);

    return (state & PREEMPTED) &&
           __atomic_compare_exchange_n(preempted, &state, state | FLUSH_TLB, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static const char *
prepare(void)
{
    if (!(machine.kvm_features & STEAL_TIME) && !option_flag("pv"))
        return "no steal time";
    if (machine.vcpus == 1)
        return "one vCPU";
    pages[0][0] = 1;
    pages[1][0] = 2;
    enable();
    return vcpus_call(enable) ? NULL : "a vCPU does not come";
}

static const char *
check(void)
{
    bool others = false;

    window = map_page(SLOT, pages[0], PAGE_WRITE);
    if (!vcpus_call(flush) || !vcpus_call(look))
        return "a vCPU does not come";
    map_page(SLOT, pages[1], PAGE_WRITE);
    for (unsigned i = 1; i < machine.vcpus; i++)
        others = !left_to_kvm(i) || others;
    if (others && !vcpus_call(flush))
        return "a vCPU does not come";
    if (!vcpus_call(look))
        return "a vCPU does not come";
    for (unsigned i = 1; i < machine.vcpus; i++)
        if (vcpus[i].online && seen[i] != 2)
            return say("vCPU %u has a stale translation", i);
    return NULL;
}

PROPERTY(pv_steal) = {
    .name = "pv-steal",
    .prepare = prepare,
    .check = check,
};

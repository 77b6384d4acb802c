/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who waits for a page that KVM fetches is woken when the guest has left KVM: by the
 * token ~0, of each vCPU (Linux Documentation/virt/kvm/x86/msr.rst,
 * MSR_KVM_ASYNC_PF_EN). In KVM it is, one by one.
 */
#include "litmus.h"
#include "pv.h"

enum {
    ASYNC_PF_INT = 1 << 14,
    ENABLED = 1,
    DELIVERY_AS_INT = 8,
    FIRST_MS = 3000,
    WAKE_MS = 10000
};
#define MSR_KVM_ASYNC_PF_EN 0x4b564d02u
#define MSR_KVM_ASYNC_PF_INT 0x4b564d06u
#define MSR_KVM_ASYNC_PF_ACK 0x4b564d07u

typedef struct {
    volatile uint32_t flags, token;
} Shared;

static volatile uint32_t woken[MAX_VCPUS];
static uint32_t before[MAX_VCPUS];

static Shared *
shared(unsigned vcpu)
{
    return (Shared *)(uintptr_t)(PV_PAGES + vcpu * PV_PAGE_SIZE + PV_APF);
}

static void
page_ready(Frame *frame)
{
    unsigned vcpu = this_vcpu();

    (void)frame;
    apic_eoi();
    if (shared(vcpu)->token == UINT32_MAX)
        woken[vcpu]++;
    shared(vcpu)->token = 0;
    wrmsr(MSR_KVM_ASYNC_PF_ACK, 1);
}

static void
enable(void)
{
    uintptr_t address = (uintptr_t)shared(this_vcpu());

    memset((void *)address, 0, 64);
    wrmsr(MSR_KVM_ASYNC_PF_INT, PV_VECTOR);
    wrmsr(MSR_KVM_ASYNC_PF_EN, address | ENABLED | DELIVERY_AS_INT);
}

/* Each vCPU gets one on arrival: not what is waited for. */
static const char *
prepare(void)
{
    if (!(machine.kvm_features & ASYNC_PF_INT))
        return "no asynchronous page faults";
    if (!in_kvm())
        return "not in KVM now";
    on_vector(PV_VECTOR, page_ready);
    enable();
    if (!vcpus_call(enable))
        return "a vCPU does not come";
    irq_on();
    for (unsigned i = 0; i < machine.vcpus; i++)
        if (i == 0 || vcpus[i].online)
            wait_change(&woken[i], before[i], FIRST_MS);
    irq_off();
    for (unsigned i = 0; i < machine.vcpus; i++)
        before[i] = woken[i];
    return NULL;
}

static const char *
check(void)
{
    if (in_kvm())
        return NULL;
    irq_on();
    for (unsigned i = 0; i < machine.vcpus; i++)
        if ((i == 0 || vcpus[i].online) && !wait_change(&woken[i], before[i], WAKE_MS))
            return say("nobody wakes tasks of vCPU %u", i);
    return NULL;
}

PROPERTY(pv_apf) = {
    .name = "pv-apf",
    .prepare = prepare,
    .check = check,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other vCPUs: started, given something to do, and what they do then. */
#include "litmus.h"

enum { TRAMPOLINE = 0x8000, START_MS = 1000, TRIES = 10 };

extern const char ap_trampoline[], ap_trampoline_end[];
extern uint8_t cpu_stacks[MAX_VCPUS][STACK_SIZE];

Vcpu vcpus[MAX_VCPUS];
uint32_t ap_stack;

void
vcpu_init(unsigned vcpu)
{
    apic_send(vcpu, ICR_INIT);
    wait_ms(10);
}

bool
vcpu_sipi(unsigned vcpu)
{
    uint32_t before = vcpus[vcpu].online;

    memcpy((void *)TRAMPOLINE, ap_trampoline,
           (size_t)(ap_trampoline_end - ap_trampoline));
    ap_stack = (uint32_t)(uintptr_t)cpu_stacks[vcpu + 1];
    vcpus[vcpu].job = JOB_BUSY;
    vcpus[vcpu].guard_stack = 0;
    for (int i = 0; i < TRIES; i++) {
        apic_send(vcpu, ICR_STARTUP | TRAMPOLINE / PAGE_SIZE);
        if (wait_change(&vcpus[vcpu].online, before, START_MS))
            return true;
    }
    return false;
}

bool
vcpu_start(unsigned vcpu)
{
    vcpu_init(vcpu);
    return vcpu_sipi(vcpu);
}

void
vcpu_job(unsigned vcpu, Job job)
{
    vcpus[vcpu].job = job;
    if (vcpus[vcpu].online)
        apic_send(vcpu, VECTOR_IPI); /* it may sleep */
}

bool
vcpus_call(void (*call)(void))
{
    for (unsigned i = 1; i < machine.vcpus; i++) {
        uint32_t before = vcpus[i].calls;

        if (!vcpus[i].online)
            continue;
        vcpus[i].call = call;
        vcpu_job(i, JOB_CALL);
        if (!wait_change(&vcpus[i].calls, before, START_MS * TRIES))
            return false;
    }
    return true;
}

/* Asked with interrupts off, so that the IPI that tells of a new job is not missed. */
static void
sleep_if_told(Vcpu *vcpu)
{
    irq_off();
    if (vcpu->job == JOB_SLEEP) {
        irq_on_and_halt();
        vcpu->wakes++;
    }
    irq_on();
}

static void
do_call(Vcpu *vcpu)
{
    vcpu->call();
    vcpu->job = JOB_BUSY;
    vcpu->calls++;
}

void ap_main(void);

void
ap_main(void)
{
    unsigned number = this_vcpu();
    Vcpu *vcpu = &vcpus[number];

    cpu_setup();
    cpu_enable();
    if (x2apic)
        apic_enter_x2apic();
    apic_init();
    vcpu->online++;
    for (;;) {
        irq_on();
        switch (vcpu->job) {
        case JOB_SLEEP:
            sleep_if_told(vcpu);
            break;
        case JOB_CALL:
            do_call(vcpu);
            break;
        case JOB_STILL:
            irq_off();
            halt();
            break;
        default:
            vcpu_step(number);
        }
    }
}

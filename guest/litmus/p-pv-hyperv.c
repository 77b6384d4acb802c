/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Hyper-V hypercall that the hypervisor does not know is answered. With "pv" on the
 * command line also where there is no Hyper-V: the guest puts into the page what KVM
 * would (Linux arch/x86/kvm/hyperv.c:kvm_hv_set_msr_pw), and the stream says that it
 * has.
 */
#include "litmus.h"
#include "pv.h"

enum { INVALID_CODE = 2, KEPT = 0x1234, ENABLED = 1 };
#define HV_X64_MSR_GUEST_OS_ID 0x40000000u
#define HV_X64_MSR_HYPERCALL 0x40000001u

typedef struct {
    uint64_t rax, rdx;
} Answer;

static const char *
prepare(void)
{
    static const uint8_t vmcall_ret[] = { 0x0f, 0x01, 0xc1, 0xc3 };

    memset((void *)PV_HYPERCALL_PAGE, 0, PAGE_SIZE);
    if (same(machine.hypervisor, "Microsoft Hv")) {
        wrmsr(HV_X64_MSR_GUEST_OS_ID, UINT64_C(0x8100) << 48);
        wrmsr(HV_X64_MSR_HYPERCALL, PV_HYPERCALL_PAGE | ENABLED);
        return NULL;
    }
    if (!option_flag("pv"))
        return "no Hyper-V";
    memcpy((void *)PV_HYPERCALL_PAGE, vmcall_ret, sizeof(vmcall_ret));
    return NULL;
}

static void
call(void *data)
{
    Answer *answer = data;
    uint64_t rax = 0, rdx = KEPT;

    __asm__ volatile("call *%2"
                     : "+a"(rax), "+d"(rdx)
                     : "r"((uintptr_t)PV_HYPERCALL_PAGE), "c"(UINT64_C(0x7777))
                     : "r8", "r9", "r10", "r11", "memory", "cc");
    *answer = (Answer){ rax, rdx };
}

/* Behind KVM's instruction, as a vCPU stands that was stopped there. */
static void
finish_call(void *data)
{
    (void)data;
    __asm__ volatile("call *%0" : : "r"((uintptr_t)PV_HYPERCALL_PAGE + 3) : "memory");
}

static const char *
check(void)
{
    Answer answer = { 0 };
    int vector = guarded(call, &answer, NULL, NULL);

    if (vector >= 0)
        return say("exception %d", vector);
    if (answer.rax != INVALID_CODE || answer.rdx != KEPT)
        return say("rax=%lx rdx=%lx", answer.rax, answer.rdx);
    vector = guarded(finish_call, NULL, NULL, NULL);
    return vector >= 0 ? say("exception %d at the end of a call", vector) : NULL;
}

PROPERTY(pv_hyperv) = {
    .name = "pv-hyperv",
    .prepare = prepare,
    .check = check,
};

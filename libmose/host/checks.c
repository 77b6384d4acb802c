/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probes of instructions and exceptions, and the table of all. The probes
 * of time are in checks-time.c.
 *
 * Everything here runs in a forked child: see host/probe.h for what it may use.
 */
#include "host/checks.h"

#include <stdio.h>
#include <string.h>

#include "host/checks-time.h"
#include "host/guest.h"
#include "host/vm.h"

#define CPUID_1_ECX_CX16 (1u << 13)
#define CPUID_1_ECX_SSE4_2 (1u << 20)
#define CPUID_1_ECX_XSAVE (1u << 26)
#define CPUID_1_ECX_OSXSAVE (1u << 27)
#define CPUID_1_ECX_AVX (1u << 28)
#define XCR0_X87_SSE 3u
#define XCR0_X87_SSE_AVX 7u

#define MADE_UP_LEAF 0x40000100u
#define MADE_UP_EBX 0x65736f6du
#define MADE_UP_ECX 0x2d757063u

/* One machine a child, too large for a stack of unknown size. */
static MoseVm vm;

static uint64_t
value(unsigned n)
{
    return *mose_guest_word(vm.ram, GUEST_VALUES + 8 * n);
}

static uint64_t
word(unsigned offset)
{
    return *mose_guest_word(vm.ram, offset);
}

/* Compare what the guest found with what a processor does. */
static bool
expect(MoseProbeOutcome *ret, const char *what, uint64_t got, uint64_t wanted)
{
    if (got == wanted)
        return true;
    mose_probe_fail(ret, "%s is 0x%llx, not 0x%llx", what, (unsigned long long)got,
                    (unsigned long long)wanted);
    return false;
}

static bool
create(const void *data, MoseProbeOutcome *ret)
{
    if (mose_vm_create(&vm, *(const int *)data, false))
        return true;
    mose_probe_fail(ret, "%s", vm.error);
    return false;
}

static bool
run(const uint8_t *entry, MoseProbeOutcome *ret)
{
    if (mose_vm_start(&vm, entry) && mose_vm_run(&vm))
        return true;
    mose_probe_fail(ret, "%s", vm.error);
    return false;
}

static bool
create_and_run(const void *data, const uint8_t *entry, MoseProbeOutcome *ret)
{
    return create(data, ret) && run(entry, ret);
}

static uint32_t
offered_1_ecx(void)
{
    const struct kvm_cpuid_entry2 *leaf = mose_vm_cpuid(&vm, 1, 0);

    return leaf != NULL ? leaf->ecx : 0;
}

static void
check_ring0(const void *data, MoseProbeOutcome *ret)
{
    if (create_and_run(data, mose_guest_start, ret))
        expect(ret, "the guest's mark", value(0), GUEST_MAGIC);
}

static void
check_syscall(const void *data, MoseProbeOutcome *ret)
{
    const uint64_t back = mose_guest_user_address(mose_guest_syscall_return);

    if (!create_and_run(data, mose_guest_syscall, ret))
        return;
    (void)(expect(ret, "RCX after syscall", value(0), back) &&
           expect(ret, "DF in R11 after syscall", value(1) & 0x400, 0x400) &&
           expect(ret, "CS after syscall", value(2) & 0xffff, GUEST_KERNEL_CS) &&
           expect(ret, "DF after syscall", value(3) & 0x400, 0) &&
           expect(ret, "CS after sysret", value(4) & 0xffff, GUEST_USER_CS) &&
           expect(ret, "SS after sysret", value(5) & 0xffff, GUEST_USER_DS));
}

static void
check_int(const void *data, MoseProbeOutcome *ret)
{
    if (!create_and_run(data, mose_guest_int, ret))
        return;
    (void)(expect(ret, "the mark after iretq", value(0), GUEST_MAGIC) &&
           expect(ret, "the number of interrupts", word(GUEST_TRAPS), 2) &&
           expect(ret, "the vector", word(GUEST_TRAP_VECTOR), GUEST_VECTOR_USER) &&
           expect(ret, "the saved CS", word(GUEST_TRAP_CS), GUEST_USER_CS));
}

static void
check_exception(const void *data, MoseProbeOutcome *ret)
{
    if (!create_and_run(data, mose_guest_exception, ret))
        return;
    (void)(expect(ret, "the vector of ud2", value(0), 6) &&
           expect(ret, "the saved CS of ud2", value(1), GUEST_USER_CS) &&
           expect(ret, "the vector of cli", word(GUEST_TRAP_VECTOR), 13) &&
           expect(ret, "the saved CS of cli", word(GUEST_TRAP_CS), GUEST_USER_CS));
}

static void
check_page_fault(const void *data, MoseProbeOutcome *ret)
{
    if (!create_and_run(data, mose_guest_page_fault, ret))
        return;
    (void)(expect(ret, "the page read after its fault", value(0), GUEST_MAGIC) &&
           expect(ret, "the error code of the read", value(1) & 7, 4) &&
           expect(ret, "CR2 of the read", value(2), GUEST_DEMAND) &&
           expect(ret, "the vector of the write", word(GUEST_TRAP_VECTOR), 14) &&
           expect(ret, "the error code of the write", word(GUEST_TRAP_ERROR) & 7, 7) &&
           expect(ret, "CR2 of the write", word(GUEST_TRAP_CR2), GUEST_READONLY));
}

static void
check_cmpxchg16b(const void *data, MoseProbeOutcome *ret)
{
    if (!create(data, ret))
        return;
    if (!(offered_1_ecx() & CPUID_1_ECX_CX16)) {
        mose_probe_skip(ret, "not offered by this KVM");
        return;
    }
    if (!run(mose_guest_cmpxchg16b, ret))
        return;
    (void)(expect(ret, "ZF of the first", value(0), 1) &&
           expect(ret, "ZF of the second", value(1), 0) &&
           expect(ret, "RAX of the second", value(2), 0x3333) &&
           expect(ret, "RDX of the second", value(3), 0x4444));
}

static void
check_xsave(const void *data, MoseProbeOutcome *ret)
{
    bool avx;

    if (!create(data, ret))
        return;
    if (!(offered_1_ecx() & CPUID_1_ECX_XSAVE)) {
        mose_probe_skip(ret, "not offered by this KVM");
        return;
    }
    avx = offered_1_ecx() & CPUID_1_ECX_AVX;
    *mose_guest_word(vm.ram, GUEST_ARGUMENT) = avx ? XCR0_X87_SSE_AVX : XCR0_X87_SSE;
    if (!run(mose_guest_xsave, ret))
        return;
    if (!expect(ret, "x87 state after xrstor", value(0), 1))
        return;
    if (memcmp(vm.ram + GUEST_DATA + GUEST_BUFFER, vm.ram + GUEST_DATA + GUEST_PATTERN,
               avx ? 32 : 16) != 0)
        mose_probe_fail(ret, "%s state is lost between xsave and xrstor",
                        avx ? "AVX" : "SSE");
    else
        snprintf(ret->detail, sizeof ret->detail, "x87, SSE%s", avx ? ", AVX" : "");
}

static void
check_int3(const void *data, MoseProbeOutcome *ret)
{
    if (!create_and_run(data, mose_guest_int3, ret))
        return;
    (void)(expect(ret, "the mark after int3", value(0), GUEST_MAGIC) &&
           expect(ret, "the number of exceptions", word(GUEST_TRAPS), 1) &&
           expect(ret, "the vector", word(GUEST_TRAP_VECTOR), 3));
}

static void
check_x87(const void *data, MoseProbeOutcome *ret)
{
    if (create_and_run(data, mose_guest_x87, ret))
        expect(ret, "1 + 1", value(0), 2);
}

static void
check_swapgs(const void *data, MoseProbeOutcome *ret)
{
    uint64_t pattern;

    if (!create_and_run(data, mose_guest_swapgs, ret))
        return;
    memcpy(&pattern, vm.ram + GUEST_DATA + GUEST_PATTERN, sizeof pattern);
    (void)(expect(ret, "the word at GS:0", value(0), pattern) &&
           expect(ret, "GS_BASE", value(1), GUEST_DATA + GUEST_PATTERN) &&
           expect(ret, "KERNEL_GS_BASE", value(2), GUEST_DATA + GUEST_BUFFER));
}

/* Take a feature away, add a leaf that no processor has. */
static bool
change_cpuid(MoseProbeOutcome *ret)
{
    struct kvm_cpuid2 *cpuid = vm.cpuid;
    struct kvm_cpuid_entry2 *leaf = mose_vm_cpuid(&vm, 1, 0);

    if (leaf == NULL || cpuid->nent >= MOSE_VM_MAX_CPUID) {
        mose_probe_fail(ret, "KVM_GET_SUPPORTED_CPUID gives no leaf 1");
        return false;
    }
    leaf->eax ^= 0xf; /* the stepping */
    leaf->ecx &= ~CPUID_1_ECX_SSE4_2;
    cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){ .function = MADE_UP_LEAF,
                                                               .ebx = MADE_UP_EBX,
                                                               .ecx = MADE_UP_ECX };
    return true;
}

/* What the guest read of it, in ring @ring, from value @first on. */
static bool
judge_cpuid(MoseProbeOutcome *ret, unsigned ring, unsigned first)
{
    const struct kvm_cpuid_entry2 *leaf = mose_vm_cpuid(&vm, 1, 0);

    if (value(first) == leaf->eax && !(value(first + 2) & CPUID_1_ECX_SSE4_2) &&
        value(first + 4) == MADE_UP_EBX && value(first + 5) == MADE_UP_ECX)
        return true;
    mose_probe_fail(ret,
                    "ring %u sees another CPUID than was set (leaf 1: eax 0x%x for "
                    "0x%x, ecx 0x%x for 0x%x; made-up leaf %s)",
                    ring, (unsigned)value(first), leaf->eax, (unsigned)value(first + 2),
                    leaf->ecx, value(first + 4) == MADE_UP_EBX ? "seen" : "not seen");
    return false;
}

static void
check_cpuid(const void *data, MoseProbeOutcome *ret)
{
    if (!create(data, ret) || !change_cpuid(ret) || !run(mose_guest_cpuid, ret))
        return;
    if (!judge_cpuid(ret, 0, 0))
        return;
    if (!mose_vm_run(&vm)) {
        mose_probe_fail(ret, "ring 3: %s", vm.error);
        return;
    }
    judge_cpuid(ret, 3, 6);
}

static void
check_lapic(const void *data, MoseProbeOutcome *ret)
{
    if (!mose_vm_create(&vm, *(const int *)data, true)) {
        mose_probe_fail(ret, "%s", vm.error);
        return;
    }
    if (!run(mose_guest_lapic, ret))
        return;
    (void)(expect(ret, "the number of IPIs", word(GUEST_IPIS), 1) &&
           expect(ret, "the number of timer interrupts", word(GUEST_TIMERS), 1));
}

const MoseProbe mose_kvm_checks[] = {
    { "ring0", "64-bit ring-0 code runs", check_ring0 },
    { "speed", "ring-0 code runs at native speed", mose_check_speed },
    { "paging", "page tables can be changed at a bearable cost", mose_check_paging },
    { "syscall", "ring 3 reaches the kernel by syscall, and sysret returns",
      check_syscall },
    { "int", "ring 3 reaches the kernel by int, and iretq returns", check_int },
    { "exception", "exceptions of ring 3 are delivered", check_exception },
    { "page-fault", "page faults of ring 3 are delivered and can be resolved",
      check_page_fault },
    { "int3", "a breakpoint instruction in ring 0 is delivered", check_int3 },
    { "swapgs", "GS bases and swapgs work", check_swapgs },
    { "cmpxchg16b", "cmpxchg16b works in ring 0", check_cmpxchg16b },
    { "x87", "x87 instructions work in ring 0", check_x87 },
    { "xsave", "xsave and xrstor work in ring 0", check_xsave },
    { "cpuid", "the guest sees the CPUID that was set", check_cpuid },
    { "tsc", "the guest's TSC can be set, is monotonic and has its rate",
      mose_check_tsc },
    { "clock", "the kvm-clock can be set and goes on", mose_check_clock },
    { "lapic", "the in-kernel APIC delivers an IPI and a timer out of hlt",
      check_lapic },
};
const gsize mose_kvm_n_checks = G_N_ELEMENTS(mose_kvm_checks);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest can ask its machine for, and gets the same answer: the IOAPIC's version,
 * KVM's halt polling. */
#include "litmus.h"

/* --- IOAPIC --- */

enum { IOAPIC = 0xfec00000, IOWIN = 0x10, VERSION = 1 };

static uint32_t version;

static uint32_t
ask_version(void)
{
    *(volatile uint32_t *)(uintptr_t)IOAPIC = VERSION;
    return *(volatile uint32_t *)((uintptr_t)IOAPIC + IOWIN);
}

static const char *
prepare_version(void)
{
    version = ask_version();
    return NULL;
}

static const char *
check_version(void)
{
    uint32_t is = ask_version();

    return is == version ? NULL : say("%x, not %x", is, version);
}

PROPERTY(ioapic_version) = {
    .name = "ioapic-version",
    .prepare = prepare_version,
    .check = check_version,
};

/* --- halt polling (Linux Documentation/virt/kvm/x86/msr.rst) --- */

enum { HYPERVISOR_LEAF = 0x40000000 };
#define KVM_SIGNATURE 0x4b4d564bu /* "KVMK" */
enum { MSR_KVM_POLL_CONTROL = 0x4b564d05, FEATURE_POLL_CONTROL = 1 << 12 };

static uint64_t polls;

static const char *
prepare_poll(void)
{
    if (cpuid(HYPERVISOR_LEAF, 0).ebx != KVM_SIGNATURE ||
        !(machine.kvm_features & FEATURE_POLL_CONTROL) ||
        !try_rdmsr(MSR_KVM_POLL_CONTROL, &polls))
        return "no MSR of halt polling";
    return NULL;
}

static const char *
check_poll(void)
{
    uint64_t is;

    /* In the emulator there is nothing to poll. */
    if (!same(machine.hypervisor, "KVMKVMKVM") || !try_rdmsr(MSR_KVM_POLL_CONTROL, &is))
        return NULL;
    return is == polls ? NULL : say("%lx, not %lx", is, polls);
}

PROPERTY(poll_control) = {
    .name = "poll-control",
    .prepare = prepare_poll,
    .check = check_poll,
};

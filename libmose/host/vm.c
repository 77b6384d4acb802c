/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Creates the probing virtual machine, sets its registers, runs it, and says in
 * words why it stopped.
 */
#include "host/vm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "host/guest.h"

/* Three pages and one that KVM for Intel wants below 4 GB and away from memory
 * (KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR); unused elsewhere. */
#define TSS_ADDRESS 0xfffbd000u
#define IDENTITY_MAP_ADDRESS 0xfffbc000u

#define CR0_BITS 0x80010033u  /* PG WP NE ET MP PE */
#define CR4_BITS 0x00000620u  /* OSXMMEXCPT OSFXSR PAE */
#define EFER_BITS 0x00000501u /* LMA LME SCE */

static bool
fail(MoseVm *vm, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(vm->error, sizeof vm->error, format, args);
    va_end(args);
    return false;
}

static bool
fail_ioctl(MoseVm *vm, const char *name)
{
    return fail(vm, "%s: %s", name, strerror(errno));
}

static bool
has(MoseVm *vm, long capability)
{
    return ioctl(vm->kvm, KVM_CHECK_EXTENSION, capability) > 0;
}

static bool
set_intel_pages(MoseVm *vm)
{
    uint64_t identity = IDENTITY_MAP_ADDRESS;

    if (has(vm, KVM_CAP_SET_IDENTITY_MAP_ADDR) &&
        ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
        return fail_ioctl(vm, "KVM_SET_IDENTITY_MAP_ADDR");
    if (has(vm, KVM_CAP_SET_TSS_ADDR) &&
        ioctl(vm->fd, KVM_SET_TSS_ADDR, (unsigned long)TSS_ADDRESS) < 0)
        return fail_ioctl(vm, "KVM_SET_TSS_ADDR");
    return true;
}

static bool
add_memory(MoseVm *vm)
{
    struct kvm_userspace_memory_region region = { .memory_size = GUEST_RAM_SIZE };

    vm->ram = mmap(NULL, GUEST_RAM_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (vm->ram == MAP_FAILED)
        return fail_ioctl(vm, "mmap of guest memory");
    mose_guest_build(vm->ram);
    region.userspace_addr = (uintptr_t)vm->ram;
    if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return fail_ioctl(vm, "KVM_SET_USER_MEMORY_REGION");
    return true;
}

bool
mose_vm_create(MoseVm *vm, int kvm, bool irqchip)
{
    memset(vm, 0, sizeof *vm);
    vm->kvm = kvm;
    do
        vm->fd = ioctl(kvm, KVM_CREATE_VM, 0ul);
    while (vm->fd < 0 && errno == EINTR);
    if (vm->fd < 0)
        return fail_ioctl(vm, "KVM_CREATE_VM");
    vm->cpuid = (struct kvm_cpuid2 *)vm->cpuid_space;
    vm->cpuid->nent = MOSE_VM_MAX_CPUID;
    if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, vm->cpuid) < 0)
        return fail_ioctl(vm, "KVM_GET_SUPPORTED_CPUID");
    if (!set_intel_pages(vm) || !add_memory(vm))
        return false;
    if (irqchip && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0ul) < 0)
        return fail_ioctl(vm, "KVM_CREATE_IRQCHIP");
    return true;
}

struct kvm_cpuid_entry2 *
mose_vm_cpuid(MoseVm *vm, uint32_t function, uint32_t index)
{
    struct kvm_cpuid2 *cpuid = vm->cpuid;

    for (uint32_t i = 0; i < cpuid->nent; i++) {
        struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

        if (entry->function != function)
            continue;
        if (!(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || entry->index == index)
            return entry;
    }
    return NULL;
}

/* Accessed code and data segments: type 11 and 3, S, present, 4 KB granular. */
static struct kvm_segment
segment(uint16_t selector, uint8_t type)
{
    bool code = type == 11;

    return (struct kvm_segment){ .selector = selector,
                                 .limit = 0xffffffff,
                                 .type = type,
                                 .present = 1,
                                 .s = 1,
                                 .g = 1,
                                 .l = code,
                                 .db = !code };
}

static void
set_segments(struct kvm_sregs *sregs)
{
    const struct kvm_segment data = segment(GUEST_KERNEL_DS, 3);

    sregs->cs = segment(GUEST_KERNEL_CS, 11);
    sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
    sregs->tr = (struct kvm_segment){ .selector = GUEST_TSS_SELECTOR,
                                      .base = GUEST_TSS,
                                      .limit = 0x67,
                                      .type = 11, /* a busy 64-bit TSS */
                                      .present = 1 };
    sregs->ldt = (struct kvm_segment){ .type = 2, .unusable = 1 };
    sregs->gdt =
        (struct kvm_dtable){ .base = GUEST_GDT, .limit = GUEST_TSS_SELECTOR + 15 };
    sregs->idt = (struct kvm_dtable){ .base = GUEST_IDT, .limit = 0xfff };
}

static bool
set_registers(MoseVm *vm, uint64_t rip)
{
    struct kvm_regs regs = { .rip = rip, .rsp = GUEST_KERNEL_STACK, .rflags = 2 };
    struct kvm_sregs sregs;

    if (ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) < 0)
        return fail_ioctl(vm, "KVM_GET_SREGS");
    set_segments(&sregs);
    sregs.cr0 = CR0_BITS;
    sregs.cr3 = GUEST_PML4;
    sregs.cr4 = CR4_BITS;
    sregs.efer = EFER_BITS;
    if (ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) < 0)
        return fail_ioctl(vm, "KVM_SET_SREGS");
    if (ioctl(vm->vcpu, KVM_SET_REGS, &regs) < 0)
        return fail_ioctl(vm, "KVM_SET_REGS");
    return true;
}

bool
mose_vm_start(MoseVm *vm, const uint8_t *entry)
{
    int size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0ul);

    vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0ul);
    if (vm->vcpu < 0)
        return fail_ioctl(vm, "KVM_CREATE_VCPU");
    if (size < (int)sizeof *vm->run)
        return fail_ioctl(vm, "KVM_GET_VCPU_MMAP_SIZE");
    vm->run_size = (size_t)size;
    vm->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
    if (vm->run == MAP_FAILED)
        return fail_ioctl(vm, "mmap of the vCPU");
    /* First CPUID: it decides which control register bits are reserved. */
    if (ioctl(vm->vcpu, KVM_SET_CPUID2, vm->cpuid) < 0)
        return fail_ioctl(vm, "KVM_SET_CPUID2");
    return set_registers(vm, mose_guest_kernel_address(entry));
}

/* " at RIP ..., bytes ..." of the instruction where the vCPU stands. */
static void
describe_rip(MoseVm *vm, char *text, size_t size)
{
    struct kvm_regs regs;
    int len;

    text[0] = '\0';
    if (ioctl(vm->vcpu, KVM_GET_REGS, &regs) < 0)
        return;
    len = snprintf(text, size, " at RIP 0x%llx", regs.rip);
    if (regs.rip >= GUEST_RAM_SIZE - 4 || len < 0 || (size_t)len >= size)
        return;
    snprintf(text + len, size - (size_t)len, ", bytes %02x %02x %02x %02x",
             vm->ram[regs.rip], vm->ram[regs.rip + 1], vm->ram[regs.rip + 2],
             vm->ram[regs.rip + 3]);
}

static bool
fail_trap(MoseVm *vm)
{
    uint64_t cs = *mose_guest_word(vm->ram, GUEST_TRAP_CS);

    return fail(vm, "unexpected exception %d (error code 0x%x) at RIP 0x%llx, ring %d",
                (int)*mose_guest_word(vm->ram, GUEST_TRAP_VECTOR),
                (unsigned)*mose_guest_word(vm->ram, GUEST_TRAP_ERROR),
                (unsigned long long)*mose_guest_word(vm->ram, GUEST_TRAP_RIP),
                (int)(cs & 3));
}

static bool
fail_internal(MoseVm *vm, const char *where)
{
    uint32_t suberror = vm->run->internal.suberror;
    const char *what = "internal error";

    if (suberror == KVM_INTERNAL_ERROR_EMULATION)
        what = "KVM cannot emulate the instruction";
    else if (suberror == KVM_INTERNAL_ERROR_DELIVERY_EV)
        what = "KVM cannot deliver an event";
    return fail(vm, "%s (KVM_EXIT_INTERNAL_ERROR %u)%s", what, suberror, where);
}

static bool
explain_exit(MoseVm *vm)
{
    struct kvm_run *run = vm->run;
    char where[96];

    describe_rip(vm, where, sizeof where);
    switch (run->exit_reason) {
    case KVM_EXIT_INTERNAL_ERROR:
        return fail_internal(vm, where);
    case KVM_EXIT_FAIL_ENTRY:
        return fail(vm, "the processor refuses to enter the guest, reason 0x%llx%s",
                    run->fail_entry.hardware_entry_failure_reason, where);
    case KVM_EXIT_SHUTDOWN:
        return fail(vm, "triple fault%s", where);
    case KVM_EXIT_HLT:
        return fail(vm, "the guest halted%s", where);
    default:
        return fail(vm, "unexpected exit %u%s", run->exit_reason, where);
    }
}

bool
mose_vm_run(MoseVm *vm)
{
    struct kvm_run *run = vm->run;
    int rc;

    do
        rc = ioctl(vm->vcpu, KVM_RUN, 0ul);
    while (rc < 0 && (errno == EINTR || errno == EAGAIN));
    if (rc < 0)
        return fail_ioctl(vm, "KVM_RUN");
    if (run->exit_reason == KVM_EXIT_IO && run->io.port == GUEST_PORT_DONE)
        return true;
    if (run->exit_reason == KVM_EXIT_IO && run->io.port == GUEST_PORT_TRAP)
        return fail_trap(vm);
    return explain_exit(vm);
}

/* KVM_SET_MSRS or KVM_GET_MSRS of one register. */
static bool
one_msr(MoseVm *vm, unsigned long request, uint32_t msr, uint64_t *value)
{
    uint64_t space[(sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)) /
                   sizeof(uint64_t)] = { 0 };
    struct kvm_msrs *msrs = (struct kvm_msrs *)space;

    msrs->nmsrs = 1;
    msrs->entries[0].index = msr;
    msrs->entries[0].data = *value;
    if (ioctl(vm->vcpu, request, msrs) != 1)
        return fail(vm, "KVM does not give access to MSR 0x%x", msr);
    *value = msrs->entries[0].data;
    return true;
}

bool
mose_vm_set_msr(MoseVm *vm, uint32_t msr, uint64_t value)
{
    return one_msr(vm, KVM_SET_MSRS, msr, &value);
}

bool
mose_vm_get_msr(MoseVm *vm, uint32_t msr, uint64_t *ret)
{
    *ret = 0;
    return one_msr(vm, KVM_GET_MSRS, msr, ret);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual machine of MOSE's own on the plain KVM API: one vCPU that starts in
 * 64-bit ring 0 inside the probing guest (host/guest.h). It emulates no device.
 *
 * It runs in a forked child: no GLib, no heap, errors as text in the struct.
 * Facts: Documentation/virt/kvm/api.rst (Linux 6.12); Intel SDM 3C, 27.3.1
 * "Checks on the Guest State Area" for what a VM entry accepts.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOSE_VM_MAX_CPUID 256

typedef struct {
    int kvm; /* of the caller */
    int fd;
    int vcpu;
    uint8_t *ram; /* GUEST_RAM_SIZE bytes */
    struct kvm_run *run;
    size_t run_size;
    struct kvm_cpuid2 *cpuid; /* in the next member */
    uint64_t cpuid_space[(sizeof(struct kvm_cpuid2) +
                          MOSE_VM_MAX_CPUID * sizeof(struct kvm_cpuid_entry2)) /
                         sizeof(uint64_t)];
    char error[192]; /* why the last call failed */
} MoseVm;

/* Create the machine with its memory, and read KVM_GET_SUPPORTED_CPUID into
 * vm->cpuid, where the caller may change it. @irqchip: with an in-kernel one. */
bool mose_vm_create(MoseVm *vm, int kvm, bool irqchip);

/* Create the vCPU with vm->cpuid; it stands at @entry, of the kernel code. */
bool mose_vm_start(MoseVm *vm, const uint8_t *entry);

/* Run the vCPU until the guest says that it is done. Anything else is an
 * error, with the guest's RIP and instruction bytes. */
bool mose_vm_run(MoseVm *vm);

/* The entry of @function and @index in vm->cpuid, or NULL. */
struct kvm_cpuid_entry2 *mose_vm_cpuid(MoseVm *vm, uint32_t function, uint32_t index);

/* Write and read a model-specific register of the vCPU. */
bool mose_vm_set_msr(MoseVm *vm, uint32_t msr, uint64_t value);
bool mose_vm_get_msr(MoseVm *vm, uint32_t msr, uint64_t *ret);

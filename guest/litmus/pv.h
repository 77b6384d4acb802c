/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the properties p-pv-*.c have the memory that KVM shares with its guest. A test
 * knows these places as well, where it has to say in a stream what KVM would: memory
 * below 1 MB that nobody else uses.
 */
#pragma once

/* How much further the TSCs of all vCPUs but the first are, in ticks: some seconds. */
#define PV_TSC_AHEAD 30000000000ULL

enum {
    PV_PAGES = 0x40000, /* one a vCPU */
    PV_PAGE_SIZE = 0x1000,
    PV_CLOCK = 0,     /* in it: struct pvclock_vcpu_time_info, */
    PV_STEAL = 0x100, /* kvm_steal_time, */
    PV_APF = 0x200,   /* kvm_vcpu_pv_apf_data */
    PV_WALL = 0x300,  /* pvclock_wall_clock */
    PV_HYPERCALL_PAGE = 0x60000,
    PV_VECTOR = 0x70,
    PV_TSC_PERCENT = 125, /* of the host's: the frequency of a TSC that KVM scales */
};

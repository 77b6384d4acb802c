/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of the tiny guest that probes KVM: where everything lies, for the
 * C code that builds it (guest.c) and for the code that runs in it
 * (guestcode.S). It has no devices and no firmware.
 *
 *   0x01000  page tables: PML4, PDPT, PD, PT, PD of the local APIC's region
 *   0x06000  GDT, TSS            0x07000  IDT
 *   0x08000  the data page, shared with the host and with ring 3
 *   0x09000  XSAVE area          0x0d000  top of the kernel stack
 *   0x0e000  top of the user stack
 *   0x10000  kernel code         0x20000  user code
 *   0x30000  a page that is not there until a fault asks for it
 *   0x32000  a page that ring 3 may only read
 *   0x100000 pages that the paging probe maps and unmaps
 *
 * Guest-virtual equals guest-physical.
 */
#pragma once

#define GUEST_RAM_SIZE 0x200000

#define GUEST_PML4 0x1000
#define GUEST_PDPT 0x2000
#define GUEST_PD 0x3000
#define GUEST_PT 0x4000
#define GUEST_PD_APIC 0x5000
#define GUEST_GDT 0x6000
#define GUEST_TSS 0x6800
#define GUEST_IDT 0x7000
#define GUEST_DATA 0x8000
#define GUEST_XSAVE 0x9000
#define GUEST_KERNEL_STACK 0xd000 /* its top; two pages */
#define GUEST_USER_STACK 0xe000   /* its top; one page */
#define GUEST_KERNEL 0x10000
#define GUEST_KERNEL_SIZE 0x4000
#define GUEST_USER 0x20000
#define GUEST_USER_SIZE 0x1000
#define GUEST_DEMAND 0x30000
#define GUEST_READONLY 0x32000
#define GUEST_SCRATCH 0x100000
#define GUEST_SCRATCH_PAGES 64
#define GUEST_APIC 0xfee00000

/* Selectors; their order is what SYSCALL and SYSRET ask for (AMD64 APM 2, 6.1.1). */
#define GUEST_KERNEL_CS 0x08
#define GUEST_KERNEL_DS 0x10
#define GUEST_STAR_USER 0x1b /* SYSRET: SS = this + 8, 64-bit CS = this + 16 */
#define GUEST_USER_DS 0x23
#define GUEST_USER_CS 0x2b
#define GUEST_TSS_SELECTOR 0x30

/* Ports that end KVM_RUN: the probe is through; an exception nobody expected. */
#define GUEST_PORT_DONE 0xe0
#define GUEST_PORT_TRAP 0xe1

#define GUEST_VECTOR_IPI 0x40
#define GUEST_VECTOR_TIMER 0x41
#define GUEST_VECTOR_USER 0x80

/* What the exception handler does after it has recorded the exception. */
#define GUEST_TRAP_STOP 0   /* report it and stop */
#define GUEST_TRAP_RETURN 1 /* return to where it came from */
#define GUEST_TRAP_RESUME 2 /* go on in ring 0 at RESUME; then as STOP */
#define GUEST_TRAP_MAP 3    /* put MAP_VALUE into *MAP_PTE, return; then as RESUME */

/* Words of the data page: offsets in bytes. */
#define GUEST_MODE 0x00
#define GUEST_RESUME 0x08
#define GUEST_MAP_PTE 0x10
#define GUEST_MAP_VALUE 0x18
#define GUEST_TRAPS 0x20 /* number of exceptions so far; of the last one: */
#define GUEST_TRAP_VECTOR 0x28
#define GUEST_TRAP_ERROR 0x30
#define GUEST_TRAP_RIP 0x38
#define GUEST_TRAP_CS 0x40
#define GUEST_TRAP_CR2 0x48
#define GUEST_IPIS 0x50
#define GUEST_TIMERS 0x58
#define GUEST_ARGUMENT 0x60
#define GUEST_VALUES 0x100 /* what a probe hands out: words */
#define GUEST_N_VALUES 16
#define GUEST_BUFFER 0x200  /* 64 bytes, aligned */
#define GUEST_PATTERN 0x240 /* 32 bytes */

#define GUEST_MAGIC 0x4d4f5345

#ifndef __ASSEMBLER__

#include <stdint.h>

/* The guest's code (guestcode.S), and its entry points. */
extern const uint8_t mose_guest_kernel[], mose_guest_kernel_end[];
extern const uint8_t mose_guest_user[], mose_guest_user_end[];
extern const uint8_t mose_guest_vectors[], mose_guest_ipi[], mose_guest_timer[];
extern const uint8_t mose_guest_vector_user[];
extern const uint8_t mose_guest_start[], mose_guest_syscall[], mose_guest_int[],
    mose_guest_exception[], mose_guest_page_fault[], mose_guest_cmpxchg16b[],
    mose_guest_xsave[], mose_guest_int3[], mose_guest_x87[], mose_guest_swapgs[],
    mose_guest_cpuid[], mose_guest_tsc[], mose_guest_lapic[], mose_guest_speed[],
    mose_guest_paging[];
extern const uint8_t mose_guest_syscall_return[]; /* in the user code */

/* The speed probe's work, as a function of the host. */
uint64_t mose_native_work(uint64_t rounds);

/* The guest's address of a label of its kernel or user code. */
uint64_t mose_guest_kernel_address(const uint8_t *label);
uint64_t mose_guest_user_address(const uint8_t *label);

/* Fill @ram (GUEST_RAM_SIZE bytes of zeroes) with tables and code. */
void mose_guest_build(uint8_t *ram);

/* A word of the data page of @ram. */
static inline volatile uint64_t *
mose_guest_word(uint8_t *ram, unsigned offset)
{
    return (volatile uint64_t *)(ram + GUEST_DATA + offset);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds the tables of the probing guest: page tables, GDT, TSS, IDT. It knows
 * no KVM. Formats: Intel SDM 3A, chapters 3 to 6.
 *
 * It runs in a forked child, so it uses nothing of GLib.
 */
#include "host/guest.h"

#include <string.h>

#define PAGE 0x1000u
#define PTE_PRESENT 0x001u
#define PTE_WRITE 0x002u
#define PTE_USER 0x004u
#define PTE_UNCACHED 0x010u
#define PTE_ACCESSED 0x020u
#define PTE_DIRTY 0x040u
#define PTE_LARGE 0x080u
#define PTE_KERNEL (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY)

static void
put64(uint8_t *ram, uint64_t address, uint64_t value)
{
    memcpy(ram + address, &value, sizeof value);
}

uint64_t
mose_guest_kernel_address(const uint8_t *label)
{
    return GUEST_KERNEL + (uint64_t)(label - mose_guest_kernel);
}

uint64_t
mose_guest_user_address(const uint8_t *label)
{
    return GUEST_USER + (uint64_t)(label - mose_guest_user);
}

/* Pages of the first 2 MB that ring 3 may touch. */
static uint64_t
page_flags(uint64_t address)
{
    switch (address) {
    case 0:
    case GUEST_DEMAND:
        return 0;
    case GUEST_READONLY:
        return PTE_PRESENT | PTE_USER | PTE_ACCESSED;
    case GUEST_DATA:
    case GUEST_USER:
    case GUEST_USER_STACK - PAGE:
        return PTE_KERNEL | PTE_USER;
    default:
        return PTE_KERNEL;
    }
}

static void
build_page_tables(uint8_t *ram)
{
    /* U/S is the AND of all levels, so the upper ones must allow ring 3. */
    const uint64_t table = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;

    put64(ram, GUEST_PML4, GUEST_PDPT | table);
    put64(ram, GUEST_PDPT, GUEST_PD | table);
    put64(ram, GUEST_PDPT + 3 * 8, GUEST_PD_APIC | table);
    put64(ram, GUEST_PD, GUEST_PT | table);
    for (unsigned i = 0; i < 512; i++) {
        uint64_t flags = page_flags((uint64_t)i * PAGE);

        if (flags != 0)
            put64(ram, GUEST_PT + i * 8, (uint64_t)i * PAGE | flags);
    }
    put64(ram, GUEST_PD_APIC + ((GUEST_APIC >> 21) & 511) * 8,
          GUEST_APIC | PTE_KERNEL | PTE_UNCACHED | PTE_LARGE);
}

static void
build_gdt(uint8_t *ram)
{
    put64(ram, GUEST_GDT + GUEST_KERNEL_CS, 0x00af9b000000ffff);
    put64(ram, GUEST_GDT + GUEST_KERNEL_DS, 0x00cf93000000ffff);
    put64(ram, GUEST_GDT + (GUEST_STAR_USER & ~7), 0x00cffb000000ffff);
    put64(ram, GUEST_GDT + (GUEST_USER_DS & ~7), 0x00cff3000000ffff);
    put64(ram, GUEST_GDT + (GUEST_USER_CS & ~7), 0x00affb000000ffff);
    /* A busy 64-bit TSS below 16 MB: its base fits the low word. */
    put64(ram, GUEST_GDT + GUEST_TSS_SELECTOR,
          0x00008b0000000067 | (uint64_t)GUEST_TSS << 16);
}

static void
build_tss(uint8_t *ram)
{
    put64(ram, GUEST_TSS + 4, GUEST_KERNEL_STACK);      /* RSP0 */
    put64(ram, GUEST_TSS + 0x60, (uint64_t)0x68 << 48); /* no I/O bitmap */
}

static void
set_gate(uint8_t *ram, unsigned vector, uint64_t handler, unsigned dpl)
{
    uint64_t low = (handler & 0xffff) | (uint64_t)GUEST_KERNEL_CS << 16 |
                   (uint64_t)(0x8e | dpl << 5) << 40 | (handler >> 16 & 0xffff) << 48;

    put64(ram, GUEST_IDT + vector * 16, low);
    put64(ram, GUEST_IDT + vector * 16 + 8, handler >> 32);
}

static void
build_idt(uint8_t *ram)
{
    /* guestcode.S places the exceptions' handlers 16 bytes apart. */
    for (unsigned vector = 0; vector < 32; vector++)
        set_gate(ram, vector,
                 mose_guest_kernel_address(mose_guest_vectors) + vector * 16,
                 vector == 3 ? 3 : 0);
    set_gate(ram, GUEST_VECTOR_IPI, mose_guest_kernel_address(mose_guest_ipi), 0);
    set_gate(ram, GUEST_VECTOR_TIMER, mose_guest_kernel_address(mose_guest_timer), 0);
    set_gate(ram, GUEST_VECTOR_USER, mose_guest_kernel_address(mose_guest_vector_user),
             3);
}

void
mose_guest_build(uint8_t *ram)
{
    build_page_tables(ram);
    build_gdt(ram);
    build_tss(ram);
    build_idt(ram);
    memcpy(ram + GUEST_KERNEL, mose_guest_kernel,
           (size_t)(mose_guest_kernel_end - mose_guest_kernel));
    memcpy(ram + GUEST_USER, mose_guest_user,
           (size_t)(mose_guest_user_end - mose_guest_user));
    put64(ram, GUEST_DEMAND, GUEST_MAGIC);
    for (unsigned i = 0; i < 32; i++)
        ram[GUEST_DATA + GUEST_PATTERN + i] = (uint8_t)(0xa0 + i);
}

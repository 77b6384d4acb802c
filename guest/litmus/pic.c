/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two 8259s and the IOAPIC. */
#include "litmus.h"

enum { PIC1 = 0x20, PIC2 = 0xa0, EOI_SPECIFIC = 0x60 };
enum {
    IOAPIC = 0xfec00000,
    IOREGSEL = 0x00,
    IOWIN = 0x10,
    REDIRECTION = 0x10,
    PINS = 24
};

void
pic_init(void)
{
    outb(PIC1, 0x11);
    outb(PIC1 + 1, VECTOR_PIC);
    outb(PIC1 + 1, 4);
    outb(PIC1 + 1, 1);
    outb(PIC2, 0x11);
    outb(PIC2 + 1, VECTOR_PIC + 8);
    outb(PIC2 + 1, 2);
    outb(PIC2 + 1, 1);
    pic_mask_all();
}

void
pic_mask_all(void)
{
    outb(PIC1 + 1, 0xff);
    outb(PIC2 + 1, 0xff);
}

void
pic_unmask(unsigned irq)
{
    if (irq >= 8) {
        outb(PIC2 + 1, inb(PIC2 + 1) & ~(1u << (irq - 8)));
        irq = 2;
    }
    outb(PIC1 + 1, inb(PIC1 + 1) & ~(1u << irq));
}

void
pic_eoi(unsigned irq)
{
    if (irq >= 8) {
        outb(PIC2, EOI_SPECIFIC | (irq - 8));
        irq = 2;
    }
    outb(PIC1, EOI_SPECIFIC | irq);
}

uint8_t
pic_pending(void)
{
    outb(PIC1, 0x0a); /* OCW3: read IRR */
    return inb(PIC1);
}

static volatile uint32_t *
ioapic(unsigned reg)
{
    *(volatile uint32_t *)((uintptr_t)IOAPIC + IOREGSEL) = reg;
    return (volatile uint32_t *)((uintptr_t)IOAPIC + IOWIN);
}

void
ioapic_route(unsigned pin, uint32_t low)
{
    *ioapic(REDIRECTION + 2 * pin) = IOAPIC_MASKED;
    *ioapic(REDIRECTION + 2 * pin + 1) = 0;
    *ioapic(REDIRECTION + 2 * pin) = low;
}

uint32_t
ioapic_entry(unsigned pin)
{
    return *ioapic(REDIRECTION + 2 * pin);
}

void
ioapic_mask_all(void)
{
    for (unsigned pin = 0; pin < PINS; pin++)
        ioapic_route(pin, IOAPIC_MASKED);
}

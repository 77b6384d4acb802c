/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local APIC, through memory (xAPIC) or MSRs (x2APIC). SDM 3A, chapter 11. */
#include "litmus.h"

#define XAPIC 0xfee00000u
#define MSR_APIC_BASE 0x1bu
#define MSR_X2APIC 0x800u
enum { APIC_BASE_EXTD = 1 << 10, SOFTWARE_ENABLED = 1 << 8, ICR_BUSY = 1 << 12 };

bool x2apic;

static volatile uint32_t *
xapic(unsigned reg)
{
    return (volatile uint32_t *)(uintptr_t)(XAPIC + reg);
}

uint32_t
apic_read(unsigned reg)
{
    return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : *xapic(reg);
}

void
apic_write(unsigned reg, uint32_t value)
{
    if (x2apic)
        wrmsr(MSR_X2APIC + reg / 16, value);
    else
        *xapic(reg) = value;
}

void
apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

void
apic_init(void)
{
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SPURIOUS, SOFTWARE_ENABLED | VECTOR_SPURIOUS);
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    apic_write(APIC_LVT_LINT1, LVT_MASKED);
    apic_write(APIC_LVT_ERROR, LVT_MASKED);
    apic_timer_off();
}

void
apic_enter_x2apic(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_EXTD);
}

/* QEMU numbers vCPUs and APICs alike for up to 8 of one socket's. */
void
apic_send(unsigned vcpu, uint32_t command)
{
    command |= ICR_ASSERT;
    if (x2apic) {
        wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)vcpu << 32 | command);
        return;
    }
    *xapic(APIC_ICR_HIGH) = vcpu << 24;
    *xapic(APIC_ICR) = command;
    while (*xapic(APIC_ICR) & ICR_BUSY)
        relax();
}

void
apic_send_self(unsigned vector)
{
    apic_send(0, ICR_SELF | vector);
}

bool
apic_bit(unsigned reg, unsigned vector)
{
    return apic_read(reg + vector / 32 * 16) >> vector % 32 & 1;
}

void
apic_timer(uint32_t mode, uint64_t ns)
{
    uint64_t count = ns / 16;

    apic_write(APIC_TIMER_DIVIDE, 3); /* by 16 */
    apic_write(APIC_LVT_TIMER, mode | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, count > UINT32_MAX ? UINT32_MAX : (uint32_t)count);
}

void
apic_timer_off(void)
{
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
}

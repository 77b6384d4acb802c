/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single instructions of the processor, by name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void
outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void
outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t
inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t
inl(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t
rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint64_t
rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void
wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

typedef struct {
    uint32_t eax, ebx, ecx, edx;
} Cpuid;

static inline Cpuid
cpuid(uint32_t leaf, uint32_t subleaf)
{
    Cpuid ret;

    __asm__ volatile("cpuid"
                     : "=a"(ret.eax), "=b"(ret.ebx), "=c"(ret.ecx), "=d"(ret.edx)
                     : "a"(leaf), "c"(subleaf));
    return ret;
}

#define CONTROL_REGISTER(name)                                                         \
    static inline uint64_t read_##name(void)                                           \
    {                                                                                  \
        uint64_t value;                                                                \
                                                                                       \
        __asm__ volatile("movq %%" #name ", %0" : "=r"(value) : : "memory");           \
        return value;                                                                  \
    }                                                                                  \
    static inline void write_##name(uint64_t value)                                    \
    {                                                                                  \
        __asm__ volatile("movq %0, %%" #name : : "r"(value) : "memory");               \
    }

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
CONTROL_REGISTER(cr8)
CONTROL_REGISTER(dr0)
CONTROL_REGISTER(dr1)
CONTROL_REGISTER(dr2)
CONTROL_REGISTER(dr3)
CONTROL_REGISTER(dr6)
CONTROL_REGISTER(dr7)

static inline void
irq_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}

static inline void
irq_on(void)
{
    __asm__ volatile("sti" : : : "memory");
}

/* Sleep; an interrupt that comes between the two instructions wakes it. */
static inline void
irq_on_and_halt(void)
{
    __asm__ volatile("sti\n\thlt" : : : "memory");
}

static inline void
halt(void)
{
    __asm__ volatile("hlt" : : : "memory");
}

static inline void
relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

static inline void
flush_page(const volatile void *address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline uint64_t
xgetbv(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static inline void
xsetbv(uint64_t value)
{
    __asm__ volatile("xsetbv"
                     :
                     : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a property of the litmus guest is, and what it may use. README.md tells how
 * one is added.
 */
#pragma once

#include "cpu.h"

/* --- properties --- */

enum {
    BACKGROUND = 1 << 0, /* armed in every round, beside the others; else one a round */
    IRQS_OFF = 1 << 1,   /* an exclusive: the host is awaited with interrupts off */
};

typedef struct {
    const char *name;
    unsigned flags;
    const char *(*prepare)(void); /* NULL: armed; else why it is skipped here */
    void (*work)(void);           /* NULL, or called again and again meanwhile */
    void (*wait)(void);           /* NULL, or an exclusive's own way to wait until
                                     host_says() is true, in place of work() */
    const char *(*check)(void);   /* NULL: it passes; else what is wrong */
} Property;

/* Define one: PROPERTY(id) = { .name = ..., ... }; that is all, there is no list. The
 * order of exclusives is that of the sources in meson.build. */
#define PROPERTY(id)                                                                   \
    static const Property property_##id;                                               \
    static const Property *const property_at_##id                                      \
        __attribute__((section(".properties"), used)) = &property_##id;                \
    static const Property property_##id

/* Text for prepare() and check(); one buffer a property is enough, so there is one. */
const char *say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether the host's next byte has come. Once true, true until the round's end. Asks
 * once a millisecond; by the TSC, which may jump. */
bool host_says(void);

/* --- what this machine is (machine.c); as it was at boot --- */

typedef struct {
    char hypervisor[13]; /* of CPUID 0x40000000; "none" */
    unsigned vcpus;      /* that QEMU says there are */
    bool slow;           /* "slow" is on the command line: kernel code is emulated, and
                            x87, VEX, user mode and software interrupts don't work */
    unsigned wait_ms;    /* what timers are set to, so that the switch comes before
                            they fire: wait=MS */
    Cpuid leaf1, leaf7, leaf80000001;
    uint32_t kvm_features; /* CPUID 0x40000001 EAX; 0 where this is no KVM */
} Machine;

extern Machine machine;

void machine_detect(void);

/* Where it is now, unlike all of `machine`. What can be armed there alone is skipped
 * elsewhere with the reason "not in KVM now". */
bool in_kvm(void);

/* A word of the kernel's command line: the rest of "NAME=..." , or NULL. The flag. */
const char *option(const char *name);
bool option_flag(const char *name);
unsigned option_number(const char *name, unsigned otherwise);
/* Whether the list "NAME=a,b,c" has @word; TRUE where there is no such list. */
bool option_lists(const char *name, const char *word);

/* --- time (time.c): by the ACPI PM timer, which the TSC is compared with --- */

#define PM_HZ 3579545u

extern uint64_t tsc_khz;

void time_init(void);
/* The PM timer's 24 bits and the TSC at the same moment. */
typedef struct {
    uint64_t tsc;
    uint32_t pm;
} Moment;
Moment now(void);
/* How much more the TSC than the PM timer went on from @from to @to, in us: modulo the
 * latter's 4.7 s. */
int64_t tsc_ahead_us(Moment from, Moment to);

/* Wait for @ms; until *@word is not @from, at most @ms: whether it is. */
void wait_ms(unsigned ms);
bool wait_change(const volatile uint32_t *word, uint32_t from, unsigned ms);
/* A tenth of a millisecond, or until *@word (may be NULL) is not @from. */
void let_others_work(const volatile uint32_t *word, uint32_t from);

/* --- interrupts (idt.c) --- */

typedef struct {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
} Frame;

/* Handlers run with interrupts off, on any vCPU, and end the interrupt themselves
 * (apic_eoi(), pic_eoi()). One for an exception is asked before anything else. */
typedef void (*Handler)(Frame *frame);
void on_vector(unsigned vector, Handler handler);
/* The most simple one: counts in ticks[vector], and apic_eoi(). */
void count_and_eoi(Frame *frame);
extern volatile uint32_t ticks[256];

/* The stack of vectors with an IST. */
enum { IST_TEST = 1, IST_FATAL = 2 };
void vector_uses_stack(unsigned vector, unsigned ist);

/*
 * Call @call(@argument), in which an exception may be: its vector, or -1. What it said
 * is in *@ret_error and *@ret_cr2 (both may be NULL).
 */
int guarded(void (*call)(void *), void *argument, uint64_t *ret_error,
            uint64_t *ret_cr2);
bool try_rdmsr(uint32_t msr, uint64_t *ret);
bool try_wrmsr(uint32_t msr, uint64_t value);

enum {
    VECTOR_PIC = 0x20,
    VECTOR_TIMER = 0x40,
    VECTOR_IPI = 0x41,
    VECTOR_DEVICE = 0x50,
    VECTOR_SELF = 0x60,
    VECTOR_IST = 0x61,
    VECTOR_SPURIOUS = 0xff
};

/* --- interrupts that come again and again (rate.c) --- */

/* Whether ticks[@vector] goes on at @hz: not silent, no storm. Waits half a second,
 * with interrupts on. */
const char *check_rate(unsigned vector, unsigned hz);

/* --- memory (memory.c) --- */

#define PAGE_SIZE 4096u
enum { PAGE_PRESENT = 1, PAGE_WRITE = 2, PAGE_USER = 4 };
#define PAGE_NX (UINT64_C(1) << 63)

/* Map one page of a window above the identity map; @flags without PAGE_PRESENT. */
void *map_page(unsigned slot, const void *page, uint64_t flags);
enum {
    SLOT_USER_CODE,
    SLOT_USER_STACK,
    SLOT_USER_DATA,
    SLOT_READ_ONLY,
    SLOT_NX,
    SLOT_FREE
}; /* further ones: up to 511 */

/* --- the local APIC, in either mode (apic.c); the 8259s and the IOAPIC (pic.c) --- */

enum {
    APIC_ID = 0x20,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_ISR = 0x100,
    APIC_IRR = 0x200,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0
};
enum {
    LVT_MASKED = 1 << 16,
    LVT_PERIODIC = 1 << 17,
    LVT_DEADLINE = 2 << 17,
    LVT_EXTINT = 7 << 8
};
enum {
    ICR_FIXED = 0,
    ICR_NMI = 4 << 8,
    ICR_INIT = 5 << 8,
    ICR_STARTUP = 6 << 8,
    ICR_ASSERT = 1 << 14,
    ICR_SELF = 1 << 18
};

extern bool x2apic; /* all vCPUs are in that mode */

uint32_t apic_read(unsigned reg);
void apic_write(unsigned reg, uint32_t value);
void apic_eoi(void);
/* Of this vCPU: enabled, all local vectors masked, no timer. */
void apic_init(void);
void apic_enter_x2apic(void); /* of this vCPU; `x2apic` is the caller's */
void apic_send(unsigned vcpu, uint32_t command);
void apic_send_self(unsigned vector);
bool apic_bit(unsigned reg, unsigned vector); /* in APIC_IRR or APIC_ISR */
/* The timer, with a nanosecond a tick on both accelerators. */
void apic_timer(uint32_t mode, uint64_t ns);
void apic_timer_off(void);

void pic_init(void); /* everything masked; LINT0 is not connected */
void pic_unmask(unsigned irq);
void pic_mask_all(void);
void pic_eoi(unsigned irq);
uint8_t pic_pending(void); /* IRR of the first */
enum { IOAPIC_LEVEL = 1 << 15, IOAPIC_MASKED = 1 << 16, IOAPIC_REMOTE_IRR = 1 << 14 };
void ioapic_route(unsigned pin, uint32_t low); /* to the first vCPU */
uint32_t ioapic_entry(unsigned pin);
void ioapic_mask_all(void);

/* --- vCPUs (smp.c) --- */

enum { MAX_VCPUS = 8, STACK_SIZE = 0x10000 };

/* What the other vCPUs do, in a loop, with interrupts on. */
typedef enum {
    JOB_BUSY,  /* their background work */
    JOB_SLEEP, /* hlt */
    JOB_CALL,  /* the call, once, then JOB_BUSY */
    JOB_STILL, /* halted with interrupts off, for good: until INIT */
} Job;

typedef struct {
    volatile uint32_t online; /* counts its starts */
    volatile uint32_t ipis;   /* VECTOR_IPI received */
    volatile uint32_t wakes;  /* times it came out of hlt */
    volatile uint32_t steps;  /* background work done */
    volatile uint32_t calls;  /* JOB_CALLs done */
    volatile uint32_t job;    /* Job */
    void (*volatile call)(void);
    const char *volatile trouble; /* what its own work has found, or NULL */
    volatile uint64_t tsc;        /* as it last read it */
    volatile uint64_t off;        /* ticks by which a TSC was wrong, the most of them */
    uint64_t guard_stack;         /* of guarded(); 0: none */
    uint64_t guard_error, guard_cr2;
} Vcpu;

extern Vcpu vcpus[MAX_VCPUS];

unsigned this_vcpu(void);
void cpu_setup(void); /* GDT, TSS, IDT of this vCPU */
/* Of this vCPU: CR4's protections and OSXSAVE, and XCR0, where they are known. */
void cpu_enable(void);
/* Whether it came up within a few seconds. vcpu_init() alone leaves it in INIT. */
bool vcpu_start(unsigned vcpu);
void vcpu_init(unsigned vcpu);
bool vcpu_sipi(unsigned vcpu);
/* By an IPI, if it is online: whether it took that. */
bool vcpu_job(unsigned vcpu, Job job);
/* Have each of the others run @call; whether all did. */
bool vcpus_call(void (*call)(void));
void vcpus_setup(void);        /* p-vcpus.c: what IPIs do; */
void vcpu_step(unsigned vcpu); /* a piece of background work */
/* Each of the others takes an IPI, and one more (p-smp.c). */
const char *check_ipis(void);

/* --- user mode (user.S, p-user.c), of the first vCPU --- */

void user_setup(void);
/* Run the code at @entry, of the section .user, until it leaves by user_leave(). */
void user_run(const void *entry);

/* --- output (print.c, serial.c) and strings --- */

enum { COM1 = 0x3f8, COM2 = 0x2f8 };

void serial_init(void);
void serial_put(char c);
bool serial_get(void); /* a byte has come, on either port, and is taken */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void format_text(char *to, size_t size, const char *format, __builtin_va_list args);

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
bool same(const char *a, const char *b);

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

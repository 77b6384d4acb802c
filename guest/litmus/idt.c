/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GDT, TSS and IDT; interrupts and exceptions, those that are expected and those that
 * are not: these end the guest with all that is known of them. */
#include "litmus.h"
#include "tables.h"

typedef struct {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed)) TablePointer;

typedef struct {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
} Gate;

typedef struct {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed)) Tss;

enum { GATE_INTERRUPT = 0x8e, GATE_USER = 0x60, DOUBLE_FAULT = 8, VECTOR_USER = 0x80 };

uint64_t gdt[32] = {
    [SEL_CODE / 8] = 0x00af9b000000ffff,
    [SEL_DATA / 8] = 0x00cf93000000ffff,
    [SEL_USER_CODE32 / 8] = 0x00cffb000000ffff,
    [SEL_USER_DATA / 8] = 0x00cff3000000ffff,
    [SEL_USER_CODE / 8] = 0x00affb000000ffff,
    [SEL_CODE32 / 8] = 0x00cf9b000000ffff,
};

extern const char vector_stubs[256][16], guard_landing[];
unsigned guard_enter(void (*call)(void *), void *argument, uint64_t *stack);

uint8_t cpu_stacks[MAX_VCPUS][STACK_SIZE] __attribute__((aligned(STACK_SIZE)));

static Gate idt[256] __attribute__((aligned(16)));
static Tss tss[MAX_VCPUS] __attribute__((aligned(128)));
static Handler handlers[256];
volatile uint32_t ticks[256];

unsigned
this_vcpu(void)
{
    uintptr_t stack = (uintptr_t)__builtin_frame_address(0);

    return (unsigned)((stack - (uintptr_t)cpu_stacks) / STACK_SIZE);
}

void
set_system_segment(unsigned selector, const void *base, unsigned limit, unsigned type)
{
    uint64_t address = (uintptr_t)base;

    gdt[selector / 8] = (address & 0xffffff) << 16 | (address >> 24 & 0xff) << 56 |
                        (uint64_t)type << 40 | limit;
    gdt[selector / 8 + 1] = address >> 32;
}

static void
fill_idt(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t to = (uintptr_t)vector_stubs[i];
        uint8_t type = GATE_INTERRUPT | (i == VECTOR_USER ? GATE_USER : 0);

        idt[i] = (Gate){ (uint16_t)to,         SEL_CODE, 0, type, (uint16_t)(to >> 16),
                         (uint32_t)(to >> 32), 0 };
    }
    vector_uses_stack(DOUBLE_FAULT, IST_FATAL);
}

void
cpu_setup(void)
{
    TablePointer gdtr = { sizeof(gdt) - 1, (uintptr_t)gdt };
    TablePointer idtr = { sizeof(idt) - 1, (uintptr_t)idt };
    unsigned vcpu = this_vcpu();
    uint64_t stacks = (uintptr_t)cpu_stacks[vcpu];

    tss[vcpu] = (Tss){ .io_map = sizeof(Tss) };
    tss[vcpu].rsp[0] = stacks + 0x8000;
    tss[vcpu].ist[IST_TEST - 1] = stacks + 0x4000;
    tss[vcpu].ist[IST_FATAL - 1] = stacks + 0x2000;
    set_system_segment(SEL_TSS(vcpu), &tss[vcpu], sizeof(Tss) - 1, 0x89);
    if (vcpu == 0)
        fill_idt();
    __asm__ volatile("lgdt %0\n\tlidt %1\n\tltr %w2"
                     :
                     : "m"(gdtr), "m"(idtr), "r"(SEL_TSS(vcpu))
                     : "memory");
}

void
on_vector(unsigned vector, Handler handler)
{
    handlers[vector] = handler;
}

void
vector_uses_stack(unsigned vector, unsigned ist)
{
    idt[vector].ist = (uint8_t)ist;
}

void
count_and_eoi(Frame *frame)
{
    ticks[frame->vector]++;
    apic_eoi();
}

static void
die(const Frame *f)
{
    print("\nFAULT %lu rip=%lx error=%lx cr2=%lx vcpu=%u\n", f->vector, f->rip,
          f->error, read_cr2(), this_vcpu());
    print("rax=%lx rbx=%lx rcx=%lx rdx=%lx rsi=%lx rdi=%lx rbp=%lx rsp=%lx\n", f->rax,
          f->rbx, f->rcx, f->rdx, f->rsi, f->rdi, f->rbp, f->rsp);
    print("r8=%lx r9=%lx r10=%lx r11=%lx r12=%lx r13=%lx r14=%lx r15=%lx\n", f->r8,
          f->r9, f->r10, f->r11, f->r12, f->r13, f->r14, f->r15);
    print("cs=%lx ss=%lx rflags=%lx cr0=%lx cr3=%lx cr4=%lx\n", f->cs, f->ss, f->rflags,
          read_cr0(), read_cr3(), read_cr4());
    for (;;)
        halt();
}

/* Out of guarded(), which returns the vector. */
static void
leave_guard(Frame *frame, Vcpu *vcpu)
{
    vcpu->guard_error = frame->error;
    vcpu->guard_cr2 = read_cr2();
    frame->rip = (uintptr_t)guard_landing;
    frame->cs = SEL_CODE;
    frame->ss = SEL_DATA;
    frame->rsp = vcpu->guard_stack;
    frame->rax = 1 + frame->vector;
    frame->rflags &= ~UINT64_C(0x44000); /* RF, AC */
    vcpu->guard_stack = 0;
}

void interrupt(Frame *frame);

void
interrupt(Frame *frame)
{
    Vcpu *vcpu = &vcpus[this_vcpu()];

    if (handlers[frame->vector])
        handlers[frame->vector](frame);
    else if (frame->vector < 32 && vcpu->guard_stack)
        leave_guard(frame, vcpu);
    else if (frame->vector != VECTOR_SPURIOUS)
        die(frame);
}

int
guarded(void (*call)(void *), void *argument, uint64_t *ret_error, uint64_t *ret_cr2)
{
    Vcpu *vcpu = &vcpus[this_vcpu()];
    unsigned came = guard_enter(call, argument, &vcpu->guard_stack);

    vcpu->guard_stack = 0;
    if (came && ret_error)
        *ret_error = vcpu->guard_error;
    if (came && ret_cr2)
        *ret_cr2 = vcpu->guard_cr2;
    return (int)came - 1;
}

typedef struct {
    uint32_t msr;
    uint64_t value;
} Access;

static void
do_rdmsr(void *data)
{
    Access *access = data;

    access->value = rdmsr(access->msr);
}

static void
do_wrmsr(void *data)
{
    const Access *access = data;

    wrmsr(access->msr, access->value);
}

bool
try_rdmsr(uint32_t msr, uint64_t *ret)
{
    Access access = { msr, 0 };
    bool good = guarded(do_rdmsr, &access, NULL, NULL) < 0;

    *ret = access.value;
    return good;
}

bool
try_wrmsr(uint32_t msr, uint64_t value)
{
    Access access = { msr, value };

    return guarded(do_wrmsr, &access, NULL, NULL) < 0;
}

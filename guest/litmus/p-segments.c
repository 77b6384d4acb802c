/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segment registers with what is hidden in them: bases, LDTR, TR. */
#include "litmus.h"
#include "tables.h"

enum { LDT_SELECTOR = 1 << 3 | 4, TEST_LIMIT = 0x5678, LDT_LIMIT = 0x4321 };
enum { MSR_FS_BASE = 0xc0000100, MSR_GS_BASE = 0xc0000101 };
#define DATA_SEGMENT UINT64_C(0x0040f30000000000) /* bytes, writable, DPL 3 */
#define FS_VALUE UINT64_C(0xf5f5f5f500000001)
#define GS_VALUE UINT64_C(0x6565656500000002)

#define SELECTOR(name)                                                                 \
    static unsigned read_##name(void)                                                  \
    {                                                                                  \
        uint64_t value;                                                                \
                                                                                       \
        __asm__ volatile("movq %%" #name ", %0" : "=r"(value));                        \
        return (unsigned)value;                                                        \
    }                                                                                  \
    static void write_##name(unsigned value)                                           \
    {                                                                                  \
        __asm__ volatile("movl %0, %%" #name : : "r"(value) : "memory");               \
    }

SELECTOR(ds)
SELECTOR(es)
SELECTOR(fs)
SELECTOR(gs)

static uint64_t ldt[2];
static uint64_t fs_value, gs_value;
static volatile uint64_t ist_rsp;

static void
take_ist(Frame *frame)
{
    ist_rsp = (uintptr_t)frame;
    count_and_eoi(frame);
}

static const char *
prepare(void)
{
    fs_value = FS_VALUE;
    gs_value = GS_VALUE;
    ldt[1] = DATA_SEGMENT | LDT_LIMIT;
    gdt[SEL_TEST / 8] = DATA_SEGMENT | TEST_LIMIT;
    set_system_segment(SEL_LDT, ldt, sizeof(ldt) - 1, 0x82);
    __asm__ volatile("lldt %w0" : : "r"(SEL_LDT));
    write_ds(SEL_USER_DATA | 3); /* which a return to user mode does not clear */
    write_es(LDT_SELECTOR);
    write_fs(SEL_TEST | 3);
    write_gs(0);
    wrmsr(MSR_FS_BASE, (uintptr_t)&fs_value - 8);
    wrmsr(MSR_GS_BASE, (uintptr_t)&gs_value - 16);
    on_vector(VECTOR_IST, take_ist);
    vector_uses_stack(VECTOR_IST, IST_TEST);
    return NULL;
}

static const char *
check_selectors(void)
{
    if (read_ds() != (SEL_USER_DATA | 3) || read_es() != LDT_SELECTOR ||
        read_fs() != (SEL_TEST | 3) || read_gs() != 0)
        return say("ds es fs gs: %x %x %x %x", read_ds(), read_es(), read_fs(),
                   read_gs());
    return NULL;
}

static const char *
check_bases(void)
{
    uint64_t by_fs, by_gs;

    if (rdmsr(MSR_FS_BASE) != (uintptr_t)&fs_value - 8 ||
        rdmsr(MSR_GS_BASE) != (uintptr_t)&gs_value - 16)
        return say("bases of fs, gs: %lx %lx", rdmsr(MSR_FS_BASE), rdmsr(MSR_GS_BASE));
    __asm__ volatile("movq %%fs:8, %0\n\tmovq %%gs:16, %1" : "=r"(by_fs), "=r"(by_gs));
    return by_fs == FS_VALUE && by_gs == GS_VALUE
               ? NULL
               : say("through fs, gs: %lx %lx", by_fs, by_gs);
}

static void
load_from_ldt(void *unused)
{
    write_es(SEL_DATA);
    write_es(LDT_SELECTOR);
}

static const char *
check_tables(void)
{
    uint32_t limit = 0;

    if (guarded(load_from_ldt, NULL, NULL, NULL) >= 0)
        return "a selector of the LDT cannot be loaded";
    if (machine.slow) /* which does not emulate lsl */
        return NULL;
    __asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"(LDT_SELECTOR));
    return limit == LDT_LIMIT ? NULL : say("lsl of the LDT's segment: %x", limit);
}

/* TR leads to the TSS, and that to the interrupt's stack. */
static const char *
check_ist(void)
{
    extern uint8_t cpu_stacks[MAX_VCPUS][STACK_SIZE];
    uint32_t before = ticks[VECTOR_IST];
    uint64_t top = (uintptr_t)cpu_stacks[0] + 0x4000;

    ist_rsp = 0;
    irq_on();
    apic_send_self(VECTOR_IST);
    wait_change(&ticks[VECTOR_IST], before, 5000);
    irq_off();
    if (ist_rsp >= top || ist_rsp < top - 0x1000)
        return say("an interrupt with a stack of its own has %lx", ist_rsp);
    return NULL;
}

static const char *
check(void)
{
    const char *wrong = check_selectors();

    wrong = wrong ? wrong : check_bases();
    wrong = wrong ? wrong : check_tables();
    wrong = wrong ? wrong : check_ist();
    write_es(SEL_DATA);
    write_fs(0);
    return wrong;
}

PROPERTY(segments) = {
    .name = "segments",
    .flags = BACKGROUND,
    .prepare = prepare,
    .check = check,
};

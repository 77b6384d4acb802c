/* SPDX-License-Identifier: GPL-2.0-or-later */
/* User mode: where it is switched, it goes on, and reaches the kernel by `syscall` and
 * `int 0x80`; what UMIP forbids stays forbidden. */
#include "litmus.h"
#include "tables.h"

enum { CALL_POLL = 1, CALL_BAD = 2, VECTOR_USER = 0x80, CR4_UMIP = 1 << 11 };
enum { MSR_STAR = 0xc0000081, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK };
/* TF IF DF NT AC */
#define SFMASK UINT64_C(0x44700)
#define STACK_TOP 4080

extern const char syscall_entry[], syscall_entry_compat[];
extern const char user_work[], user_sgdt[];
void user_enter(uint64_t rip, uint64_t rsp);
bool user_call(unsigned number);

static uint8_t user_stack[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static volatile uint32_t calls;
static bool bad;

void
user_setup(void)
{
    try_wrmsr(MSR_STAR, (uint64_t)SEL_CODE << 32 | (uint64_t)(SEL_USER_CODE32 | 3)
                                                       << 48);
    try_wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
    try_wrmsr(MSR_CSTAR, (uintptr_t)syscall_entry_compat);
    try_wrmsr(MSR_SFMASK, SFMASK);
}

void
user_run(const void *entry)
{
    uintptr_t offset = (uintptr_t)entry % PAGE_SIZE;
    const char *page = (const char *)entry - offset;
    char *code = map_page(SLOT_USER_CODE, page, PAGE_USER);
    char *stack =
        map_page(SLOT_USER_STACK, user_stack, PAGE_USER | PAGE_WRITE | PAGE_NX);

    user_enter((uintptr_t)code + offset, (uintptr_t)stack + STACK_TOP);
}

bool
user_call(unsigned number)
{
    calls++;
    if (number == CALL_BAD)
        bad = true;
    return number == CALL_POLL && !host_says();
}

static void
take_int(Frame *frame)
{
    ticks[frame->vector]++;
}

static const char *
prepare(void)
{
    if (machine.slow)
        return "user mode does not work in a software KVM";
    on_vector(VECTOR_USER, take_int);
    calls = ticks[VECTOR_USER] = 0;
    bad = false;
    return NULL;
}

static void
wait(void)
{
    user_run(user_work);
}

static const char *
check(void)
{
    uint32_t before = calls;

    if (bad)
        return "registers have changed in user mode";
    if (calls != ticks[VECTOR_USER])
        return say("%u times syscall, %u times int 0x80", calls, ticks[VECTOR_USER]);
    user_run(user_work); /* and anew: the host has said */
    return bad || calls == before ? "user mode does not work any more" : NULL;
}

PROPERTY(user_mode) = {
    .name = "user-mode",
    .prepare = prepare,
    .wait = wait,
    .check = check,
};

static void
run_sgdt(void *unused)
{
    user_run(user_sgdt);
}

/* -1: it is allowed. */
static int
exception_of_sgdt(void)
{
    return guarded(run_sgdt, NULL, NULL, NULL);
}

static const char *
prepare_umip(void)
{
    if (machine.slow)
        return "user mode does not work in a software KVM";
    return read_cr4() & CR4_UMIP ? NULL : "no UMIP";
}

static const char *
check_umip(void)
{
    int vector = exception_of_sgdt();

    return vector == 13 ? NULL : say("sgdt in user mode: exception %d, not 13", vector);
}

PROPERTY(umip) = {
    .name = "umip",
    .flags = BACKGROUND,
    .prepare = prepare_umip,
    .check = check_umip,
};

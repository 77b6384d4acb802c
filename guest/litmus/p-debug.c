/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Debug registers are kept, and a watchpoint in them still works. */
#include "litmus.h"

enum { VECTOR_DB = 1, DR7_FIXED = 0x400, DR7_L3 = 1 << 6, DR6_B3 = 1 << 3 };
#define DR7_WRITE4_3 (UINT64_C(0xd) << 28) /* LEN3 = 4 bytes, RW3 = writes */

static volatile uint32_t watched __attribute__((aligned(8)));
static volatile uint32_t hits;
static uint64_t dr6;
static uint64_t dr7;

static void
take_debug(Frame *frame)
{
    dr6 = read_dr6();
    write_dr6(0xffff0ff0);
    hits++;
}

static const char *
prepare(void)
{
    dr7 = DR7_FIXED;
    if (!machine.slow) /* emulated writes to memory do not hit there */
        dr7 |= DR7_L3 | DR7_WRITE4_3;
    on_vector(VECTOR_DB, take_debug);
    hits = 0;
    write_dr7(DR7_FIXED);
    write_dr0(0x1111222233330000);
    write_dr1(0x4444555566660001);
    write_dr2(0x0000777788880002);
    write_dr3((uintptr_t)&watched);
    write_dr6(0xffff0ff0);
    write_dr7(dr7);
    return NULL;
}

static const char *
check_values(void)
{
    if (read_dr0() != 0x1111222233330000 || read_dr1() != 0x4444555566660001 ||
        read_dr2() != 0x0000777788880002 || read_dr3() != (uintptr_t)&watched)
        return say("DR0-3 are %lx %lx %lx %lx", read_dr0(), read_dr1(), read_dr2(),
                   read_dr3());
    return read_dr7() == dr7 ? NULL : say("DR7 is %lx, not %lx", read_dr7(), dr7);
}

static const char *
check(void)
{
    const char *wrong = check_values();
    uint32_t before = hits;

    if (!wrong && before)
        wrong = "a hit before the write";
    if (!wrong && !machine.slow) {
        watched = 1;
        if (hits != 1 || !(dr6 & DR6_B3))
            wrong = say("%u hits, DR6 %lx", hits, dr6);
    }
    write_dr7(DR7_FIXED);
    return wrong;
}

PROPERTY(debug_registers) = {
    .name = "debug-registers",
    .flags = BACKGROUND,
    .prepare = prepare,
    .check = check,
};

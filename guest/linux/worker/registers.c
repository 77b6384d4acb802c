/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Register check: the x87 stack, its control word, MXCSR and the SSE or AVX
 * registers are loaded with a pattern, held for a while, and read back. They
 * are held twice a step: in the registers themselves (a loop),
 * where a switch takes them out of the vCPU, and across a system call that
 * sleeps, where the kernel's XSAVE area holds them.
 */
#include "worker.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>

enum {
    X87_REGISTERS = 8,
    VECTOR_REGISTERS = 16,
    VECTOR_SIZE = 32,
    SPIN_LOOPS = 100000,
    HOLD_NS = 2000000,
};

/* Loaded from and stored to memory by one assembler block. */
typedef struct {
    unsigned char vectors[VECTOR_REGISTERS][VECTOR_SIZE] __attribute__((aligned(32)));
    double x87[X87_REGISTERS];
    uint32_t mxcsr;
    uint16_t control_word;
} Registers;

static bool have_avx;

#define EACH_VECTOR(op)                                                                \
    op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12)   \
        op(13) op(14) op(15)
#define SSE_LOAD(n) "movups " #n "*32(%[in]), %%xmm" #n "\n\t"
#define SSE_STORE(n) "movups %%xmm" #n ", " #n "*32(%[out])\n\t"
#define AVX_LOAD(n) "vmovups " #n "*32(%[in]), %%ymm" #n "\n\t"
#define AVX_STORE(n) "vmovups %%ymm" #n ", " #n "*32(%[out])\n\t"

/* fldl pushes: the last one loaded is the first one stored. */
#define X87_LOAD                                                                       \
    "fldl 512(%[in])\n\tfldl 520(%[in])\n\tfldl 528(%[in])\n\tfldl 536(%[in])\n\t"     \
    "fldl 544(%[in])\n\tfldl 552(%[in])\n\tfldl 560(%[in])\n\tfldl 568(%[in])\n\t"     \
    "fldcw 580(%[in])\n\tldmxcsr 576(%[in])\n\t"
#define X87_STORE                                                                      \
    "fnstcw 580(%[out])\n\tstmxcsr 576(%[out])\n\t"                                    \
    "fstpl 568(%[out])\n\tfstpl 560(%[out])\n\tfstpl 552(%[out])\n\t"                  \
    "fstpl 544(%[out])\n\tfstpl 536(%[out])\n\tfstpl 528(%[out])\n\t"                  \
    "fstpl 520(%[out])\n\tfstpl 512(%[out])\n\t"

_Static_assert(offsetof(Registers, x87) == 512, "the assembler counts on it");
_Static_assert(offsetof(Registers, mxcsr) == 576, "the assembler counts on it");
_Static_assert(offsetof(Registers, control_word) == 580, "the assembler counts on it");

/* `spin` turns of a loop, then nanosleep(&hold, NULL). */
#define HOLD                                                                           \
    "mov %[spin], %%rcx\n\t"                                                           \
    "1: dec %%rcx\n\tjnz 1b\n\t"                                                       \
    "mov %[nanosleep], %%eax\n\tmov %[hold], %%rdi\n\txor %%esi, %%esi\n\tsyscall\n\t"

#define CLOBBERED                                                                      \
    "rax", "rcx", "rdi", "rsi", "r11", "memory", "cc", "st", "st(1)", "st(2)",         \
        "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "xmm0", "xmm1", "xmm2", "xmm3",   \
        "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",     \
        "xmm13", "xmm14", "xmm15"

static const struct timespec hold = { .tv_nsec = HOLD_NS };

static void
hold_sse(const Registers *in, Registers *out)
{
    __asm__ volatile(EACH_VECTOR(SSE_LOAD) X87_LOAD HOLD EACH_VECTOR(SSE_STORE)
                         X87_STORE
                     :
                     : [in] "r"(in), [out] "r"(out), [spin] "i"(SPIN_LOOPS),
                       [nanosleep] "i"(SYS_nanosleep), [hold] "r"(&hold)
                     : CLOBBERED);
}

__attribute__((target("avx"))) static void
hold_avx(const Registers *in, Registers *out)
{
    __asm__ volatile(EACH_VECTOR(AVX_LOAD) X87_LOAD HOLD EACH_VECTOR(AVX_STORE)
                         X87_STORE "vzeroupper\n\t"
                     :
                     : [in] "r"(in), [out] "r"(out), [spin] "i"(SPIN_LOOPS),
                       [nanosleep] "i"(SYS_nanosleep), [hold] "r"(&hold)
                     : CLOBBERED);
}

void
registers_init(void)
{
    __builtin_cpu_init();
    have_avx = __builtin_cpu_supports("avx"); /* with the system's consent (XCR0) */
}

const char *
registers_kind(void)
{
    return have_avx ? "x87+avx" : "x87+sse";
}

/* Control words that differ from the default: a reset of the FPU would show. */
static Registers
pattern(uint64_t seed)
{
    Registers registers = { .mxcsr = 0x1fc0, .control_word = 0x027f };

    for (int i = 0; i < VECTOR_REGISTERS; i++)
        worker_fill(registers.vectors[i], have_avx ? VECTOR_SIZE : VECTOR_SIZE / 2,
                    seed * VECTOR_REGISTERS + (uint64_t)i);
    for (int i = 0; i < X87_REGISTERS; i++)
        registers.x87[i] = (double)(seed % 1000000) + i + 0.25;
    return registers;
}

/* mxcsr's low six bits are sticky flags that nothing here clears. */
static const char *
first_difference(const Registers *in, const Registers *out)
{
    if (memcmp(in->vectors, out->vectors, sizeof(in->vectors)) != 0)
        return have_avx ? "ymm" : "xmm";
    if (memcmp(in->x87, out->x87, sizeof(in->x87)) != 0)
        return "x87 stack";
    if ((in->mxcsr ^ out->mxcsr) & ~0x3fu)
        return "mxcsr";
    if (in->control_word != out->control_word)
        return "x87 control word";
    return NULL;
}

void
registers_step(Tally *tally)
{
    static const Registers usual = { .mxcsr = 0x1f80, .control_word = 0x037f };
    const Registers in = pattern(tally->steps);
    Registers out = { 0 };
    const char *wrong;

    if (have_avx)
        hold_avx(&in, &out);
    else
        hold_sse(&in, &out);
    __asm__ volatile("fldcw %0\n\tldmxcsr %1"
                     :
                     : "m"(usual.control_word), "m"(usual.mxcsr));
    wrong = first_difference(&in, &out);
    if (wrong)
        worker_error(tally, "registers: %s changed in step %llu", wrong,
                     (unsigned long long)tally->steps);
    tally->steps++;
}

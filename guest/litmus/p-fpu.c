/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of x87, SSE and AVX, with their control words. Nothing else in this kernel
 * touches them. `fpu` has x87 and the lower halves of the vector registers, `avx` the
 * upper ones, which fxrstor leaves alone; avx is prepared first.
 */
#include "litmus.h"

enum { FCW = 0, FSW = 2, FTW = 4, MXCSR = 24, ST = 32, XMM = 160, IMAGE = 512 };
enum { ROUND_TO_ZERO_FCW = 0x0f7f, TOP_3 = 3 << 11, ROUND_TO_ZERO_MXCSR = 0x7f80 };
enum { CR4_OSXSAVE = 1 << 18, LEAF1_AVX = 1 << 28, XCR0_AVX = 7 };

/* --- AVX --- */

static uint8_t ymm_set[16][32] __attribute__((aligned(32)));
static uint8_t ymm_got[16][32] __attribute__((aligned(32)));

#define EACH_YMM(do)                                                                   \
    do                                                                                 \
    (0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) do(12) do( \
        13) do(14) do(15)
#define LOAD(n) "vmovdqu 32*" #n "(%0), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", 32*" #n "(%0)\n\t"

static void
load_ymm(void *from)
{
    __asm__ volatile(EACH_YMM(LOAD) : : "r"(from) : "memory");
}

static void
store_ymm(void *to)
{
    __asm__ volatile(EACH_YMM(STORE) : : "r"(to) : "memory");
}

static const char *
prepare_avx(void)
{
    if (machine.slow)
        return "a software KVM emulates no VEX instructions";
    if (!(machine.leaf1.ecx & LEAF1_AVX) || !(read_cr4() & CR4_OSXSAVE) ||
        (xgetbv() & XCR0_AVX) != XCR0_AVX)
        return "no AVX";
    for (unsigned i = 0; i < sizeof(ymm_set); i++)
        ymm_set[i / 32][i % 32] = (uint8_t)(0x80 + i * 37 + i / 32);
    load_ymm(ymm_set);
    return NULL;
}

static const char *
check_avx(void)
{
    int vector = guarded(store_ymm, ymm_got, NULL, NULL);

    if (vector >= 0)
        return say("vmovdqu raises exception %d", vector);
    if ((xgetbv() & XCR0_AVX) != XCR0_AVX)
        return say("XCR0 is %lx", xgetbv());
    for (unsigned i = 0; i < 16; i++)
        if (memcmp(ymm_set[i] + 16, ymm_got[i] + 16, 16) != 0)
            return say("the upper half of ymm%u has changed", i);
    return NULL;
}

PROPERTY(avx) = {
    .name = "avx",
    .flags = BACKGROUND,
    .prepare = prepare_avx,
    .check = check_avx,
};

/* --- x87 and SSE --- */

static uint8_t image[IMAGE] __attribute__((aligned(16)));
static uint8_t got[IMAGE] __attribute__((aligned(16)));

static void
put16(unsigned at, unsigned value)
{
    image[at] = (uint8_t)value;
    image[at + 1] = (uint8_t)(value >> 8);
}

static void
restore(void *from)
{
    __asm__ volatile("fxrstorq (%0)" : : "r"(from) : "memory");
}

static void
save(void *to)
{
    __asm__ volatile("fxsaveq (%0)" : : "r"(to) : "memory");
}

static const char *
prepare_fpu(void)
{
    memset(image, 0, sizeof(image));
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned byte = 0; byte < 8; byte++)
            image[ST + 16 * i + byte] = (uint8_t)(byte == 7 ? 0x80 + i : i * 16 + byte);
        put16(ST + 16 * i + 8, 0x3fff + i);
    }
    for (unsigned i = 0; i < 16 * 16; i++)
        image[XMM + i] = (uint8_t)(i * 91 + 5);
    put16(FCW, ROUND_TO_ZERO_FCW);
    put16(FSW, TOP_3);
    image[FTW] = 0xff; /* none is empty */
    put16(MXCSR, ROUND_TO_ZERO_MXCSR);
    if (guarded(restore, image, NULL, NULL) >= 0)
        return "no fxrstor";
    return NULL;
}

static const char *
check_fpu(void)
{
    int vector = guarded(save, got, NULL, NULL);

    if (vector >= 0)
        return say("fxsave raises exception %d", vector);
    if (memcmp(image + FCW, got + FCW, 4) != 0 || image[FTW] != got[FTW])
        return say("FCW, FSW, FTW are %02x%02x %02x%02x %02x", got[1], got[0], got[3],
                   got[2], got[4]);
    if (memcmp(image + MXCSR, got + MXCSR, 4) != 0)
        return say("MXCSR is %02x%02x", got[MXCSR + 1], got[MXCSR]);
    for (unsigned i = 0; i < 8; i++)
        if (memcmp(image + ST + 16 * i, got + ST + 16 * i, 10) != 0)
            return say("st(%u) has changed", i);
    for (unsigned i = 0; i < 16; i++)
        if (memcmp(image + XMM + 16 * i, got + XMM + 16 * i, 16) != 0)
            return say("xmm%u has changed", i);
    return NULL;
}

PROPERTY(fpu) = {
    .name = "fpu",
    .flags = BACKGROUND,
    .prepare = prepare_fpu,
    .check = check_fpu,
};

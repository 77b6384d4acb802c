/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MSRs keep what was written to them, or what the firmware left there; control
 * registers as well. */
#include "litmus.h"

enum { RDTSCP = 1 << 27, CR4_OSXSAVE = 1 << 18 };

/* What is in each is its value here, or, with 0, what it has already. */
typedef struct {
    uint32_t msr, count;
    uint64_t value;
} Msr;

static const Msr msrs[] = {
    { 0xc0000080, 1, 0 },                  /* EFER */
    { 0xc0000081, 4, 0 },                  /* STAR LSTAR CSTAR SFMASK, of user.c */
    { 0xc0000102, 1, 0xffff888812345678 }, /* KERNEL_GS_BASE */
    { 0xc0000103, 1, 0x00005aa5 },         /* TSC_AUX */
    { 0x174, 1, 0x08 },                    /* SYSENTER_CS ESP EIP */
    { 0x175, 1, 0x123456789000 },
    { 0x176, 1, 0x6789abcde000 },
    { 0x277, 1, 0x0007010600070406 }, /* PAT */
    { 0x1b, 1, 0 },                   /* APIC_BASE */
    { 0x1a0, 1, 0 },                  /* MISC_ENABLE */
    { 0x200, 16, 0 },                 /* MTRRs */
    { 0x250, 1, 0 },
    { 0x258, 2, 0 },
    { 0x268, 8, 0 },
    { 0x2ff, 1, 0 },
};

enum { MOST = 48 };

static uint64_t values[MOST];
static bool known[MOST];

static bool
is_there(uint32_t msr)
{
    return msr != 0xc0000103 || (machine.leaf80000001.edx & RDTSCP);
}

static const char *
prepare(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_ELEMENTS(msrs); i++)
        for (unsigned k = 0; k < msrs[i].count; k++, n++) {
            uint32_t msr = msrs[i].msr + k;

            known[n] = is_there(msr) &&
                       (!msrs[i].value || try_wrmsr(msr, msrs[i].value)) &&
                       try_rdmsr(msr, &values[n]);
        }
    return NULL;
}

static const char *
check(void)
{
    unsigned n = 0;
    uint64_t value;

    for (unsigned i = 0; i < N_ELEMENTS(msrs); i++)
        for (unsigned k = 0; k < msrs[i].count; k++, n++) {
            uint32_t msr = msrs[i].msr + k;

            if (!known[n])
                continue;
            if (!try_rdmsr(msr, &value))
                return say("MSR %x cannot be read any more", msr);
            if (value != values[n])
                return say("MSR %x is %lx, not %lx", msr, value, values[n]);
        }
    return NULL;
}

PROPERTY(msrs) = {
    .name = "msrs",
    .flags = BACKGROUND,
    .prepare = prepare,
    .check = check,
};

/* --- control registers --- */

typedef struct {
    uint64_t cr0, cr3, cr4, cr8, xcr0;
} Controls;

static Controls before;

static Controls
read_controls(void)
{
    Controls ret = { read_cr0(), read_cr3(), read_cr4(), read_cr8(), 0 };

    if (ret.cr4 & CR4_OSXSAVE)
        ret.xcr0 = xgetbv();
    return ret;
}

static const char *
prepare_controls(void)
{
    write_cr8(1); /* nothing here has a vector as low as that */
    before = read_controls();
    return NULL;
}

static const char *
check_controls(void)
{
    Controls after = read_controls();
    uint32_t tpr = apic_read(APIC_TPR);

    write_cr8(0);
    if (memcmp(&before, &after, sizeof(before)) != 0)
        return say("cr0 cr3 cr4 cr8 xcr0: %lx %lx %lx %lx %lx, not %lx %lx %lx %lx %lx",
                   after.cr0, after.cr3, after.cr4, after.cr8, after.xcr0, before.cr0,
                   before.cr3, before.cr4, before.cr8, before.xcr0);
    return tpr == 1 << 4 ? NULL : say("CR8 is 1, TPR %x", tpr);
}

PROPERTY(control_registers) = {
    .name = "control-registers",
    .flags = BACKGROUND,
    .prepare = prepare_controls,
    .check = check_controls,
};

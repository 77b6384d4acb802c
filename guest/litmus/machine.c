/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this machine is, and what the kernel's command line asks for. */
#include "litmus.h"

/* The start of struct hvm_start_info (Xen include/public/arch-x86/hvm/start_info.h). */
typedef struct {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist_paddr, cmdline_paddr;
} StartInfo;

#define MAGIC 0x336ec578u
#define KVM_SIGNATURE 0x4b4d564bu /* CPUID 0x40000000 EBX: "KVMK" */

/* QEMU's fw_cfg (docs/specs/fw_cfg.rst); hw/i386/fw_cfg.c: FW_CFG_NB_CPUS. */
enum { FW_CFG_SELECT = 0x510, FW_CFG_DATA = 0x511, FW_CFG_NB_CPUS = 5 };

extern uint32_t boot_start_info;

Machine machine;

static const char *
command_line(void)
{
    const StartInfo *info = (const void *)(uintptr_t)boot_start_info;

    return info->magic == MAGIC && info->cmdline_paddr
               ? (const char *)(uintptr_t)info->cmdline_paddr
               : "";
}

static bool
begins(const char *text, const char *with, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] != with[i]) /* ends at the text's NUL as well */
            return false;
    return true;
}

/* What follows the word that begins with @name. */
static const char *
find(const char *name)
{
    size_t n = strlen(name);

    for (const char *c = command_line(); *c;) {
        if (begins(c, name, n))
            return c + n;
        while (*c && *c != ' ')
            c++;
        while (*c == ' ')
            c++;
    }
    return NULL;
}

const char *
option(const char *name)
{
    const char *rest = find(name);

    return rest && *rest == '=' ? rest + 1 : NULL;
}

bool
option_flag(const char *name)
{
    const char *rest = find(name);

    return rest && (*rest == ' ' || *rest == '\0');
}

unsigned
option_number(const char *name, unsigned otherwise)
{
    const char *text = option(name);
    unsigned value = 0;

    if (!text)
        return otherwise;
    while (*text >= '0' && *text <= '9')
        value = value * 10 + (unsigned)(*text++ - '0');
    return value;
}

bool
option_lists(const char *name, const char *word)
{
    const char *text = option(name);
    size_t n = strlen(word);

    if (!text)
        return true;
    while (*text && *text != ' ') {
        if (begins(text, word, n) && (text[n] == ',' || text[n] == ' ' || !text[n]))
            return true;
        while (*text && *text != ' ' && *text != ',')
            text++;
        if (*text == ',')
            text++;
    }
    return false;
}

static unsigned
count_vcpus(void)
{
    unsigned low, high, n;

    outw(FW_CFG_SELECT, FW_CFG_NB_CPUS);
    low = inb(FW_CFG_DATA);
    high = inb(FW_CFG_DATA);
    n = high << 8 | low;
    return n < 1 ? 1 : n > MAX_VCPUS ? MAX_VCPUS : n;
}

static void
detect_hypervisor(void)
{
    Cpuid leaf = cpuid(0x40000000, 0);
    uint32_t words[3] = { leaf.ebx, leaf.ecx, leaf.edx };

    memcpy(machine.hypervisor, "none", 5);
    if (!(machine.leaf1.ecx & 1u << 31))
        return;
    memset(machine.hypervisor, 0, sizeof(machine.hypervisor));
    memcpy(machine.hypervisor, words, sizeof(words));
    if (begins(machine.hypervisor, "KVMKVMKVM", 9))
        machine.kvm_features = cpuid(0x40000001, 0).eax;
}

void
machine_detect(void)
{
    machine.leaf1 = cpuid(1, 0);
    if (cpuid(0, 0).eax >= 7)
        machine.leaf7 = cpuid(7, 0);
    machine.leaf80000001 = cpuid(0x80000001, 0);
    machine.slow = option_flag("slow");
    machine.wait_ms = option_number("wait", 800);
    machine.vcpus = count_vcpus();
    detect_hypervisor();
}

/* --- what is turned on --- */

enum {
    CR4_UMIP = 1 << 11,
    CR4_OSXSAVE = 1 << 18,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21
};
enum { XCR0_X87_SSE_AVX = 7 };

static void
set_cr4(void *bit)
{
    write_cr4(read_cr4() | (uintptr_t)bit);
}

static void
set_xcr0(void *value)
{
    xsetbv((uintptr_t)value);
}

/* A KVM in software may show features that it does not have. */
void
cpu_enable(void)
{
    static const struct {
        uint32_t *leaf, feature;
        uintptr_t cr4;
    } features[] = {
        { &machine.leaf7.ebx, 1u << 7, CR4_SMEP },
        { &machine.leaf7.ebx, 1u << 20, CR4_SMAP },
        { &machine.leaf7.ecx, 1u << 2, CR4_UMIP },
    };

    for (unsigned i = 0; i < N_ELEMENTS(features); i++)
        if (*features[i].leaf & features[i].feature)
            guarded(set_cr4, (void *)features[i].cr4, NULL, NULL);
    if (machine.slow || !(machine.leaf1.ecx & 1u << 26))
        return;
    guarded(set_cr4, (void *)CR4_OSXSAVE, NULL, NULL);
    guarded(set_xcr0, (void *)(uintptr_t)(cpuid(0xd, 0).eax & XCR0_X87_SSE_AVX), NULL,
            NULL);
}

bool
in_kvm(void)
{
    return cpuid(0x40000000, 0).ebx == KVM_SIGNATURE;
}

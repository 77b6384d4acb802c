/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of CPU features. Sources are files of QEMU 10.0 unless said. */
#include "qemu/cpu-table.h"

#include <string.h>

#define TCG_LACKS "target/i386/cpu.c: TCG_*_FEATURES"

const MoseCpuRow mose_cpu_excluded[] = {
    { "tsc-deadline",
      "TCG ignores the deadline timer's MSR: the guest's tick would stop for ever",
      TCG_LACKS " \"missing\"" },
    { "pcid", "TCG takes a CR3 write with bit 63 for an exit and never leaves it",
      TCG_LACKS "; tcg/system/misc_helper.c:helper_write_crN" },
    { "invpcid", "TCG does not know the instruction (#UD)", TCG_LACKS },
    { "xsavec", "TCG does not know the instruction (#UD)",
      "cpu.c: TCG_XSAVE_FEATURES" },
    { "xsaves", "TCG does not know the instruction (#UD)",
      "cpu.c: TCG_XSAVE_FEATURES" },
    { "pku", "the XSAVE area holds PKRU elsewhere under TCG than on some processors",
      "kvm/kvm-cpu.c:kvm_cpu_xsave_init, tcg/tcg-cpu.c:x86_tcg_cpu_xsave_init" },
    { "pks", "no KVM offers it, and the MSR is not in the migration stream",
      "machine.c:vmstate_x86_cpu" },
    { "ospke", "goes with pku", "cpu.c:feature_dependencies" },
    { "mpx", "no processor since 2020 has it; its bit of hflags is lost on load",
      "cpu.c: HFLAG_COPY_MASK" },
    { "invtsc", "a guest that has it cannot be migrated",
      "kvm/kvm.c:kvm_arch_init_vcpu" },
    { "monitor", "KVM offers it only where the guest owns its processors",
      "kvm/kvm-cpu.c:kvm_default_props" },
    { "acpi", "thermal control by MSRs that neither side emulates",
      "kvm/kvm-cpu.c:kvm_default_props" },
    { "svm", "state of a nested guest does not survive the change of accelerator",
      "kvm/kvm-cpu.c:kvm_default_props" },
    { "npt", "goes with svm", "cpu.c:feature_dependencies" },
    { "vgif", "goes with svm", "cpu.c:feature_dependencies" },
    { "svme-addr-chk", "goes with svm", "cpu.c:feature_dependencies" },
    { "nrip-save", "goes with svm", "cpu.c:feature_dependencies" },
    { "vmx*", "state of a nested guest does not survive the change of accelerator",
      TCG_LACKS },
    { "kvm-pv-unhalt", "a hypercall: TCG raises #UD", "tcg/system/svm_helper.c" },
    { "kvm-pv-ipi", "a hypercall: TCG raises #UD", "tcg/system/svm_helper.c" },
    { "kvm-pv-sched-yield", "a hypercall: TCG raises #UD", "tcg/system/svm_helper.c" },
    { "kvm-hint-dedicated", "says that a vCPU is never preempted; under TCG it is",
      "Linux Documentation/virt/kvm/x86/cpuid.rst" },
    { "kvm-mmu", "hypercalls of the first KVM: TCG raises #UD",
      "tcg/system/svm_helper.c" },
    { "kvm-msi-ext-dest-id", "interrupt destinations that TCG's APIC cannot reach",
      "kvm/kvm-cpu.c:kvm_default_props" },
    { "hv-*", "MSRs and hypercalls that TCG has no handler for; some do without",
      "kvm/hyperv-proto.h, docs/system/i386/hyperv.rst" },
};
const gsize mose_cpu_n_excluded = G_N_ELEMENTS(mose_cpu_excluded);

#define HYPERV "docs/system/i386/hyperv.rst"

/* Of Hyper-V's enlightenments those are here that need no MSR while the guest runs. Its
 * hypercalls are answered (rule hyperv-hypercall), which is enough for hv-spinlocks=N:
 * no feature, but a number of tries before one. */
const MoseCpuRow mose_cpu_tolerated[] = {
    { "kvmclock", "the clock's page goes on by the TSC, which the stream carries",
      "Linux arch/x86/kernel/kvmclock.c" },
    { "kvmclock-stable-bit", "goes with kvmclock", "Linux arch/x86/kernel/pvclock.c" },
    { "kvm-nopiodelay", "a hint", "Linux Documentation/virt/kvm/x86/cpuid.rst" },
    { "kvm-steal-time",
      "the stolen time stands still; that vCPUs run is said by rule steal-time",
      "machine.c: cpu/steal_time_msr" },
    { "kvm-pv-tlb-flush",
      "only flushes of vCPUs that don't run are left to KVM: rule steal-time",
      "Linux arch/x86/kernel/kvm.c:kvm_flush_tlb_multi" },
    { "kvm-asyncpf", "who waits for a page is woken by rule async-pf",
      "machine.c: cpu/async_pf_msr" },
    { "kvm-asyncpf-int", "goes with kvm-asyncpf", "machine.c: cpu/async_pf_int_msr" },
    { "kvm-asyncpf-vmexit", "the same for guests of the guest",
      "Linux Documentation/virt/kvm/x86/msr.rst" },
    { "kvm-poll-control", "whether the host waits a while for a vCPU that sleeps",
      "Linux Documentation/virt/kvm/x86/msr.rst" },
    { "hv-relaxed", "a hint", HYPERV },
    { "hv-avic", "a hint", HYPERV },
    { "hv-no-nonarch-coresharing", "a hint", HYPERV },
    { "hv-enforce-cpuid", "what KVM lets the guest use", HYPERV },
    { "hv-frequencies", "MSRs that the guest has read at its boot", HYPERV },
    { "hv-crash", "MSRs that a guest writes when it crashes; TCG ignores them",
      HYPERV },
    { "kvm-pv-eoi", "KVM takes its mark back at each exit, and the guest writes EOI",
      "Linux arch/x86/kvm/lapic.c:apic_sync_pv_eoi_from_guest" },
};
const gsize mose_cpu_n_tolerated = G_N_ELEMENTS(mose_cpu_tolerated);

#define IMMUNITY "says that the processor is immune to an attack; no instruction"
#define APM "AMD64 Architecture Programmer's Manual 2 and 3"
#define SDM "Intel SDM 2 and 4"
#define UNUSED_MSR "an MSR whose writes TCG ignores, without effect on results"

const MoseCpuRow mose_cpu_harmless[] = {
    { "ss", "caches watch themselves; nothing that software does depends on it", SDM },
    { "vme", "virtual-8086 mode alone, which a 64-bit guest cannot enter", SDM },
    { "arch-capabilities", "an MSR that the guest has read at its boot", SDM },
    { "rdctl-no", IMMUNITY, SDM },
    { "ibrs-all", IMMUNITY, SDM },
    { "rsba", IMMUNITY, SDM },
    { "skip-l1dfl-vmentry", IMMUNITY, SDM },
    { "ssb-no", IMMUNITY, SDM },
    { "mds-no", IMMUNITY, SDM },
    { "pschange-mc-no", IMMUNITY, SDM },
    { "taa-no", IMMUNITY, SDM },
    { "sbdr-ssdp-no", IMMUNITY, SDM },
    { "fbsdp-no", IMMUNITY, SDM },
    { "psdp-no", IMMUNITY, SDM },
    { "fb-clear", "verw clears buffers; without them it does nothing", SDM },
    { "bhi-no", IMMUNITY, SDM },
    { "pbrsb-no", IMMUNITY, SDM },
    { "gds-no", IMMUNITY, SDM },
    { "rfds-no", IMMUNITY, SDM },
    { "rfds-clear", "verw clears buffers; without them it does nothing", SDM },
    { "amd-no-ssb", IMMUNITY, APM },
    { "null-sel-clr-base", IMMUNITY, APM },
    { "lfence-always-serializing", IMMUNITY, APM },
    { "stibp-always-on", IMMUNITY, APM },
    { "md-clear", "verw clears buffers; without them it does nothing", SDM },
    { "flush-l1d", UNUSED_MSR, SDM },
    { "spec-ctrl", UNUSED_MSR, SDM },
    { "stibp", UNUSED_MSR, SDM },
    { "ssbd", UNUSED_MSR, SDM },
    { "ibpb", UNUSED_MSR, APM },
    { "ibrs", UNUSED_MSR, APM },
    { "amd-stibp", UNUSED_MSR, APM },
    { "amd-ssbd", UNUSED_MSR, APM },
    { "virt-ssbd", UNUSED_MSR, APM },
    { "amd-psfd", UNUSED_MSR, APM },
    { "osvw", "MSRs with the numbers of errata, read at boot", APM },
    { "overflow-recov", "how machine checks are reported; TCG has none", APM },
    { "succor", "how machine checks are reported; TCG has none", APM },
    { "fxsr-opt", "fxsave may leave out what TCG's stores", APM },
    { "perfctr-core", "performance counters, which read 0", APM },
};
const gsize mose_cpu_n_harmless = G_N_ELEMENTS(mose_cpu_harmless);

const char *const mose_cpu_common[] = {
    "abm",   "aes",      "apic",      "arat",    "avx",        "avx2",    "bmi1",
    "bmi2",  "clflush",  "cmov",      "cx16",    "cx8",        "de",      "f16c",
    "fma",   "fpu",      "fsgsbase",  "fxsr",    "hypervisor", "lahf-lm", "lm",
    "mca",   "mce",      "mmx",       "movbe",   "msr",        "mtrr",    "nx",
    "pae",   "pat",      "pclmulqdq", "pdpe1gb", "pge",        "pni",     "popcnt",
    "pse",   "pse36",    "rdrand",    "rdtscp",  "sep",        "smep",    "sse",
    "sse2",  "sse4.1",   "sse4.2",    "ssse3",   "syscall",    "tsc",     "x2apic",
    "xsave", "xsaveopt", NULL,
};

static const MoseCpuRow *
find(const MoseCpuRow *rows, gsize n, const char *name)
{
    for (gsize i = 0; i < n; i++) {
        gsize len = strlen(rows[i].name);

        if (rows[i].name[len - 1] == '*' ? strncmp(rows[i].name, name, len - 1) == 0
                                         : strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

const MoseCpuRow *
mose_cpu_excluded_row(const char *name)
{
    if (mose_cpu_tolerated_row(name) != NULL)
        return NULL;
    return find(mose_cpu_excluded, mose_cpu_n_excluded, name);
}

const MoseCpuRow *
mose_cpu_tolerated_row(const char *name)
{
    return find(mose_cpu_tolerated, mose_cpu_n_tolerated, name);
}

const MoseCpuRow *
mose_cpu_harmless_row(const char *name)
{
    return find(mose_cpu_harmless, mose_cpu_n_harmless, name);
}

gboolean
mose_cpu_is_alias(const char *name)
{
    static const char *const aliases[] = { "sse3",   "pclmuldq", "sse4-1",
                                           "sse4-2", "xd",       "ffxsr",
                                           "i64",    "hv-apicv", NULL };

    return strchr(name, '_') != NULL || g_strv_contains(aliases, name);
}

gboolean
mose_cpu_can_do_without(const char *name)
{
    return mose_cpu_tolerated_row(name) != NULL ||
           (mose_cpu_harmless_row(name) != NULL && mose_cpu_excluded_row(name) == NULL);
}

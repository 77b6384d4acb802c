/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's TSC that does not tick at this host's frequency.
 *
 * KVM can scale it (-cpu tsc-frequency=, and after a migration from another host: QEMU
 * target/i386/kvm/kvm.c:kvm_arch_set_tsc_khz). TCG's ticks as the host's
 * (include/qemu/timer.h:cpu_get_host_ticks), so that the clock which the guest makes of
 * it by the page of kvm-clock runs too fast or too slow. The page is made for this
 * host's frequency, and shows the same time at this moment. KVM, which gets
 * cpu/tsc_khz back, scales again and writes the pages itself.
 *
 * The page tells what it is made for, so that it is set right between two emulators as
 * well. Frequencies are measured against a clock that NTP may slew by 0.05 %
 * (adjtimex(2)): what is nearer than twice that is taken for the same.
 *
 * A guest without this clock has measured its TSC at its boot, or was told: nothing can
 * make it believe another frequency. It is refused if it would be off by more than 1 %;
 * less is what KVM itself may have measured wrongly, on a host that is a guest. So it
 * is between two hosts whose TSCs differ, whatever their accelerators.
 */
#include "stream/rules/list.h"
#include "stream/rules/paravirt.h"

#include "util/error.h"

#define SAME_PPM 1000
#define BEARABLE_PPM 10000

typedef struct {
    const MoseRuleContext *context;
    guint64 tsc; /* of all vCPUs, in the emulator */
    gboolean *changed;
} Work;

static gboolean
differ(guint64 a, guint64 b, guint ppm)
{
    return (unsigned __int128)(a > b ? a - b : b - a) * 1000000 >
           (unsigned __int128)b * ppm;
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *cpu, guint number, gpointer data, GError **error)
{
    const Work *work = data;
    guint64 khz = work->context->tsc_khz, made_for;
    MosePvClock clock;

    if (!mose_pvclock_read(work->context, cpu, &clock))
        return TRUE;
    made_for = mose_pvclock_khz(&clock);
    if (!made_for || !differ(made_for, khz, SAME_PPM) ||
        !mose_pvclock_rebase(&clock, work->tsc, work->tsc) ||
        !mose_pvclock_scale(&clock, khz))
        return TRUE;
    if (mose_pvclock_write(work->context, cpu, &clock))
        *work->changed = TRUE;
    return TRUE;
}

/* The first vCPU stands for the guest. */
static gboolean
bearable(const MoseRuleContext *context, MoseSection *cpu, GError **error)
{
    guint64 scaled = mose_paravirt_msr(cpu, "cpu/tsc_khz", "env.tsc_khz");
    guint64 khz = context->direction == MOSE_KVM_TO_TCG && scaled
                      ? scaled
                      : mose_rule_source_khz(context);
    MosePvClock clock;

    if (!differ(khz, context->tsc_khz, BEARABLE_PPM) ||
        mose_pvclock_read(context, cpu, &clock))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "the guest's TSC ticks at %" G_GUINT64_FORMAT
                " kHz, where it is to go at %" G_GUINT64_FORMAT
                ", and the guest does not use kvm-clock, which could be told",
                khz, context->tsc_khz);
    return FALSE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *timer = mose_doc_find(doc, "timer", 0);
    MoseSection *first = mose_rule_cpu_section(doc, "cpu", 0);
    Work work = { context, 0, ret_changed };

    if (!timer || !first || !context->tsc_khz)
        return TRUE;
    if (!bearable(context, first, error))
        return FALSE;
    /* KVM writes the pages itself. */
    return !(context->direction & MOSE_TO_TCG) ||
           (mose_section_get(timer, "cpu_ticks_offset", &work.tsc, error) &&
            mose_rule_each_cpu(doc, "cpu", rewrite_cpu, &work, error));
}

const MoseRule mose_rule_pvclock_frequency = {
    .name = "pvclock-frequency",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_ANY_WAY,
    .title = "the emulator's TSC ticks at its host's frequency, whatever KVM's, or "
             "that of another host, did",
    .effect = "the guest's clock runs too fast or too slow",
    .fix = "each vCPU's kvm-clock page made for this host's frequency; a guest that "
           "does not use kvm-clock is refused",
    .source = "QEMU target/i386/kvm/kvm.c:kvm_arch_set_tsc_khz, "
              "include/qemu/timer.h:cpu_get_host_ticks; Linux "
              "arch/x86/kvm/x86.c:kvm_guest_time_update",
    .evidence = 'b',
    .test = "vm/paravirt: pvclock-frequency",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

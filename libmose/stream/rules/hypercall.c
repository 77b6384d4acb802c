/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercalls of a KVM that is gone.
 *
 * A Linux that was offered kvm-pv-ipi or kvm-pv-sched-yield calls its hypervisor by
 * vmcall or vmmcall in the middle of its work (arch/x86/kernel/kvm.c: __send_ipi_mask,
 * kvm_smp_send_call_func_ipi). In the emulator both are invalid opcodes
 * (target/i386/tcg/translate.c: case 0xc1, 0xd9): the kernel dies of an oops.
 *
 * They are served where they trap. A few instructions of MOSE's (hypercall-shim.S) go
 * into bytes of the kernel that nobody uses, and the gate of invalid opcodes to them;
 * what is none of their business goes on to the kernel's own handler. On the way back
 * to KVM both are taken out.
 *
 * kvm-pv-unhalt is not served: it lets a vCPU wait for a lock in hlt with interrupts
 * off until another's hypercall wakes it (kvm_wait, kvm_kick_cpu), and out of such a
 * hlt the emulator comes by an NMI alone, which the guest's handler would be told of
 * and report. A guest with it is refused by rule cpu-features.
 */
#include <string.h>

#include "stream/rules/hypercall-shim.h"
#include "stream/rules/kernel-gate.h"
#include "stream/rules/list.h"
#include "util/error.h"

#define HF2_NMI (1u << 2) /* target/i386/cpu.h: HF2_NMI_MASK */
#define APICBASE_ENABLED (1u << 11)
#define APICBASE_X2APIC (1u << 10)
#define APICBASE_ADDRESS G_GUINT64_CONSTANT(0x000ffffffffff000)

/* Linux arch/x86/include/asm/fixmap.h: below the vsyscall page. */
#define FIXMAP G_GUINT64_CONSTANT(0xffffffffff000000)
#define FIXMAP_END G_GUINT64_CONSTANT(0xffffffffff600000)

static const char *const features[] = { "kvm-pv-ipi", "kvm-pv-sched-yield", NULL };

static gboolean
is_lost(const char *const *lost)
{
    for (gsize i = 0; lost && features[i]; i++)
        if (g_strv_contains(lost, features[i]))
            return TRUE;
    return FALSE;
}

static gsize
shim_size(void)
{
    return mose_hypercall_shim_end - mose_hypercall_shim;
}

static gboolean
refused(const char *why, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "the guest makes hypercalls of KVM, which the emulator does not know "
                "and which cannot be served in its kernel: %s",
                why);
    return FALSE;
}

/* The shim at @linear, if it is one; its data in *@ret. */
static gboolean
is_shim(const MoseKernelView *view, guint64 linear, MoseHypercallShim *ret)
{
    g_autofree guint8 *bytes = g_malloc(shim_size());

    if (!mose_kernel_view_read(view, linear, bytes, shim_size()))
        return FALSE;
    memcpy(ret, bytes, sizeof(*ret));
    return ret->magic == MOSE_HYPERCALL_MAGIC &&
           memcmp(bytes + sizeof(*ret), mose_hypercall_shim + sizeof(*ret),
                  shim_size() - sizeof(*ret)) == 0;
}

/* --- into the emulator --- */

/* Where the kernel has the registers at @physical mapped, 0 if nowhere. */
static guint64
find_apic(const MoseGate *gate, MoseDoc *doc, guint64 physical)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);

    for (int half = 0; half < 2; half++) {
        MoseKernelView view;
        MosePageWalk page;

        if (!mose_kernel_view_open(gate->view.context, cpu, half, &view))
            continue;
        for (guint64 at = FIXMAP; at < FIXMAP_END; at += page.left)
            if (mose_kernel_view_page(&view, at, &page) && page.writable &&
                !page.executable && !page.user && page.physical == physical)
                return at;
    }
    return 0;
}

/* How the shim is to reach the APIC: by x2APIC's MSRs, which it finds out for itself,
 * or at *@ret. FALSE where a vCPU could not. */
static gboolean
find_way_to_apic(const MoseGate *gate, MoseDoc *doc, guint64 *ret, GError **error)
{
    MoseSection *apic;

    *ret = 0;
    for (guint i = 0; (apic = mose_rule_cpu_section(doc, "apic", i)); i++) {
        guint64 base;

        if (!mose_section_get(apic, "apicbase", &base, error))
            return FALSE;
        if (!(base & APICBASE_ENABLED) || (base & APICBASE_X2APIC) || *ret)
            continue;
        *ret = find_apic(gate, doc, base & APICBASE_ADDRESS);
        if (!*ret)
            return refused("its local APIC is mapped nowhere", error);
    }
    return TRUE;
}

static gboolean
put_in(const MoseRuleContext *context, MoseDoc *doc, const MoseGate *gate,
       GError **error)
{
    g_autofree guint8 *bytes = g_memdup2(mose_hypercall_shim, shim_size());
    MoseHypercallShim data = { MOSE_HYPERCALL_MAGIC, gate->handler, 0, 0 };
    g_autoptr(GError) why = NULL;
    guint64 linear, physical;
    guint8 fill;

    if (!mose_gate_find_room(gate, doc, shim_size(), &linear, &physical, &fill, &why))
        return refused(why->message, error);
    if (!find_way_to_apic(gate, doc, &data.apic, error))
        return FALSE;
    data.fill = fill;
    memcpy(bytes, &data, sizeof(data));
    if (context->write_memory &&
        context->write_memory(context->data, physical, bytes, shim_size()) &&
        mose_gate_set(gate, linear + sizeof(data)))
        return TRUE;
    return refused("its memory cannot be written", error);
}

static gboolean
to_tcg(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
       GError **error)
{
    g_autoptr(GError) why = NULL;
    MoseHypercallShim data;
    MoseGate gate;

    if (!is_lost(context->lost_features))
        return TRUE;
    if (!mose_gate_find(context, doc, &gate, &why))
        return refused(why->message, error);
    if (is_shim(&gate.view, gate.handler - sizeof(data), &data))
        return TRUE;
    *ret_changed = TRUE;
    return put_in(context, doc, &gate, error);
}

/* --- and back --- */

/* Nobody may be in it: an NMI may have come in between. */
static gboolean
is_idle(MoseDoc *doc, guint64 shim, GError **error)
{
    MoseSection *cpu;

    for (guint i = 0; (cpu = mose_rule_cpu_section(doc, "cpu", i)); i++) {
        guint64 rip, hflags2;

        if (!mose_section_get(cpu, "env.eip", &rip, error) ||
            !mose_section_get(cpu, "env.hflags2", &hflags2, error))
            return FALSE;
        if ((rip < shim || rip - shim >= shim_size()) && !(hflags2 & HF2_NMI))
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                    "vCPU %u is in the middle of a hypercall or an NMI; try again", i);
        return FALSE;
    }
    return TRUE;
}

static gboolean
take_out(const MoseRuleContext *context, const MoseGate *gate, guint64 shim,
         const MoseHypercallShim *data)
{
    g_autofree guint8 *bytes = g_malloc(shim_size());
    guint64 physical;

    memset(bytes, (int)data->fill, shim_size());
    return context->write_memory &&
           mose_kernel_view_physical(&gate->view, shim, shim_size(), &physical) &&
           context->write_memory(context->data, physical, bytes, shim_size()) &&
           mose_gate_set(gate, data->handler);
}

/* A guest without it, as one that has started another kernel, is left alone. */
static gboolean
to_kvm(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
       GError **error)
{
    MoseHypercallShim data;
    MoseGate gate;
    guint64 shim;

    if (!mose_gate_find(context, doc, &gate, NULL))
        return TRUE;
    shim = gate.handler - sizeof(data);
    if (!is_shim(&gate.view, shim, &data) ||
        !mose_kernel_view_is_code(&gate.view, data.handler))
        return TRUE;
    if (!is_idle(doc, shim, error))
        return FALSE;
    *ret_changed = TRUE;
    return take_out(context, &gate, shim, &data) ||
           refused("what serves them cannot be taken out", error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return (context->direction == MOSE_TCG_TO_KVM ? to_kvm : to_tcg)(
        context, doc, ret_changed, error);
}

static gboolean
detect(const MoseFacts *facts)
{
    return is_lost(facts->lost_features);
}

const MoseRule mose_rule_hypercall = {
    .name = "hypercall",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "a Linux that sends its interprocessor interrupts by hypercall",
    .effect =
        "vmcall and vmmcall are invalid opcodes in the emulator: the kernel oopses",
    .fix = "code in unused bytes of the kernel, to which the IDT's gate of invalid "
           "opcodes points, serves them; taken out on the way back. Refused where the "
           "guest is no Linux in which gate, room and APIC are found",
    .source = "QEMU target/i386/tcg/translate.c; Linux arch/x86/kernel/kvm.c: "
              "__send_ipi_mask, arch/x86/kvm/x86.c:kvm_emulate_hypercall, "
              "arch/x86/kernel/vmlinux.lds.S",
    .evidence = 'a',
    .test = "vm/kvm-linux: hypercall",
    .features = features,
    .detect = detect,
    .rewrite = rewrite,
};

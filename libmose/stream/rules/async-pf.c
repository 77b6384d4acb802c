/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous page faults that KVM has begun.
 *
 * Where a page of the guest is not at hand in the host, KVM tells the guest so by a #PF
 * whose CR2 is a token, with `flags` set in the memory that they share; the guest puts
 * the task to sleep. Later KVM puts the token into `token` and raises an interrupt, and
 * the guest wakes the task (Linux Documentation/virt/kvm/x86/msr.rst,
 * MSR_KVM_ASYNC_PF_EN and _INT). In the emulator that never comes: the task sleeps for
 * ever.
 *
 * When a guest arrives KVM wakes all its tasks, whether or not there are any: the token
 * ~0 (arch/x86/kvm/x86.c:kvm_pv_enable_async_pf, virt/kvm/async_pf.c:
 * kvm_async_pf_wakeup_all). They ask for their page again, which an emulator has. So
 * does this rule.
 *
 * A token that the guest has not taken yet may be replaced as long as its interrupt
 * waits. After that the guest may have read it and be about to clear it: it is left to
 * do so, which takes some microseconds.
 *
 * A #PF of this kind that is still to be delivered is forgotten by rule in-flight like
 * any fault. Its `flags` with it: else the guest takes its next real fault for it.
 */
#include "stream/rules/list.h"
#include "stream/rules/paravirt.h"

#include "util/error.h"

#define ADDRESS (~(guint64)0x3f)
/* Linux arch/x86/kvm/x86.c:kvm_pv_async_pf_enabled. With the first alone, as old guests
 * have it, KVM does nothing since Linux 5.8. */
#define ENABLED 1u
#define DELIVERY_AS_INT (1u << 3)

#define TOKEN_ALL G_MAXUINT32
#define PAGE_FAULT 14
#define APIC_SW_ENABLED (1u << 8)
#define FIRST_VECTOR 16 /* that the APIC delivers, SDM 3A 11.5.2 */

/* The beginning of struct kvm_vcpu_pv_apf_data, uapi/asm/kvm_para.h. */
typedef struct {
    guint32 flags;
    guint32 token;
} __attribute__((packed)) Shared;

typedef struct {
    const MoseRuleContext *context;
    gboolean *changed;
} Work;

/* Where it is, of a vCPU that has it; FALSE else. */
static gboolean
is_used(const MoseRuleContext *context, MoseSection *cpu, guint64 *ret_address,
        Shared *ret)
{
    guint64 msr = mose_paravirt_msr(cpu, "cpu/async_pf_msr", "env.async_pf_en_msr");
    guint64 both = ENABLED | DELIVERY_AS_INT;

    *ret_address = msr & ADDRESS;
    return (msr & both) == both &&
           context->read_memory(context->data, *ret_address, ret, sizeof(*ret));
}

/* Whether @vector waits in IRR, or KVM has taken it from there and not delivered. */
static gboolean
waits(MoseSection *cpu, MoseSection *apic, guint vector, gboolean *ret, GError **error)
{
    g_autofree char *irr = g_strdup_printf("irr[%u]", vector / 32);
    guint64 bits, injected;

    if (!mose_section_get(apic, irr, &bits, error) ||
        !mose_section_get(cpu, "env.interrupt_injected", &injected, error))
        return FALSE;
    *ret = (bits >> vector % 32 & 1) || injected == vector;
    return TRUE;
}

static gboolean
raise_interrupt(MoseSection *apic, guint vector, GError **error)
{
    g_autofree char *irr = g_strdup_printf("irr[%u]", vector / 32);
    guint64 bits;

    return mose_section_get(apic, irr, &bits, error) &&
           mose_section_set(apic, irr, bits | 1u << vector % 32, error);
}

/* As kvm_arch_can_dequeue_async_page_present(): the APIC is on, and has the vector. */
static gboolean
can_wake(MoseSection *apic, guint vector, gboolean *ret, GError **error)
{
    guint64 spurious;

    if (!mose_section_get(apic, "spurious_vec", &spurious, error))
        return FALSE;
    *ret = (spurious & APIC_SW_ENABLED) && vector >= FIRST_VECTOR;
    return TRUE;
}

/* Put the token that wakes all into *@shared; whether its interrupt is to be raised. */
static gboolean
wake_all(MoseSection *cpu, MoseSection *apic, guint number, Shared *shared,
         guint *ret_raise, GError **error)
{
    guint64 msr =
        mose_paravirt_msr(cpu, "cpu/async_pf_int_msr", "env.async_pf_int_msr");
    guint vector = msr & 0xff;
    gboolean able, waiting;

    if (!can_wake(apic, vector, &able, error))
        return FALSE;
    if (!able || shared->token == TOKEN_ALL)
        return TRUE;
    if (!waits(cpu, apic, vector, &waiting, error))
        return FALSE;
    if (shared->token && !waiting) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                    "vCPU %u is just taking note of a page that KVM has fetched; try "
                    "again",
                    number);
        return FALSE;
    }
    shared->token = TOKEN_ALL;
    *ret_raise = waiting ? 0 : vector;
    return TRUE;
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *cpu, guint number, gpointer data, GError **error)
{
    const Work *work = data;
    const MoseRuleContext *context = work->context;
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", number);
    guint64 address, exception;
    Shared before, after;
    guint raise = 0;

    if (!apic || !is_used(context, cpu, &address, &before))
        return TRUE;
    if (!mose_section_get(cpu, "env.exception_nr", &exception, error))
        return FALSE;
    after = before;
    if (exception == PAGE_FAULT)
        after.flags = 0;
    if (!wake_all(cpu, apic, number, &after, &raise, error))
        return FALSE;
    if ((after.flags == before.flags && after.token == before.token) ||
        !context->write_memory(context->data, address, &after, sizeof(after)))
        return TRUE;
    *work->changed = TRUE;
    return !raise || raise_interrupt(apic, raise, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    Work work = { context, ret_changed };

    if (!context->read_memory)
        return TRUE;
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, &work, error);
}

const MoseRule mose_rule_async_pf = {
    .name = "async-pf",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "tasks of the guest wait for pages that KVM is fetching",
    .effect = "nobody tells the guest in the emulator that they are there: the tasks "
              "sleep for ever",
    .fix = "as KVM does when a guest arrives: all are woken, by the token ~0 and the "
           "interrupt",
    .source =
        "Linux arch/x86/kvm/x86.c:kvm_pv_enable_async_pf, "
        "kvm_arch_async_page_present, virt/kvm/async_pf.c:kvm_async_pf_wakeup_all",
    .evidence = 'a',
    .test = "vm/paravirt: async-pf",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

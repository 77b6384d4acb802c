/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The type of the task register's segment.
 *
 * In a processor, and so under KVM, it is a busy TSS (type 11, or 3 of 16 bits): VT-x
 * does not enter a guest with another (SDM 3C, 27.3.1.2; Linux arch/x86/kvm/vmx/vmx.c:
 * tr_valid). TCG keeps the descriptor as it was when ltr read it, available (9, or 1;
 * target/i386/tcg/seg_helper.c:helper_ltr), and asks for just that where it looks up
 * the I/O permission bitmap (system/seg_helper.c:helper_check_io): with KVM's, each in
 * and out of user code is refused.
 */
#include "stream/rules/list.h"

/* target/i386/cpu.h: DESC_TSS_BUSY_MASK, DESC_S_MASK, DESC_P_MASK, DESC_TYPE_SHIFT */
#define BUSY (1u << 9)
#define CODE_OR_DATA (1u << 12)
#define PRESENT (1u << 15)
#define TYPE(flags) ((flags) >> 8 & 15)

static gboolean
is_tss(guint64 flags)
{
    /* 1, 3, 9, 11 */
    return (flags & PRESENT) && !(flags & CODE_OR_DATA) && (TYPE(flags) & 5) == 1;
}

typedef struct {
    gboolean to_kvm;
    gboolean *changed;
} Job;

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    const Job *job = data;
    guint64 flags;

    if (!mose_section_get(section, "env.tr.flags", &flags, error))
        return FALSE;
    return !is_tss(flags) ||
           mose_rule_change_bits(section, "env.tr.flags", BUSY, job->to_kvm ? BUSY : 0,
                                 job->changed, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    Job job = { context->direction == MOSE_TCG_TO_KVM, ret_changed };

    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, &job, error);
}

const MoseRule mose_rule_tr_busy = {
    .name = "tr-busy",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_TO_TCG | MOSE_TCG_TO_KVM,
    .title =
        "the task register's segment is a busy TSS (KVM) or an available one (TCG)",
    .effect = "in the emulator user code may use no port that the guest gave it: #GP; "
              "VT-x does not enter the guest",
    .fix = "bit 9 of env.tr.flags cleared, and set on the way back",
    .source = "QEMU target/i386/tcg/seg_helper.c:helper_ltr, "
              "target/i386/tcg/system/seg_helper.c:helper_check_io; Linux "
              "arch/x86/kvm/vmx/vmx.c:tr_valid",
    .evidence = 'b',
    .test = "vm/rules-cpu: tr-busy",
    .rewrite = rewrite,
};

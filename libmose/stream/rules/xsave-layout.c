/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where XSAVE puts PKRU.
 *
 * A guest lays out its XSAVE areas by CPUID leaf 0xD. Under KVM that is the host's
 * (target/i386/kvm/kvm-cpu.c:kvm_cpu_xsave_init), under TCG a fixed one
 * (target/i386/tcg/tcg-cpu.c:x86_tcg_cpu_xsave_init, target/i386/cpu.h: X86XSaveArea).
 * They agree on what is older than PKRU (component 9), which some processors have
 * elsewhere: the areas of tasks that do not run lie in the guest's memory in the one
 * layout, and would be loaded in the other.
 */
#include <cpuid.h>

#include "stream/rules/list.h"
#include "util/error.h"

#define LEAF 0xd
#define PKRU 9
/* target/i386/cpu.h: offsetof(X86XSaveArea, pkru_state) */
#define TCG_PKRU_OFFSET 0xa80u

static gboolean
host_is_as_tcg(void)
{
    unsigned int size, offset, flags, unused;

    return __get_cpuid_count(LEAF, PKRU, &size, &offset, &flags, &unused) &&
           offset == TCG_PKRU_OFFSET;
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    guint64 xcr0;

    if (!mose_section_get(section, "env.xcr0", &xcr0, error))
        return FALSE;
    if (!(xcr0 >> PKRU & 1) || host_is_as_tcg())
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "the guest saves PKRU (protection keys) where this processor has it, "
                "and the emulator has it elsewhere: start it with -cpu ...,pku=off");
    return FALSE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, NULL, error);
}

const MoseRule mose_rule_xsave_layout = {
    .name = "xsave-layout",
    .rule_class = MOSE_HW_EQUIVALENCE,
    .directions = MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "XSAVE has PKRU where the host's processor has it (KVM) or at 0xa80 (TCG)",
    .effect = "protection keys of tasks get lost or mixed up: #PF where there was none",
    .fix = "refused where the two differ and the guest uses them; the portable CPU has "
           "no protection keys",
    .source = "QEMU target/i386/kvm/kvm-cpu.c:kvm_cpu_xsave_init, "
              "target/i386/tcg/tcg-cpu.c:x86_tcg_cpu_xsave_init",
    .evidence = 'c',
    .test = "unit/rules-refusing: xsave-layout",
    .refuses = TRUE,
    .rewrite = rewrite,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page through which a guest with Hyper-V enlightenments calls its hypervisor.
 *
 * The guest names it by an MSR, and KVM puts `vmcall; ret` there, or `vmmcall; ret`
 * with SVM (Linux arch/x86/kvm/hyperv.c:kvm_hv_set_msr_pw): #UD in the emulator. Code
 * is put there that answers as KVM does a call that it does not know
 * (HV_STATUS_INVALID_HYPERCALL_CODE; in rax, or edx:eax for a 32-bit caller:
 * kvm_hv_hypercall_set_result), so that the guest does by itself what it has asked for.
 *
 * A vCPU may stand behind KVM's instruction: its `ret` stays where it is, and the
 * answer goes behind it, into what is left of the page. Back under KVM that is left,
 * for a vCPU which stands there; KVM writes its own instructions as soon as it has the
 * MSR.
 */
#include "stream/rules/list.h"
#include "stream/rules/paravirt.h"

#include <string.h>

#define SUBSECTION "cpu/msr_hyperv_hypercall"
#define ENABLED 1u
#define ADDRESS (~(guint64)0xfff)
#define EFER_LMA (1u << 10)

#define VMCALL 0x0f, 0x01, 0xc1
#define VMMCALL 0x0f, 0x01, 0xd9
#define RET 0xc3
#define JUMP_TO_ANSWER 0xeb, 0x02, 0x90 /* jmp, nop: as long as VMCALL */
#define CLEAR_EDX 0x31, 0xd2            /* xor %edx, %edx */
#define INVALID_CODE 0xb8, 2, 0, 0, 0   /* mov $2, %eax */

static const guint8 answer_64[] = { JUMP_TO_ANSWER, RET, INVALID_CODE, RET };
static const guint8 answer_32[] = { JUMP_TO_ANSWER, RET, CLEAR_EDX, INVALID_CODE, RET };

static gboolean
is_of_kvm(const guint8 *code)
{
    static const guint8 intel[] = { VMCALL, RET }, amd[] = { VMMCALL, RET };

    return memcmp(code, intel, sizeof(intel)) == 0 ||
           memcmp(code, amd, sizeof(amd)) == 0;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    MoseSection *cpu = mose_rule_cpu_section(doc, "cpu", 0);
    guint64 msr, efer;
    guint8 code[4];

    if (!cpu || !context->read_memory)
        return TRUE;
    msr = mose_paravirt_msr(cpu, SUBSECTION, "env.msr_hv_hypercall");
    if (!(msr & ENABLED) ||
        !mose_paravirt_msr(cpu, SUBSECTION, "env.msr_hv_guest_os_id") ||
        !context->read_memory(context->data, msr & ADDRESS, code, sizeof(code)) ||
        !is_of_kvm(code))
        return TRUE;
    if (!mose_section_get(cpu, "env.efer", &efer, error))
        return FALSE;
    *ret_changed = efer & EFER_LMA
                       ? context->write_memory(context->data, msr & ADDRESS, answer_64,
                                               sizeof(answer_64))
                       : context->write_memory(context->data, msr & ADDRESS, answer_32,
                                               sizeof(answer_32));
    return TRUE;
}

const MoseRule mose_rule_hyperv_hypercall = {
    .name = "hyperv-hypercall",
    .rule_class = MOSE_SW_STATE,
    .directions = MOSE_TO_TCG,
    .title = "the guest's Hyper-V hypercall page holds an instruction of KVM's",
    .effect = "#UD in the emulator at the guest's next call",
    .fix = "code that answers HV_STATUS_INVALID_HYPERCALL_CODE; KVM puts its own back",
    .source = "Linux arch/x86/kvm/hyperv.c:kvm_hv_set_msr_pw; QEMU "
              "target/i386/tcg/system/svm_helper.c:helper_vmmcall",
    .evidence = 'b',
    .test = "vm/paravirt: hyperv-hypercall",
    .detect = mose_rule_from_kvm,
    .rewrite = rewrite,
};

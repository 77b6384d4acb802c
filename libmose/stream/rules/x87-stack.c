/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In which order the x87 registers are sent.
 *
 * FXSAVE and XSAVE, and so KVM, have them in the order of the stack, st(0) first (SDM
 * 1, 10.5.1.2). QEMU copies them as they are (target/i386/xsave_helper.c:
 * x86_cpu_xrstor_all_areas), but TCG means physical registers by env.fpregs: st(0) is
 * number TOP (target/i386/tcg/fpu_helper.c: ST()). So a guest that has used its stack,
 * and has not emptied it, finds its registers turned by TOP.
 */
#include "stream/rules/list.h"

enum { REGISTERS = 8, TOP_SHIFT = 11 };

typedef struct {
    guint64 mantissa, exponent;
} Register;

typedef struct {
    gboolean to_kvm;
    gboolean *changed;
} Turn;

static char *
path_of(guint i, const char *part)
{
    return g_strdup_printf("env.fpregs[%u].tmp.tmp_%s", i, part);
}

static gboolean
get(MoseSection *section, guint i, Register *ret, GError **error)
{
    g_autofree char *mantissa = path_of(i, "mant");
    g_autofree char *exponent = path_of(i, "exp");

    return mose_section_get(section, mantissa, &ret->mantissa, error) &&
           mose_section_get(section, exponent, &ret->exponent, error);
}

static gboolean
set(MoseSection *section, guint i, const Register *value, GError **error)
{
    g_autofree char *mantissa = path_of(i, "mant");
    g_autofree char *exponent = path_of(i, "exp");

    return mose_section_set(section, mantissa, value->mantissa, error) &&
           mose_section_set(section, exponent, value->exponent, error);
}

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    const Turn *turn = data;
    Register registers[REGISTERS];
    guint64 status;
    guint top;

    if (!mose_section_get(section, "env.fpus_vmstate", &status, error))
        return FALSE;
    top = status >> TOP_SHIFT & (REGISTERS - 1);
    if (top == 0)
        return TRUE;
    for (guint i = 0; i < REGISTERS; i++)
        if (!get(section, i, &registers[i], error))
            return FALSE;
    *turn->changed = TRUE;
    for (guint i = 0; i < REGISTERS; i++) {
        guint physical = (top + i) % REGISTERS;

        if (!set(section, turn->to_kvm ? i : physical,
                 &registers[turn->to_kvm ? physical : i], error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    Turn turn = { context->direction == MOSE_TCG_TO_KVM, ret_changed };

    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, &turn, error);
}

const MoseRule mose_rule_x87_stack = {
    .name = "x87-stack",
    .rule_class = MOSE_HW_STATE,
    .directions = MOSE_KVM_TO_TCG | MOSE_TCG_TO_KVM,
    .title = "KVM sends the x87 registers in the order of the stack, TCG by number",
    .effect = "st(0) to st(7) are turned by TOP: a computation under way goes wrong",
    .fix = "env.fpregs turned by the TOP of env.fpus_vmstate",
    .source = "QEMU target/i386/xsave_helper.c:x86_cpu_xrstor_all_areas, "
              "target/i386/tcg/fpu_helper.c; SDM 1, 10.5.1.2",
    .evidence = 'a',
    .test = "vm/litmus: without/x87-stack",
    .rewrite = rewrite,
};

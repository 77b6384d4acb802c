/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of address line 20.
 *
 * KVM knows none: a guest that closes it (port 0x92, keyboard controller) goes on to
 * see all of its memory. QEMU notes it all the same (target/i386/helper.c:
 * x86_cpu_set_a20), sends it, and TCG obeys it for each address: every odd megabyte
 * becomes the even one below it. A guest from KVM keeps what it had. A guest that
 * closed the gate in the emulator keeps that as well, as long as it stays there.
 */
#include "stream/rules/list.h"

#define ALL_LINES G_MAXUINT32

static gboolean
rewrite_cpu(MoseDoc *doc, MoseSection *section, guint cpu, gpointer data,
            GError **error)
{
    return mose_rule_change(section, "env.a20_mask", ALL_LINES, data, error);
}

static gboolean
rewrite(const MoseRuleContext *context, MoseDoc *doc, gboolean *ret_changed,
        GError **error)
{
    return mose_rule_each_cpu(doc, "cpu", rewrite_cpu, ret_changed, error);
}

const MoseRule mose_rule_a20 = {
    .name = "a20",
    .rule_class = MOSE_HW_EQUIVALENCE,
    .directions = MOSE_KVM_TO_TCG,
    .title = "KVM has no gate of address line 20, TCG obeys it",
    .effect = "a guest that closed it, without effect, finds other memory in every odd "
              "megabyte, and dies",
    .fix = "env.a20_mask := all lines",
    .source = "QEMU target/i386/helper.c:x86_cpu_set_a20, "
              "target/i386/tcg/system/excp_helper.c; kvm/kvm.c has no word of it",
    .evidence = 'a',
    .test = "vm/rules-kvm: a20",
    .rewrite = rewrite,
};

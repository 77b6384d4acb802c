/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Linux kernel's memory by its page tables (SDM 3A, 4.5), see kernel-view.h. */
#include "stream/rules/kernel-view.h"

#include <string.h>

#include "stream/rules/list.h"

#define CR0_PG (1u << 31)
#define CR4_LA57 (1u << 12)
#define EFER_LMA (1u << 10)
#define EFLAGS_IF (1u << 9)
/* target/i386/cpu.h: HF_CPL_MASK, HF2_NMI_MASK, R_ESP */
#define HFLAGS_CPL 3u
#define HFLAGS2_NMI (1u << 2)
enum { REGISTERS = 16, RSP = 4 };

#define ENTRY_PRESENT 1u
#define ENTRY_WRITABLE 2u
#define ENTRY_USER 4u
#define ENTRY_LARGE (1u << 7)
#define ENTRY_NX (G_GUINT64_CONSTANT(1) << 63)
#define ENTRY_ADDRESS G_GUINT64_CONSTANT(0x000ffffffffff000)

enum { PAGE = 4096, TEXT_MAX = 32 };

gboolean
mose_kernel_view_open(const MoseRuleContext *context, const MoseSection *cpu,
                      gboolean kernel_half, MoseKernelView *ret)
{
    guint64 cr0, cr3, cr4, efer;

    if (!context->read_memory || !mose_section_get(cpu, "env.cr[0]", &cr0, NULL) ||
        !mose_section_get(cpu, "env.cr[3]", &cr3, NULL) ||
        !mose_section_get(cpu, "env.cr[4]", &cr4, NULL) ||
        !mose_section_get(cpu, "env.efer", &efer, NULL) || !(cr0 & CR0_PG) ||
        !(efer & EFER_LMA) || (kernel_half && !(cr3 & PAGE)))
        return FALSE;
    if (kernel_half)
        cr3 &= ~(guint64)PAGE;
    *ret = (MoseKernelView){ context, cr3 & ENTRY_ADDRESS, cr4 & CR4_LA57 ? 5 : 4 };
    return TRUE;
}

gboolean
mose_kernel_view_page(const MoseKernelView *view, guint64 linear, MoseKernelPage *ret)
{
    guint64 table = view->root;

    *ret = (MoseKernelPage){ .writable = TRUE, .executable = TRUE, .user = TRUE };
    for (int level = view->levels; level > 0; level--) {
        int shift = 12 + 9 * (level - 1);
        guint64 size = G_GUINT64_CONSTANT(1) << shift, entry;

        ret->left = size - (linear & (size - 1));
        if (!view->context->read_memory(view->context->data,
                                        table + (linear >> shift & 0x1ff) * 8, &entry,
                                        sizeof(entry)))
            return FALSE;
        entry = GUINT64_FROM_LE(entry);
        if (!(entry & ENTRY_PRESENT))
            return FALSE;
        ret->writable = ret->writable && (entry & ENTRY_WRITABLE);
        ret->user = ret->user && (entry & ENTRY_USER);
        ret->executable = ret->executable && !(entry & ENTRY_NX);
        table = entry & ENTRY_ADDRESS;
        if (level == 1 || (level <= 3 && (entry & ENTRY_LARGE))) {
            ret->physical = (table & ~(size - 1)) | (linear & (size - 1));
            return TRUE;
        }
    }
    return FALSE;
}

gboolean
mose_kernel_view_read(const MoseKernelView *view, guint64 linear, void *to, gsize len)
{
    guint8 *at = to;

    while (len > 0) {
        MoseKernelPage page;
        gsize piece;

        if (!mose_kernel_view_page(view, linear, &page))
            return FALSE;
        piece = MIN(len, page.left);
        if (!view->context->read_memory(view->context->data, page.physical, at, piece))
            return FALSE;
        at += piece;
        linear += piece;
        len -= piece;
    }
    return TRUE;
}

gboolean
mose_kernel_view_physical(const MoseKernelView *view, guint64 linear, gsize len,
                          guint64 *ret)
{
    MoseKernelPage first, page;

    if (!mose_kernel_view_page(view, linear, &first))
        return FALSE;
    *ret = first.physical;
    for (guint64 done = first.left; done < len; done += page.left)
        if (!mose_kernel_view_page(view, linear + done, &page) ||
            page.physical != first.physical + done)
            return FALSE;
    return TRUE;
}

static gboolean
in_image(guint64 linear)
{
    return linear >= MOSE_KERNEL_IMAGE && linear < MOSE_KERNEL_IMAGE_END;
}

gboolean
mose_kernel_view_is_code(const MoseKernelView *view, guint64 linear)
{
    MoseKernelPage page;

    return in_image(linear) && mose_kernel_view_page(view, linear, &page) &&
           page.executable && !page.user;
}

gboolean
mose_kernel_view_has_text(const MoseKernelView *view, guint64 linear, const char *text)
{
    gsize len = strlen(text) + 1;
    char found[TEXT_MAX];

    return len <= sizeof(found) && in_image(linear) &&
           mose_kernel_view_read(view, linear, found, len) &&
           memcmp(found, text, len) == 0;
}

gboolean
mose_kernel_cpl(const MoseSection *cpu, guint *ret, GError **error)
{
    guint64 hflags;

    if (!mose_section_get(cpu, "env.hflags", &hflags, error))
        return FALSE;
    *ret = hflags & HFLAGS_CPL;
    return TRUE;
}

gboolean
mose_kernel_is_atomic(const MoseDoc *doc, guint cpu, gboolean *ret, GError **error)
{
    MoseSection *section = mose_rule_cpu_section(doc, "cpu", cpu);
    MoseSection *common = mose_rule_cpu_section(doc, "cpu_common", cpu);
    guint64 eflags, halted = 0;
    guint cpl;

    *ret = FALSE;
    if (!section)
        return TRUE;
    if ((common && !mose_section_get(common, "halted", &halted, error)) ||
        !mose_section_get(section, "env.eflags", &eflags, error) ||
        !mose_kernel_cpl(section, &cpl, error))
        return FALSE;
    *ret = cpl == 0 && !(eflags & EFLAGS_IF) && !halted;
    return TRUE;
}

/* Whether one of the stack's last words is in the range, or it cannot be read. */
static gboolean
stack_mentions(const MoseKernelView *view, guint64 rsp, guint64 linear, gsize len)
{
    guint64 words[PAGE / 8];
    guint64 first = PAGE - rsp % PAGE;
    gsize readable = PAGE;

    if (rsp % 8 != 0)
        return TRUE;
    if (!mose_kernel_view_read(view, rsp, words, PAGE)) {
        readable = first; /* its end may be that of the page */
        if (!mose_kernel_view_read(view, rsp, words, readable))
            return TRUE;
    }
    for (gsize i = 0; i < readable / 8; i++)
        if (words[i] - linear < len)
            return TRUE;
    return FALSE;
}

gboolean
mose_kernel_mentions(const MoseKernelView *view, const MoseSection *cpu, guint64 linear,
                     gsize len, gboolean *ret, GError **error)
{
    guint64 value, rsp = 0, hflags2;

    if (!mose_section_get(cpu, "env.hflags2", &hflags2, error))
        return FALSE;
    *ret = (hflags2 & HFLAGS2_NMI) != 0;
    for (guint i = 0; i < REGISTERS; i++) {
        g_autofree char *path = g_strdup_printf("env.regs[%u]", i);

        if (!mose_section_get(cpu, path, &value, error))
            return FALSE;
        *ret = *ret || value - linear < len;
        rsp = i == RSP ? value : rsp;
    }
    *ret = *ret || stack_mentions(view, rsp, linear, len);
    return TRUE;
}

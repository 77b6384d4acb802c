/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Linux kernel's memory by its page tables (SDM 3A, 4.5), see kernel-view.h. */
#include "stream/rules/kernel-view.h"

#include <string.h>

#include "stream/rules/list.h"
#include "stream/rules/paging.h"

#define EFLAGS_IF (1u << 9)
/* target/i386/cpu.h: HF_CPL_MASK, HF2_NMI_MASK, R_ESP */
#define HFLAGS_CPL 3u
#define HFLAGS2_NMI (1u << 2)
enum { REGISTERS = 16, RSP = 4 };

enum { PAGE = 4096, TEXT_MAX = 32 };

gboolean
mose_kernel_view_open(const MoseRuleContext *context, const MoseSection *cpu,
                      gboolean kernel_half, MoseKernelView *ret)
{
    MosePaging paging;

    if (!context->read_memory || !mose_paging_of(cpu, &paging) ||
        mose_paging_levels(&paging) < 4 || (kernel_half && !(paging.cr3 & PAGE)))
        return FALSE;
    if (kernel_half)
        paging.cr3 &= ~(guint64)PAGE;
    *ret = (MoseKernelView){ context, paging };
    return TRUE;
}

gboolean
mose_kernel_view_page(const MoseKernelView *view, guint64 linear, MosePageWalk *ret)
{
    return mose_page_walk(&view->paging, view->context->read_memory,
                          view->context->data, linear, ret);
}

gboolean
mose_kernel_view_read(const MoseKernelView *view, guint64 linear, void *to, gsize len)
{
    guint8 *at = to;

    while (len > 0) {
        MosePageWalk page;
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
    MosePageWalk first, page;

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
    MosePageWalk page;

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

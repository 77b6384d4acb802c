/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupt controllers, see irq.h. */
#include "stream/rules/irq.h"

#include "stream/rules/list.h"

#define APIC_SW_ENABLED (1u << 8)
#define APIC_BASE_ENABLED (1u << 11)
#define LVT_MASKED (1u << 16)
#define LVT_MODE(lvt) ((lvt) >> 8 & 7)

enum { EXTINT = 7, NO_IRQ = 8 };

/* The highest bit set in the 256 bits of @name, or -1. */
static gboolean
highest_vector(MoseSection *apic, const char *name, int *ret, GError **error)
{
    *ret = -1;
    for (int i = 7; i >= 0 && *ret < 0; i--) {
        g_autofree char *path = g_strdup_printf("%s[%d]", name, i);
        guint64 bits;

        if (!mose_section_get(apic, path, &bits, error))
            return FALSE;
        if ((guint32)bits)
            *ret = i * 32 + 31 - __builtin_clz((guint32)bits);
    }
    return TRUE;
}

gboolean
mose_irq_apic_pending(MoseSection *apic, gboolean *ret, GError **error)
{
    guint64 spurious, tpr;
    int irr, isr, priority;

    if (!mose_section_get(apic, "spurious_vec", &spurious, error) ||
        !mose_section_get(apic, "tpr", &tpr, error) ||
        !highest_vector(apic, "irr", &irr, error) ||
        !highest_vector(apic, "isr", &isr, error))
        return FALSE;
    priority = MAX((int)tpr >> 4, isr < 0 ? 0 : isr >> 4);
    *ret = (spurious & APIC_SW_ENABLED) && irr >= 0 && (irr >> 4) > priority;
    return TRUE;
}

MoseSection *
mose_irq_pic(const MoseDoc *doc, guint number)
{
    return mose_doc_find(doc, "i8259", number);
}

typedef struct {
    guint64 irr, imr, isr, first, special_mask, fully_nested;
} Pic;

static gboolean
get_pic(const MoseSection *section, Pic *ret, GError **error)
{
    return mose_section_get(section, "irr", &ret->irr, error) &&
           mose_section_get(section, "imr", &ret->imr, error) &&
           mose_section_get(section, "isr", &ret->isr, error) &&
           mose_section_get(section, "priority_add", &ret->first, error) &&
           mose_section_get(section, "special_mask", &ret->special_mask, error) &&
           mose_section_get(section, "special_fully_nested_mode", &ret->fully_nested,
                            error);
}

/* How many come before the first of @lines in the order that begins with @first. */
static int
priority_of(guint64 lines, guint64 first)
{
    for (int i = 0; i < NO_IRQ; i++)
        if (lines >> ((first + i) & 7) & 1)
            return i;
    return NO_IRQ;
}

/* Whether the first PIC raises its output: one that asks comes before all that are
 * in service (QEMU hw/intc/i8259.c:pic_get_irq, Linux arch/x86/kvm/i8259.c). */
static gboolean
pic_raised(const MoseDoc *doc, gboolean *ret, GError **error)
{
    MoseSection *section = mose_irq_pic(doc, 0);
    guint64 served;
    Pic pic;

    *ret = FALSE;
    if (!section)
        return TRUE;
    if (!get_pic(section, &pic, error))
        return FALSE;
    served = pic.isr;
    if (pic.special_mask)
        served &= ~pic.imr;
    if (pic.fully_nested)
        served &= ~(guint64)MOSE_PIC_CASCADE;
    *ret = priority_of(pic.irr & ~pic.imr, pic.first) < priority_of(served, pic.first);
    return TRUE;
}

gboolean
mose_irq_pic_pending(const MoseDoc *doc, guint cpu, gboolean *ret, GError **error)
{
    MoseSection *apic = mose_rule_cpu_section(doc, "apic", cpu);
    guint64 base, lvt;

    if (!pic_raised(doc, ret, error))
        return FALSE;
    if (!*ret)
        return TRUE;
    if (!apic) {
        *ret = cpu == 0;
        return TRUE;
    }
    /* The fourth of the vectors is LINT0's. */
    if (!mose_section_get(apic, "apicbase", &base, error) ||
        !mose_section_get(apic, "lvt[3]", &lvt, error))
        return FALSE;
    *ret = base & APIC_BASE_ENABLED ? !(lvt & LVT_MASKED) && LVT_MODE(lvt) == EXTINT
                                    : cpu == 0;
    return TRUE;
}

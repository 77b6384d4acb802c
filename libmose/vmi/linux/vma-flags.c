/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flags of a mapping in two letters each, as /proc/PID/smaps has them
 * (fs/proc/task_mmu.c:show_smap_vma_flags). */
#include "vmi/linux/vmas.h"

/* Bits 0 to 31, which have not moved since 5.10; NULL: not the same in all kernels. */
static const char *const fixed[32] = {
    "rd", "wr", "ex", "sh", "mr", "mw", "me", "ms", "gd", "um", "pf",
    NULL, "uw", "lo", "io", "sr", "rr", "dc", "de", "lf", "ac", "nr",
    "ht", "sf", "ar", "wf", "dd", "sd", "mm", "hg", "nh", "mg",
};

/* Those that have, by the names of their bits, which are in the types since 7.0 (an
 * enum of include/linux/mm.h). */
static const struct {
    const char *enumerator, *letters;
} named[] = {
    { "VMA_MAYBE_GUARD_BIT", "gu" }, { "VMA_DROPPABLE_BIT", "dp" },
    { "VMA_UFFD_MINOR_BIT", "ui" },  { "VMA_SEALED_BIT", "sl" },
    { "VMA_UFFD_RWP_BIT", "ur" },    { "VMA_SHADOW_STACK_BIT", "ss" },
};

/* VM_DENYWRITE (include/linux/mm.h) up to 5.14, and nothing since. */
#define DENY_WRITE_BIT 11

/* The protection key's, x86: not shown there, either. */
#define KEY_BITS (G_GUINT64_CONSTANT(15) << 32)

static const char *
letters_of(const MoseLinux *kernel, guint bit)
{
    gint64 value;

    if (bit < G_N_ELEMENTS(fixed) && fixed[bit])
        return fixed[bit];
    if (bit == DENY_WRITE_BIT && mose_linux_is_older(kernel, 5, 15))
        return "dw";
    for (guint i = 0; kernel->types && i < G_N_ELEMENTS(named); i++)
        if (mose_types_enumerator(kernel->types, named[i].enumerator, &value) &&
            value == bit)
            return named[i].letters;
    return "??";
}

char *
mose_vma_flags_text(const MoseLinux *kernel, guint64 flags)
{
    GString *text = g_string_new(NULL);

    for (guint bit = 0; bit < 64; bit++)
        if ((flags & ~KEY_BITS) >> bit & 1)
            g_string_append_printf(text, "%s%s", text->len ? " " : "",
                                   letters_of(kernel, bit));
    return g_string_free(text, FALSE);
}

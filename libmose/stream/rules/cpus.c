/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walking the vCPUs of a document. Sections "cpu", "cpu_common" and "apic" come
 * once a vCPU, in vCPU order; their instance numbers differ ("apic" has the APIC
 * id), so the order is what ties them together. And changes of a field that say
 * whether they were any.
 */
#include <string.h>

#include "stream/rules/list.h"

MoseSection *
mose_rule_cpu_section(const MoseDoc *doc, const char *name, guint cpu)
{
    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        MoseSection *section = mose_doc_section(doc, i);

        if (strcmp(mose_section_name(section), name) == 0 && cpu-- == 0)
            return section;
    }
    return NULL;
}

gboolean
mose_rule_each_cpu(MoseDoc *doc, const char *name, MoseEachCpu each, gpointer data,
                   GError **error)
{
    MoseSection *section;

    for (guint cpu = 0; (section = mose_rule_cpu_section(doc, name, cpu)); cpu++)
        if (!each(doc, section, cpu, data, error))
            return FALSE;
    return TRUE;
}

gboolean
mose_rule_change(MoseSection *section, const char *path, guint64 value,
                 gboolean *changed, GError **error)
{
    guint64 old;

    if (!mose_section_get(section, path, &old, error))
        return FALSE;
    if (old == value)
        return TRUE;
    *changed = TRUE;
    return mose_section_set(section, path, value, error);
}

gboolean
mose_rule_change_bits(MoseSection *section, const char *path, guint64 clear,
                      guint64 set, gboolean *changed, GError **error)
{
    guint64 value;

    return mose_section_get(section, path, &value, error) &&
           mose_rule_change(section, path, (value & ~clear) | set, changed, error);
}

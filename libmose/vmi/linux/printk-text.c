/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What records of both of printk's formats are made of. See printk-ring.h. */
#include <string.h>

#include "vmi/linux/printk-ring.h"

void
mose_printk_record_free(MosePrintkRecord *record)
{
    if (!record)
        return;
    g_free(record->text);
    g_strfreev(record->dictionary);
    g_free(record->comm);
    g_free(record);
}

MosePrintkLog *
mose_printk_log_new(void)
{
    MosePrintkLog *log = g_new0(MosePrintkLog, 1);

    log->records =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_printk_record_free);
    return log;
}

void
mose_printk_log_free(MosePrintkLog *log)
{
    if (!log)
        return;
    g_ptr_array_unref(log->records);
    g_free(log);
}

/* What is not told to a terminal as it is, but harmless: line feeds and tabs are the
 * kernel's own formatting, and ACPI's names begin with backslashes. */
static gboolean
is_kept(guint8 c)
{
    return c == '\n' || c == '\t' || c == '\\';
}

char *
mose_printk_text(const guint8 *bytes, gsize len)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (gsize at = 0; at < len;) {
        gsize end = at;

        while (end < len && bytes[end] && !is_kept(bytes[end]))
            end++;
        if (end > at) {
            g_autofree char *piece = g_strndup((const char *)bytes + at, end - at);
            g_autofree char *printable = mose_vmi_printable(piece);

            g_string_append(text, printable);
        }
        if (end < len && is_kept(bytes[end]))
            g_string_append_c(text, (char)bytes[end]);
        else if (end < len)
            g_string_append(text, "\\x00");
        at = end + 1;
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

guint64
mose_printk_number(const guint8 *bytes, const MoseMember *member)
{
    guint64 value = 0;

    for (gsize i = MIN(member->size, 8); i > 0; i--)
        value = value << 8 | bytes[member->offset + i - 1];
    if (!member->bits)
        return value;
    value >>= member->bit;
    return member->bits < 64 ? value & ((G_GUINT64_CONSTANT(1) << member->bits) - 1)
                             : value;
}

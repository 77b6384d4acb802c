/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's option strings taken apart and put together; see optstr.h. */
#include "qemu/optstr.h"

#include <string.h>

GPtrArray *
mose_optstr_split(const char *text)
{
    GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) part = g_string_new(NULL);

    for (const char *p = text;; p++) {
        if (*p == ',' && p[1] == ',') {
            g_string_append_c(part, ',');
            p++;
        } else if (*p == ',' || *p == '\0') {
            g_ptr_array_add(parts, g_strdup(part->str));
            g_string_truncate(part, 0);
        } else {
            g_string_append_c(part, *p);
        }
        if (*p == '\0')
            return parts;
    }
}

char *
mose_optstr_join(const GPtrArray *parts)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < parts->len; i++) {
        if (i > 0)
            g_string_append_c(text, ',');
        for (const char *p = parts->pdata[i]; *p; p++) {
            g_string_append_c(text, *p);
            if (*p == ',')
                g_string_append_c(text, ',');
        }
    }
    return g_string_free(text, FALSE);
}

/* The part's value if its key is @key: "" for a bare flag. */
static const char *
value_of(const char *part, const char *key)
{
    gsize len = strlen(key);

    if (strncmp(part, key, len) != 0)
        return NULL;
    if (part[len] == '=')
        return part + len + 1;
    return part[len] == '\0' ? "" : NULL;
}

const char *
mose_optstr_get(const GPtrArray *parts, const char *key)
{
    const char *ret = NULL;

    for (guint i = 0; i < parts->len; i++) {
        const char *value = value_of(parts->pdata[i], key);

        if (value)
            ret = value;
    }
    return ret;
}

gboolean
mose_optstr_is_on(const GPtrArray *parts, const char *key, gboolean fallback)
{
    const char *value = mose_optstr_get(parts, key);

    if (!value)
        return fallback;
    return *value == '\0' || strcmp(value, "on") == 0 || strcmp(value, "yes") == 0 ||
           strcmp(value, "true") == 0 || strcmp(value, "y") == 0;
}

void
mose_optstr_set(GPtrArray *parts, const char *key, const char *value)
{
    char *text = g_strdup_printf("%s=%s", key, value);

    for (guint i = 0; i < parts->len; i++) {
        if (!value_of(parts->pdata[i], key))
            continue;
        g_free(parts->pdata[i]);
        parts->pdata[i] = text;
        return;
    }
    g_ptr_array_add(parts, text);
}

void
mose_optstr_drop(GPtrArray *parts, const char *key)
{
    g_autofree char *negated = g_strconcat("no", key, NULL);

    for (guint i = parts->len; i-- > 0;)
        if (value_of(parts->pdata[i], key) || strcmp(parts->pdata[i], negated) == 0)
            g_ptr_array_remove_index(parts, i);
}

gboolean
mose_optstr_size(const char *text, guint64 unit, guint64 *ret)
{
    static const char suffixes[] = "BKMGTPE";
    char *end;
    guint64 value;

    if (!g_ascii_isdigit(*text))
        return FALSE;
    value = g_ascii_strtoull(text, &end, 10);
    if (*end) {
        const char *suffix = strchr(suffixes, g_ascii_toupper(*end));

        if (!suffix || end[1])
            return FALSE;
        unit = (guint64)1 << (10 * (suffix - suffixes));
    }
    return value > 0 && g_uint64_checked_mul(ret, value, unit);
}

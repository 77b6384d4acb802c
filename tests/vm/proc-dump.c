/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Readings of /proc. See proc-dump.h. */
#include "vm/proc-dump.h"

#include <stdlib.h>
#include <string.h>

static const char command[] =
    "{ grep -H '' /proc/[0-9]*/maps /proc/[0-9]*/mountinfo /proc/[0-9]*/fdinfo/*; "
    "grep -H -E '^([0-9a-f]+-|(Rss|Swap|VmFlags):)' /proc/[0-9]*/smaps; "
    "stat -c %N /proc/[0-9]*/fd/* /proc/[0-9]*/cwd /proc/[0-9]*/root "
    "/proc/[0-9]*/exe; } 2>/dev/null; echo /proc/$$/shell:";

/* "'/proc/1/cwd' -> '/'" */
static void
add_link(GHashTable *dump, const char *line)
{
    static const char arrow[] = "' -> '";
    const char *at = strstr(line, arrow);
    gsize len = strlen(line);

    if (!at || !g_str_has_prefix(line, "'/proc/") || line[len - 1] != '\'')
        g_error("no link: %s", line);
    line += strlen("'/proc/");
    at += strlen(arrow);
    g_hash_table_replace(dump, g_strndup(line, at - strlen(arrow) - line),
                         g_strndup(at, strlen(at) - 1));
}

/* "/proc/1/maps:00400000-..." */
static void
add_text(GHashTable *texts, const char *line)
{
    const char *colon = strchr(line, ':');
    g_autofree char *name = NULL;
    GString *text;

    g_assert_nonnull(colon);
    line += strlen("/proc/");
    name = g_strndup(line, colon - line);
    text = g_hash_table_lookup(texts, name);
    if (!text) {
        text = g_string_new(NULL);
        g_hash_table_insert(texts, g_steal_pointer(&name), text);
    }
    g_string_append_printf(text, "%s\n", colon + 1);
}

/* It reads its own open files while they are others than at any other time. */
static void
leave_out_shell(GHashTable *dump)
{
    GHashTableIter iter;
    gpointer name;
    int shell = 0;

    g_hash_table_iter_init(&iter, dump);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        shell = MAX(shell, proc_dump_pid(name, "shell"));
    g_assert_cmpint(shell, >, 0);
    g_hash_table_iter_init(&iter, dump);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        if (atoi(name) == shell && !proc_dump_pid(name, "shell"))
            g_hash_table_iter_remove(&iter);
}

GHashTable *
proc_dump(const VmGuest *guest)
{
    GHashTable *dump = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GHashTable) texts = g_hash_table_new(g_str_hash, g_str_equal);
    g_autofree char *said = vm_guest_output(guest, command, NULL);
    g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
    GHashTableIter iter;
    gpointer name, text;

    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, "/proc/"))
            add_text(texts, *line);
        else if (**line)
            add_link(dump, *line);
    g_hash_table_iter_init(&iter, texts);
    while (g_hash_table_iter_next(&iter, &name, &text))
        g_hash_table_replace(dump, name, g_string_free(text, FALSE));
    leave_out_shell(dump);
    return dump;
}

GHashTable *
proc_dump_common(GHashTable *one, GHashTable *other)
{
    GHashTableIter iter;
    gpointer name, text;

    g_hash_table_iter_init(&iter, one);
    while (g_hash_table_iter_next(&iter, &name, &text))
        if (g_strcmp0(text, g_hash_table_lookup(other, name)) != 0)
            g_hash_table_iter_remove(&iter);
    g_hash_table_unref(other);
    return one;
}

int
proc_dump_pid(const char *name, const char *what)
{
    const char *slash = strchr(name, '/');

    return slash && strcmp(slash + 1, what) == 0 ? atoi(name) : 0;
}

char *
proc_dump_unescape(const char *text)
{
    GString *ret = g_string_new(NULL);

    for (; *text; text++) {
        if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] && text[3]) {
            g_string_append_c(ret, (text[1] - '0') << 6 | (text[2] - '0') << 3 |
                                       (text[3] - '0'));
            text += 3;
        } else {
            g_string_append_c(ret, *text);
        }
    }
    return g_string_free(ret, FALSE);
}

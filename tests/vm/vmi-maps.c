/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings, open files and mounts of all processes of guests with several kernels,
 * compared with what their own /proc says.
 */
#include <string.h>

#include "util/json.h"
#include "vm/proc-dump.h"
#include "vm/proc-look.h"
#include "vmi/space.h"
#include "vm/vmi.h"

/* --- maps --- */

enum { NAME_COLUMN = 73 };

/* The names as a terminal may show them. */
static char *
maps_of_proc(const char *text)
{
    GString *ret = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line && (*line)[0]; line++) {
        g_autofree char *start = g_strndup(*line, NAME_COLUMN);
        g_autofree char *name = strlen(*line) > NAME_COLUMN
                                    ? mose_vmi_printable(*line + NAME_COLUMN)
                                    : g_strdup("");

        g_string_append_printf(ret, "%s%s\n", start, name);
    }
    return g_string_free(ret, FALSE);
}

static void
test_maps(const KernelsGuest *guest)
{
    ProcLook seen = proc_look_begin(guest);
    g_autoptr(GHashTable) got = proc_look_at_all(&seen, "maps", "maps");
    g_autoptr(GHashTable) same = proc_look_end(&seen, "maps", 6);
    GHashTableIter iter;
    gpointer name, text;
    guint n = 0, n_gone = 0;

    g_hash_table_iter_init(&iter, same);
    while (g_hash_table_iter_next(&iter, &name, &text)) {
        g_autofree char *expected = NULL;

        if (!proc_dump_pid(name, "maps"))
            continue;
        expected = maps_of_proc(text);
        proc_look_assert_same(guest->vm->name, name, g_hash_table_lookup(got, name),
                              expected);
        n++;
        n_gone += strstr(text, "/run/w/busybox-gone (deleted)") != NULL;
    }
    g_assert_cmpuint(n, >=, 30);
    g_assert_cmpuint(n_gone, ==, 1);
}

/* --- pages and flags --- */

/* Rows of `mose maps --pages --json` in the words of smaps, without what it does not
 * count: pages that are no memory. */
static char *
smaps_of_rows(JsonObject *object)
{
    GString *ret = g_string_new(NULL);
    JsonArray *rows = mose_json_array(object, "maps");

    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = mose_json_element(rows, i);
        const char *flags = mose_json_string(row, "vm_flags", "?");

        g_string_append_printf(
            ret, "%s Rss %" G_GINT64_FORMAT " Swap %" G_GINT64_FORMAT " %s\n",
            mose_json_string(row, "start", "0x") + 2,
            strstr(flags, "pf") ? 0 : mose_json_int(row, "present", -1) >> 10,
            mose_json_int(row, "swapped", -1) >> 10, flags);
    }
    return g_string_free(ret, FALSE);
}

static char *
smaps_of_proc(const char *text)
{
    GString *ret = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line && (*line)[0]; line++) {
        char *value = strchr(*line, ':');

        if (g_str_has_prefix(*line, "Rss:"))
            g_string_append_printf(ret, " Rss %d", atoi(value + 1));
        else if (g_str_has_prefix(*line, "Swap:"))
            g_string_append_printf(ret, " Swap %d", atoi(value + 1));
        else if (g_str_has_prefix(*line, "VmFlags:"))
            g_string_append_printf(ret, " %s\n", g_strstrip(value + 1));
        else
            /* Addresses have eight digits at least there. */
            g_string_append_printf(ret, "%" G_GINT64_MODIFIER "x",
                                   g_ascii_strtoull(*line, NULL, 16));
    }
    return g_string_free(ret, FALSE);
}

static char *
look_at_pages(const KernelsGuest *guest, int pid)
{
    g_autofree char *word = g_strdup_printf("%d", pid);
    g_autoptr(JsonObject) object =
        vm_mose_json("maps", guest->vm->name, word, "--pages", NULL);

    return smaps_of_rows(object);
}

static void
check_pages(const KernelsGuest *guest, GHashTable *same, int pid, const char *got)
{
    g_autofree char *name = g_strdup_printf("%d/smaps", pid);
    const char *text = g_hash_table_lookup(same, name);
    g_autofree char *expected = NULL;

    g_assert_nonnull(text);
    expected = smaps_of_proc(text);
    proc_look_assert_same(guest->vm->name, name, got, expected);
}

static void
test_pages(const KernelsGuest *guest)
{
    g_autofree char *self = kernels_line(guest->witness, "self", NULL, NULL);
    int witness = (int)kernels_number(self, "pid");
    ProcLook look = proc_look_begin(guest);
    g_autofree char *first = look_at_pages(guest, 1);
    g_autofree char *other = look_at_pages(guest, witness);
    g_autoptr(GHashTable) same = proc_look_end(&look, "smaps", 8);

    check_pages(guest, same, 1, first);
    check_pages(guest, same, witness, other);
}

/* --- files --- */

static gboolean has_inodes; /* in fdinfo */

/* "pos flags mnt_id ino path" of fdinfo's lines and the link; the inode is there since
 * Linux 5.14. */
static char *
fd_text(const char *info, const char *link)
{
    g_auto(GStrv) lines = g_strsplit(info, "\n", -1);
    g_autofree char *path = mose_vmi_printable(link);
    GString *ret = g_string_new(NULL);

    for (guint i = 0; i < (has_inodes ? 4 : 3); i++)
        g_string_append_printf(ret, "%s ", strchr(lines[i], '\t') + 1);
    g_string_append(ret, path);
    return g_string_free(ret, FALSE);
}

/* By "PID/fd/N", "PID/cwd", ... */
static GHashTable *
files_of_proc(GHashTable *dump)
{
    GHashTable *files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    GHashTableIter iter;
    gpointer name, text;

    g_hash_table_iter_init(&iter, dump);
    while (g_hash_table_iter_next(&iter, &name, &text)) {
        g_auto(GStrv) parts = g_strsplit(name, "/", -1);
        g_autofree char *info_name = NULL;
        const char *info;

        if (strcmp(parts[1], "fd") == 0) {
            info_name = g_strdup_printf("%s/fdinfo/%s", parts[0], parts[2]);
            info = g_hash_table_lookup(dump, info_name);
            if (info)
                g_hash_table_insert(files, g_strdup(name), fd_text(info, text));
        } else if (strcmp(parts[1], "cwd") == 0 || strcmp(parts[1], "root") == 0 ||
                   strcmp(parts[1], "exe") == 0) {
            g_hash_table_insert(files, g_strdup(name), mose_vmi_printable(text));
        }
    }
    return files;
}

static GHashTable *
files_of_rows(JsonObject *object)
{
    GHashTable *files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    JsonArray *rows = mose_json_array(object, "files");

    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = mose_json_element(rows, i);
        const char *fd = mose_json_string(row, "fd", "?"),
                   *path = mose_json_string(row, "path", "?");
        gboolean is_fd = g_ascii_isdigit(*fd);
        char *name = g_strdup_printf("%d/%s%s", (int)mose_json_int(row, "pid", -1),
                                     is_fd ? "fd/" : "", fd);
        g_autofree char *inode = has_inodes
                                     ? g_strdup_printf("%" G_GINT64_FORMAT " ",
                                                       mose_json_int(row, "inode", -1))
                                     : g_strdup("");
        char *text =
            is_fd ? g_strdup_printf("%" G_GINT64_FORMAT " %s %" G_GINT64_FORMAT " %s%s",
                                    mose_json_int(row, "position", -1),
                                    mose_json_string(row, "flags", "?"),
                                    mose_json_int(row, "mount", -1), inode, path)
                  : g_strdup(path);

        g_assert_true(g_hash_table_insert(files, name, text));
    }
    return files;
}

static void
assert_files(const KernelsGuest *guest, GHashTable *got, GHashTable *expected)
{
    GHashTableIter iter;
    gpointer name, text;

    g_hash_table_iter_init(&iter, expected);
    while (g_hash_table_iter_next(&iter, &name, &text))
        proc_look_assert_same(guest->vm->name, name, g_hash_table_lookup(got, name),
                              text);
}

/* All that is seen was there before or after. */
static void
assert_no_others(GHashTable *got, GHashTable *before, GHashTable *after,
                 GHashTable *dump)
{
    GHashTableIter iter;
    gpointer name, text;

    g_hash_table_iter_init(&iter, got);
    while (g_hash_table_iter_next(&iter, &name, &text)) {
        g_autofree char *shell = g_strdup_printf("%d/shell", atoi(name));

        if (!g_hash_table_contains(before, name) &&
            !g_hash_table_contains(after, name) && !g_hash_table_contains(dump, shell))
            g_error("%s is in no /proc: %s", (char *)name, (char *)text);
    }
}

static guint
count_containing(GHashTable *files, const char *words)
{
    GHashTableIter iter;
    gpointer text;
    guint n = 0;

    g_hash_table_iter_init(&iter, files);
    while (g_hash_table_iter_next(&iter, NULL, &text))
        n += strstr(text, words) != NULL;
    return n;
}

static void
compare_files(const KernelsGuest *guest)
{
    static const char *const must[] = {
        "/run/w/x y",      "\\x5cslash",           "\\x09bell\\x07",
        "/run/w/ä",        "/unlinked (deleted)",  "/dead (deleted)",
        "memfd:wit-memfd", "anon_inode:[eventfd]", "socket:[",
        "pipe:[",          "/run/w/root",          "/run/w/many/99"
    };
    ProcLook seen = proc_look_begin(guest);
    g_autoptr(GHashTable) before = files_of_proc(seen.before);
    g_autoptr(GHashTable) unchanged = files_of_proc(seen.before);
    g_autoptr(JsonObject) object = vm_mose_json("files", guest->vm->name, NULL);
    g_autoptr(GHashTable) got = files_of_rows(object);
    g_autoptr(GHashTable) dump = proc_dump(guest->vm);
    g_autoptr(GHashTable) after = files_of_proc(dump);
    g_autoptr(GHashTable) same =
        proc_dump_common(g_steal_pointer(&unchanged), g_hash_table_ref(after));

    g_hash_table_unref(seen.before);
    assert_files(guest, got, same);
    g_assert_cmpuint(g_hash_table_size(same), >, 400);
    for (guint i = 0; i < G_N_ELEMENTS(must); i++)
        if (count_containing(same, must[i]) == 0)
            g_error("nobody has %s open", must[i]);
    assert_no_others(got, before, after, dump);
}

static void
test_files(const KernelsGuest *guest)
{
    has_inodes = !kernels_is_older(guest, 5, 14);
    compare_files(guest);
}

/* --- mounts --- */

/* As `mose mounts` prints it: names printable, without what file systems add. */
static char *
mount_of_proc(const char *line)
{
    static const char *const known[] = { "ro",   "rw",       "sync", "dirsync",
                                         "mand", "lazytime", NULL };
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    guint last = g_strv_length(words) - 1;
    g_auto(GStrv) options = g_strsplit(words[last], ",", -1);
    GString *ret = g_string_new(NULL);

    for (guint i = 0; i < last; i++) {
        g_autofree char *plain = proc_dump_unescape(words[i]);
        g_autofree char *printable = mose_vmi_printable(plain);
        g_auto(GStrv) parts = g_strsplit(printable, " ", -1);
        g_autofree char *word = g_strjoinv("\\x20", parts);

        g_string_append_printf(ret, "%s ", word);
    }
    for (char **option = options; *option; option++)
        if (g_strv_contains(known, *option))
            g_string_append_printf(ret, "%s%s", option == options ? "" : ",", *option);
    return g_string_free(ret, FALSE);
}

static char *
mounts_of_proc(const char *text)
{
    GString *ret = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line && (*line)[0]; line++) {
        g_autofree char *one = mount_of_proc(*line);

        g_string_append_printf(ret, "%s\n", one);
    }
    return g_string_free(ret, FALSE);
}

/* Of those who see the same mounts, one is looked at. */
static GHashTable *
leave_one_of_each(GHashTable *dump)
{
    GHashTable *texts = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iter;
    gpointer name, text;

    g_hash_table_iter_init(&iter, dump);
    while (g_hash_table_iter_next(&iter, &name, &text))
        if (proc_dump_pid(name, "mountinfo") && !g_hash_table_contains(texts, text))
            g_hash_table_insert(texts, text, name);
    return texts;
}

static void
test_mounts(const KernelsGuest *guest)
{
    static const char *const must[] = { "/run/w/a\\x20b ", " src\\x20x ",  " shared:",
                                        " master:",        " unbindable ", "//deleted ",
                                        " uts:[",          "wit-source" };
    ProcLook seen = proc_look_begin(guest);
    g_autoptr(GHashTable) texts = leave_one_of_each(seen.before);
    g_autoptr(GString) all = g_string_new(NULL);
    GHashTableIter iter;
    gpointer name, text;

    g_hash_table_iter_init(&iter, texts);
    while (g_hash_table_iter_next(&iter, &text, &name)) {
        g_autofree char *got = proc_look_mose(guest, "mounts", atoi(name));
        g_autofree char *expected = mounts_of_proc(text);

        proc_look_assert_same(guest->vm->name, name, got, expected);
        g_string_append(all, expected);
    }
    /* The first one, the slave, the one in a chroot, the witness's. */
    g_assert_cmpuint(g_hash_table_size(texts), >=, 4);
    for (guint i = 0; i < G_N_ELEMENTS(must); i++)
        if (!strstr(all->str, must[i]))
            g_error("no mount has '%s': %s", must[i], all->str);
    g_hash_table_unref(seen.before);
}

void
vmi_maps_add(void)
{
    kernels_add("/vmi-maps/maps", test_maps);
    kernels_add("/vmi-maps/pages", test_pages);
    kernels_add("/vmi-maps/files", test_files);
    kernels_add("/vmi-maps/mounts", test_mounts);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What crash says of types, by debug information and not by BTF, and of memory. See
 * vmi-crash.c. */
#include <string.h>

#include "lib/vm.h"
#include "util/json.h"
#include "vmi-crash.h"

static const char *const types[] = {
    "task_struct",   "mm_struct", "vm_area_struct", "file",    "dentry", "inode",
    "super_block",   "mount",     "module",         "sk_buff", "sock",   "net_device",
    "signal_struct", "cred",      "irq_desc",       "nsproxy",
};

/* --- types --- */

static char *
struct_command(const char *name)
{
    return g_strdup_printf("struct -o %s", name);
}

/* Those of anonymous structs among the rest; of a bit field the byte that it begins in.
 */
static void
append_members(GPtrArray *lines, JsonArray *members)
{
    for (guint i = 0; i < json_array_get_length(members); i++) {
        JsonObject *member = mose_json_element(members, i);
        const char *name = mose_json_string(member, "name", "");
        gint64 offset =
            mose_json_int(member, "offset", -1) + mose_json_int(member, "bit", 0) / 8;

        if (*name)
            g_ptr_array_add(lines,
                            g_strdup_printf("%" G_GINT64_FORMAT " %s", offset, name));
        else
            append_members(lines, crash_array(member, "members"));
    }
}

/* crash looks for offsets by a member's name alone, so what is in a named struct
 * without a type has one if its name is elsewhere, too: each is looked at once. */
static GPtrArray *
once(GPtrArray *lines)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    GPtrArray *ret = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < lines->len; i++)
        if (g_hash_table_add(seen, g_ptr_array_index(lines, i)))
            g_ptr_array_add(ret, g_strdup(g_ptr_array_index(lines, i)));
    return ret;
}

static void
compare_type(const CrashWorld *world, const char *name, const char *text)
{
    g_autoptr(JsonObject) object = crash_mose(world, "type", name);
    JsonArray *expressions = crash_array(object, "expressions");
    JsonObject *layout = mose_json_child(mose_json_element(expressions, 0), "layout");
    g_autoptr(GPtrArray) ours = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray)
        theirs = NULL,
        all = crash_lines(
            text, "^ *\\[(\\d+)\\] .*?(\\w+)(?:\\)\\(.*\\)|\\[.*\\]| : \\d+)*;$",
            "\\1 \\2");
    g_autoptr(GPtrArray) size = crash_lines(text, "^SIZE: (\\d+)$", "SIZE \\1");

    append_members(ours, crash_array(layout, "members"));
    g_ptr_array_add(ours, g_strdup_printf("SIZE %" G_GINT64_FORMAT,
                                          mose_json_int(layout, "size", -1)));
    g_ptr_array_extend_and_steal(all, g_steal_pointer(&size));
    theirs = once(all);
    crash_compare(name, ours, theirs);
}

void
crash_type_commands(GPtrArray *commands)
{
    for (guint i = 0; i < G_N_ELEMENTS(types); i++)
        g_ptr_array_add(commands, struct_command(types[i]));
}

void
test_crash_types(const CrashWorld *world)
{
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        g_autofree char *command = struct_command(types[i]);
        const char *text = crash_answer(world, command);

        if (!text)
            return;
        compare_type(world, types[i], text);
    }
}

/* --- memory --- */

/* What is at @where, words of 8 bytes, two in a line. */
static GPtrArray *
our_words(const CrashWorld *world, const char *where, const char *option, guint pairs)
{
    g_autofree char *path = vm_path("read"), *length = NULL, *text = NULL;
    g_autoptr(JsonObject) object = NULL;
    GPtrArray *ret = g_ptr_array_new_with_free_func(g_free);
    guint64 address;
    gsize size;

    length = g_strdup_printf("%u", pairs * 16);
    object = vm_mose_json("read", world->core, where, "16", option, NULL);
    address = g_ascii_strtoull(mose_json_string(object, "address", ""), NULL, 16);
    g_assert_cmpint(vm_mose(NULL, NULL, "read", world->core, where, length, "--raw",
                            "--output", path, option, NULL),
                    ==, 0);
    g_assert_true(g_file_get_contents(path, &text, &size, NULL));
    g_assert_cmpuint(size, ==, pairs * 16);
    for (guint i = 0; i < pairs; i++) {
        guint64 words[2];

        memcpy(words, text + i * sizeof(words), sizeof(words));
        g_ptr_array_add(
            ret, g_strdup_printf("%" G_GINT64_MODIFIER "x: %016" G_GINT64_MODIFIER
                                 "x %016" G_GINT64_MODIFIER "x",
                                 address + i * sizeof(words), GUINT64_FROM_LE(words[0]),
                                 GUINT64_FROM_LE(words[1])));
    }
    return ret;
}

static void
compare_words(const char *what, GPtrArray *ours, const char *text)
{
    g_autoptr(GPtrArray) theirs = crash_lines(
        text, "^ *([0-9a-f]+): +([0-9a-f]{16}) ([0-9a-f]{16}) ", "\\1: \\2 \\3");

    crash_compare(what, ours, theirs);
}

static const struct {
    const char *command, *where, *option;
    guint pairs;
} reads[] = {
    { "rd -64 linux_banner 32", "linux_banner", NULL, 16 },
    { "rd -64 init_task 1000", "init_task", NULL, 500 },
    { "rd -64 _stext 4096", "_stext", NULL, 2048 },
    { "rd -p -64 1000000 4096", "0x1000000", "--physical", 2048 },
};

void
crash_memory_commands(GPtrArray *commands)
{
    for (guint i = 0; i < G_N_ELEMENTS(reads); i++)
        g_ptr_array_add(commands, g_strdup(reads[i].command));
}

void
test_crash_memory(const CrashWorld *world)
{
    for (guint i = 0; i < G_N_ELEMENTS(reads); i++) {
        const char *text = crash_answer(world, reads[i].command);
        g_autoptr(GPtrArray) ours = NULL;

        if (!text)
            return;
        ours = our_words(world, reads[i].where, reads[i].option, reads[i].pairs);
        compare_words(reads[i].where, ours, text);
    }
}

/* The witness's own, which is not mapped in the kernel. */
void
test_crash_user_memory(const CrashWorld *world)
{
    const char *text = crash_task_answer(world, "rd -u -64 @MEMORY 8192");
    g_autofree char *where = crash_fill_in(world, "0x@MEMORY");
    g_autofree char *option = crash_fill_in(world, "--pid=@WITNESS");
    g_autoptr(GPtrArray) ours = NULL;

    if (!text)
        return;
    ours = our_words(world, where, option, 4096);
    compare_words("memory of a process", ours, text);
}

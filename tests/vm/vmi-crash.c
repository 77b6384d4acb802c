/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What MOSE says of a core file is what crash(8) says of it, which reads it in its own
 * way and by the kernel's debug information: all of it, on each kernel that crash and
 * debug information are there for. A command that this crash does not answer, of a
 * kernel that it does not know, is skipped by its name.
 *
 * Environment: that of lib/crash.h.
 */
#include "vmi-crash.h"

#include <string.h>

#include "lib/kernels.h"
#include "util/json.h"

#define ALL_TASKS "ps"

typedef void (*CrashTest)(const CrashWorld *world);

typedef struct {
    const char *kernel;
    CrashTest test;
} Case;

static GPtrArray *worlds; /* CrashWorld */

/* --- the world --- */

static void
free_world(CrashWorld *world)
{
    g_clear_pointer(&world->answers, g_hash_table_unref);
    g_free(world->witness);
    g_free(world->core);
    g_free(world->why);
    g_free(world);
}

static void
ask(CrashWorld *world, const char *vmlinux, const char *const *commands)
{
    g_autoptr(GHashTable) answers = crash_ask(world->core, vmlinux, commands);
    GHashTableIter iter;
    gpointer command, text;

    g_hash_table_iter_init(&iter, answers);
    while (g_hash_table_iter_next(&iter, &command, &text)) {
        g_hash_table_iter_steal(&iter);
        g_hash_table_insert(world->answers, command, text);
    }
}

/* The first process is the least that it must find. */
static gboolean
finds_tasks(GHashTable *answers)
{
    const char *text = g_hash_table_lookup(answers, ALL_TASKS);

    return text &&
           g_regex_match_simple("^.\\s+1\\s+0\\s.* init$", text, G_REGEX_MULTILINE, 0);
}

char *
crash_fill_in(const CrashWorld *world, const char *command)
{
    g_autofree char *self = kernels_line(world->witness, "self", NULL, NULL);
    g_autofree char *inside =
        kernels_line(world->witness, "namespaces", "name", "wit-inside");
    g_autofree char *memory =
        kernels_line(world->witness, "mapping", "kind", "anonymous");
    g_autofree char *pid = kernels_word(self, "pid");
    g_autofree char *inside_pid = kernels_word(inside, "pid");
    g_autofree char *address = kernels_word(memory, "start");
    g_autoptr(GString) filled = g_string_new(command);

    g_string_replace(filled, "@WITNESS", pid, 0);
    g_string_replace(filled, "@INSIDE", inside_pid, 0);
    g_string_replace(filled, "@MEMORY", address + strlen("0x"), 0);
    return g_strdup(filled->str);
}

static void
ask_about_tasks(CrashWorld *world, const char *vmlinux)
{
    g_autoptr(GPtrArray) commands = g_ptr_array_new_with_free_func(g_free);

    for (const char *const *command = crash_task_commands; *command; command++)
        g_ptr_array_add(commands, crash_fill_in(world, *command));
    g_ptr_array_add(commands, NULL);
    ask(world, vmlinux, (const char *const *)commands->pdata);
}

static void
ask_about_kernel(CrashWorld *world, const char *vmlinux)
{
    g_autoptr(GPtrArray) commands = g_ptr_array_new_with_free_func(g_free);

    for (const char *const *command = crash_kernel_commands; *command; command++)
        g_ptr_array_add(commands, g_strdup(*command));
    crash_type_commands(commands);
    crash_memory_commands(commands);
    g_ptr_array_add(commands, NULL);
    ask(world, vmlinux, (const char *const *)commands->pdata);
}

static void
compare_with_crash(CrashWorld *world, const char *vmlinux)
{
    ask_about_kernel(world, vmlinux);
    if (g_hash_table_size(world->answers) == 0)
        world->why =
            g_strdup_printf("this crash does not start on Linux %s", world->kernel);
    world->has_tasks = finds_tasks(world->answers);
    if (world->has_tasks)
        ask_about_tasks(world, vmlinux);
}

static void
make_world(CrashWorld *world)
{
    g_autofree char *name = g_strdup_printf("crash-%s", world->kernel);
    g_autofree char *release = NULL, *vmlinux = NULL;
    g_autoptr(VmGuest) guest =
        kernels_guest(g_strdelimit(name, ".", '_'), world->kernel, CRASH_VCPUS, NULL);

    if (!guest) {
        world->why = g_strdup_printf("no guest with Linux %s", world->kernel);
        return;
    }
    release = g_strstrip(vm_shell_output(guest, "uname -r"));
    vmlinux = crash_vmlinux(release);
    if (vmlinux) {
        world->witness = kernels_witness(guest, "--tasks 20");
        world->core = vm_path(name);
        json_object_unref(vm_mose_json("dump", name, world->core, NULL));
    } else {
        world->why =
            g_strdup_printf("no vmlinux with debug information of %s", release);
    }
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", name, NULL), ==, 0);
    if (vmlinux)
        compare_with_crash(world, vmlinux);
}

static CrashWorld *
get_world(const char *kernel)
{
    CrashWorld *world;

    for (guint i = 0; i < worlds->len; i++) {
        world = g_ptr_array_index(worlds, i);
        if (world->kernel == kernel)
            return world;
    }
    world = g_new0(CrashWorld, 1);
    world->kernel = kernel;
    world->answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_ptr_array_add(worlds, world);
    make_world(world);
    return world;
}

/* --- both accounts --- */

const char *
crash_answer(const CrashWorld *world, const char *command)
{
    g_autofree char *filled = crash_fill_in(world, command);
    const char *ret = g_hash_table_lookup(world->answers, filled);
    g_autofree char *why = g_strdup_printf(
        "this crash has no answer to '%s' of Linux %s", command, world->kernel);

    if (!ret)
        g_test_skip(why);
    return ret;
}

const char *
crash_task_answer(const CrashWorld *world, const char *command)
{
    g_autofree char *why = g_strdup_printf(
        "this crash does not find the tasks of Linux %s", world->kernel);

    if (world->has_tasks)
        return crash_answer(world, command);
    g_test_skip(why);
    return NULL;
}

static void
append_value(GString *line, JsonNode *node)
{
    const char *text;

    if (line->len > 0)
        g_string_append_c(line, ' ');
    if (!node || JSON_NODE_HOLDS_NULL(node))
        return;
    if (json_node_get_value_type(node) == G_TYPE_STRING) {
        text = json_node_get_string(node);
        g_string_append(line, g_str_has_prefix(text, "0x") ? text + 2 : text);
    } else {
        g_string_append_printf(line, "%" G_GINT64_FORMAT, json_node_get_int(node));
    }
}

char *
crash_row(JsonObject *row, const char *names)
{
    g_auto(GStrv) words = g_strsplit(names, " ", -1);
    GString *ret = g_string_new(NULL);

    for (char **name = words; *name; name++)
        append_value(ret, json_object_get_member(row, *name));
    return g_string_free(ret, FALSE);
}

GPtrArray *
crash_rows(JsonArray *array, const char *names)
{
    GPtrArray *ret = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < json_array_get_length(array); i++)
        g_ptr_array_add(ret, crash_row(mose_json_element(array, i), names));
    return ret;
}

JsonObject *
crash_mose(const CrashWorld *world, const char *command, const char *option)
{
    return vm_mose_json(command, world->core, option, NULL);
}

JsonArray *
crash_array(JsonObject *object, const char *name)
{
    JsonArray *ret = mose_json_array(object, name);

    g_assert_nonnull(ret);
    return ret;
}

/* --- tests --- */

static void
run_case(gconstpointer data)
{
    const Case *wanted = data;
    CrashWorld *world;

    if (vm_cannot_run() || crash_cannot_run())
        return;
    world = get_world(wanted->kernel);
    if (world->why)
        g_test_skip(world->why);
    else
        wanted->test(world);
}

static void
add(const char *name, CrashTest test)
{
    for (const char *const *kernel = kernels_all; *kernel; kernel++) {
        g_autofree char *path = g_strdup_printf("/crash/%s/%s", *kernel, name);
        Case *wanted = g_new0(Case, 1);

        wanted->kernel = *kernel;
        wanted->test = test;
        g_test_add_data_func_full(path, wanted, run_case, g_free);
    }
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    worlds = g_ptr_array_new_with_free_func((GDestroyNotify)free_world);
    add("modules", test_crash_modules);
    add("log", test_crash_log);
    add("irq", test_crash_irq);
    add("symbols", test_crash_symbols);
    add("types", test_crash_types);
    add("memory", test_crash_memory);
    add("user-memory", test_crash_user_memory);
    add("ps", test_crash_ps);
    add("cpus", test_crash_cpus);
    add("mounts", test_crash_mounts);
    add("files", test_crash_files);
    add("maps", test_crash_maps);
    add("links", test_crash_links);
    add("sockets", test_crash_sockets);
    add("bt", test_crash_bt);
    ret = vm_run_tests();
    g_clear_pointer(&worlds, g_ptr_array_unref);
    return ret;
}

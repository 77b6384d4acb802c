/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mose type` about a real guest: what it finds is what the guest's /proc says, and
 * layouts are those that libbpf reads out of the kernel's own file.
 */
#include <string.h>

#include <bpf/btf.h>

#include "lib/kernels.h"
#include "util/json.h"
#include "vm/vmi.h"

#define MIN_TASKS 20
/* What a task has of its name; /proc has all of a kernel thread's (Linux
 * fs/proc/array.c: proc_task_name()). */
#define COMM_LEN 15

static const VmGuest *guest; /* the one under test */

/* What it prints for @expression, without the newline. */
static char *
text_of(const char *expression)
{
    g_autofree char *err = NULL;
    char *out = NULL;

    if (vm_mose(&out, &err, "type", guest->name, expression, NULL) != 0)
        g_error("mose type %s: %s", expression, err);
    return g_strchomp(out);
}

static void
check_text(const char *expression, const char *expected)
{
    g_autofree char *text = text_of(expression);

    if (strcmp(text, expected) != 0)
        g_error("%s: %s, and not %s", expression, text, expected);
}

/* The one expression's object; the caller frees *@ret_all. */
static JsonObject *
json_of(const char *expression, JsonObject **ret_all)
{
    *ret_all = vm_mose_json("type", guest->name, expression, NULL);
    return mose_json_element(mose_json_array(*ret_all, "expressions"), 0);
}

/* --- values --- */

static void
test_values(const KernelsGuest *under_test)
{
    g_autofree char *release = NULL, *quoted = NULL;

    guest = under_test->vm;
    release = g_strchomp(vm_shell_output(guest, "uname -r"));
    quoted = g_strdup_printf("\"%s\"", release);
    check_text("task_struct@init_task.comm", "\"swapper/0\"");
    check_text("task_struct@init_task.{pid, comm}", "pid = 0, comm = \"swapper/0\"");
    check_text("uts_namespace@init_uts_ns.name.release", quoted);
    check_text("container_of(task_struct@init_task.tasks.next, task_struct, tasks).pid",
               "1");
}

/* Debian 11's BTF was made by a pahole that did not know of per-CPU variables, and
 * modules have none before Linux 5.11. */
static gboolean
has_variables(const KernelsGuest *under_test)
{
    return !kernels_is_older(under_test, 5, 11);
}

static void
test_cpus(const KernelsGuest *under_test)
{
    g_autoptr(GString) all = g_string_new(NULL);

    guest = under_test->vm;
    for (guint cpu = 0; cpu < under_test->n_vcpus; cpu++) {
        g_autofree char *one = g_strdup_printf("rq@runqueues%%%u.cpu", cpu);
        g_autofree char *number = g_strdup_printf("%u", cpu);

        check_text(one, number);
        g_string_append_printf(all, "%scpu %u: \"swapper/%u\"", cpu ? "\n" : "", cpu,
                               cpu);
    }
    check_text(has_variables(under_test) ? "runqueues%*.idle->comm"
                                         : "rq@runqueues%*.idle->comm",
               all->str);
}

static void
test_symbols(const KernelsGuest *under_test)
{
    g_autofree char *text = NULL;

    guest = under_test->vm;
    text = text_of("mm_struct@init_mm.pgd");
    g_assert_true(g_str_has_prefix(text, "(pgd_t *)0xffffffff"));
    g_assert_nonnull(strstr(text, " (init_top_pgt)"));
}

static void
test_wrong(const KernelsGuest *under_test)
{
    static const char *const cases[][2] = {
        { "task_struct@0x1000.pid", "cannot be read: not mapped" },
        { "no_module:thing@init_task", "no_module" },
        { "task_struct@init_task.nope", "no member 'nope' in struct task_struct" },
        { "no_such_type@init_task", "there is no type 'no_such_type'" },
        { "task_struct@no_such_symbol", "no symbol no_such_symbol" },
        { "task_struct@init_task.mm->pgd", "a struct mm_struct * is NULL" },
        { "task_struct@", "symbol, number or '(' expected" },
    };

    guest = under_test->vm;
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *err = NULL;

        g_assert_cmpint(vm_mose(NULL, &err, "type", guest->name, cases[i][0], NULL), ==,
                        1);
        if (!strstr(err, cases[i][1]))
            g_error("%s: %s", cases[i][0], err);
    }
}

/* --- tasks, by two ways --- */

/* "pid comm" of each process, or each whose parent has pid 0, as /proc/PID/stat has it:
 * the first, second and fourth word there. */
static GHashTable *
tasks_inside(gboolean without_parent)
{
    GHashTable *tasks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *text =
        vm_guest_output(guest,
                        "for p in /proc/[0-9]*; do read -r s <$p/stat && echo "
                        "\"$s\"; done",
                        NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        const char *name = strchr(*line, '('), *end = strrchr(*line, ')');

        if (!name || !end)
            continue;
        if (without_parent && atoi(end + 4) != 0)
            continue;
        g_hash_table_add(tasks,
                         g_strdup_printf("%d %.*s", atoi(*line),
                                         (int)MIN(end - name - 1, COMM_LEN), name + 1));
    }
    return tasks;
}

/* The same out of a walk's rows. */
static GHashTable *
tasks_outside(const char *walk)
{
    GHashTable *tasks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *expression = g_strdup_printf("%s.{pid,comm}", walk);
    g_autoptr(JsonObject) all = NULL;
    JsonArray *rows = mose_json_array(json_of(expression, &all), "values");

    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *members = mose_json_child(mose_json_element(rows, i), "members");
        gint64 pid = mose_json_int(mose_json_child(members, "pid"), "value", -1);
        const char *comm =
            mose_json_string(mose_json_child(members, "comm"), "value", "?");

        g_assert_true(g_hash_table_add(
            tasks, g_strdup_printf("%" G_GINT64_FORMAT " %s", pid, comm)));
    }
    return tasks;
}

/* What was in /proc before and after has to be seen, and nothing that was not. A
 * kernel's worker shows what it works on behind its name in /proc, so workers' names
 * are not compared. */
static void
drop_workers(GHashTable *tasks)
{
    GHashTableIter iter;
    gpointer task;

    g_hash_table_iter_init(&iter, tasks);
    while (g_hash_table_iter_next(&iter, &task, NULL))
        if (strstr(task, " kworker"))
            g_hash_table_iter_remove(&iter);
}

static void
check_tasks(const char *walk, gboolean without_parent, guint at_least)
{
    g_autoptr(GHashTable) before = tasks_inside(without_parent);
    g_autoptr(GHashTable) seen = tasks_outside(walk);
    g_autoptr(GHashTable) after = tasks_inside(without_parent);
    GHashTableIter iter;
    gpointer task;

    drop_workers(before);
    drop_workers(seen);
    drop_workers(after);
    g_assert_cmpuint(g_hash_table_size(seen), >=, at_least);
    g_hash_table_iter_init(&iter, before);
    while (g_hash_table_iter_next(&iter, &task, NULL))
        if (g_hash_table_contains(after, task) && !g_hash_table_contains(seen, task))
            g_error("%s is in /proc alone", (const char *)task);
    g_hash_table_iter_init(&iter, seen);
    while (g_hash_table_iter_next(&iter, &task, NULL))
        if (!g_hash_table_contains(before, task) && !g_hash_table_contains(after, task))
            g_error("%s is seen from outside alone", (const char *)task);
}

static void
test_tasks(const KernelsGuest *under_test)
{
    guest = under_test->vm;
    check_tasks("list(task_struct@init_task.tasks, task_struct, tasks)", FALSE,
                MIN_TASKS);
    check_tasks("list(task_struct@init_task.children, task_struct, sibling)", TRUE, 2);
}

static void
test_modules(const KernelsGuest *under_test)
{
    g_autofree char *inside = NULL, *outside = NULL;
    g_auto(GStrv) lines = NULL;
    guint n = 0;

    guest = under_test->vm;
    inside = vm_shell_output(guest, "cat /proc/modules");
    outside = text_of("list(list_head@modules, module, list).{name, state}");
    lines = g_strsplit(inside, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_autofree char *name = g_strndup(*line, strcspn(*line, " "));
        g_autofree char *expected =
            g_strdup_printf(": name = \"%s\", state = MODULE_STATE_LIVE", name);

        if (!*name)
            continue;
        n++;
        if (!strstr(outside, expected))
            g_error("module %s is not seen: %s", name, outside);
    }
    g_assert_cmpuint(n, >, 3);
    g_strfreev(lines);
    lines = g_strsplit(outside, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, n);
}

/* A module's own types and symbols, and names of its functions. */
static void
test_module_types(const KernelsGuest *under_test)
{
    g_autofree char *layout = NULL, *driver = NULL;

    guest = under_test->vm;
    if (!has_variables(under_test)) {
        g_test_skip("modules have no BTF before Linux 5.11");
        return;
    }
    layout = text_of("struct virtio_net:virtnet_info");
    g_assert_nonnull(strstr(layout, " bytes */ struct virtnet_info {\n"));
    g_assert_nonnull(strstr(layout, "struct net_device *dev;\n"));
    driver = text_of(
        "virtio_net:virtio_driver@virtio_net:virtio_net_driver.{driver.name, probe}");
    g_assert_nonnull(strstr(driver, " \"virtio_net\", probe = "));
    g_assert_true(g_str_has_suffix(driver, " (virtnet_probe)"));
}

/* --- layouts --- */

/* Members that are the struct's own and have names, against libbpf's reading. */
static void
check_layout(const struct btf *btf, guint32 id)
{
    const struct btf_type *type = btf__type_by_id(btf, id);
    const char *name = btf__name_by_offset(btf, type->name_off);
    g_autofree char *expression = g_strdup_printf("struct %s", name);
    g_autoptr(JsonObject) all = NULL;
    JsonObject *layout = mose_json_child(json_of(expression, &all), "layout");
    JsonArray *members = mose_json_array(layout, "members");

    g_assert_cmpint(mose_json_int(layout, "size", -1), ==, btf__resolve_size(btf, id));
    g_assert_cmpuint(json_array_get_length(members), ==, btf_vlen(type));
    for (guint i = 0; i < btf_vlen(type); i++) {
        JsonObject *member = mose_json_element(members, i);
        gint64 bit =
            mose_json_int(member, "offset", -1) * 8 + mose_json_int(member, "bit", 0);

        g_assert_cmpstr(mose_json_string(member, "name", ""), ==,
                        btf__name_by_offset(btf, btf_members(type)[i].name_off));
        g_assert_cmpint(bit, ==, btf_member_bit_offset(type, i));
        g_assert_cmpint(mose_json_int(member, "bits", 0), ==,
                        btf_member_bitfield_size(type, i));
        if (!btf_member_bitfield_size(type, i))
            g_assert_cmpint(mose_json_int(member, "size", -1), ==,
                            btf__resolve_size(btf, btf_members(type)[i].type));
    }
}

static void
test_layouts(const KernelsGuest *under_test)
{
    static const char *const names[] = { "task_struct",    "mm_struct",  "page",
                                         "vm_area_struct", "net_device", "sk_buff",
                                         "tcp_sock",       "module",     "rq",
                                         "inode" };
    g_autofree char *path = NULL;
    struct btf *btf;

    guest = under_test->vm;
    path = g_build_filename(guest->images, "vmlinux", NULL);
    btf = btf__parse_elf(path, NULL);
    g_assert_nonnull(btf);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        int id = btf__find_by_name_kind(btf, names[i], BTF_KIND_STRUCT);

        g_assert_cmpint(id, >, 0);
        check_layout(btf, id);
    }
    btf__free(btf);
}

void
vmi_type_add(void)
{
    kernels_add("/vmi-type/values", test_values);
    kernels_add("/vmi-type/cpus", test_cpus);
    kernels_add("/vmi-type/symbols", test_symbols);
    kernels_add("/vmi-type/wrong", test_wrong);
    kernels_add("/vmi-type/tasks", test_tasks);
    kernels_add("/vmi-type/modules", test_modules);
    kernels_add("/vmi-type/module-types", test_module_types);
    kernels_add("/vmi-type/layouts", test_layouts);
}

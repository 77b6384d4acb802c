/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Modules and symbols of guests with several kernels: what is read from outside is what
 * the guest's /proc and /sys say, to the last line.
 */
#include <string.h>

#include "guest/guest.h"
#include "lib/kernels.h"
#include "util/error.h"
#include "util/json.h"
#include "vmi/linux/modules.h"
#include "vm/vmi.h"

static JsonArray *
modules_of(const KernelsGuest *guest, JsonObject **ret_all)
{
    *ret_all = vm_mose_json("modules", guest->vm->name, NULL);
    return mose_json_array(*ret_all, "modules");
}

static int
by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each line of both, whatever their order. */
static void
assert_same_lines(const char *ours, const char *theirs)
{
    g_auto(GStrv) a = g_strsplit(ours, "\n", -1);
    g_auto(GStrv) b = g_strsplit(theirs, "\n", -1);

    qsort(a, g_strv_length(a), sizeof(*a), by_text);
    qsort(b, g_strv_length(b), sizeof(*b), by_text);
    for (guint i = 0; a[i] || b[i]; i++)
        g_assert_cmpstr(a[i], ==, b[i]);
}

/* --- /proc/modules --- */

static void
append_users(GString *text, JsonArray *users)
{
    if (json_array_get_length(users) == 0)
        g_string_append_c(text, '-');
    for (guint i = 0; i < json_array_get_length(users); i++)
        g_string_append_printf(text, "%s,", json_array_get_string_element(users, i));
}

/* Linux kernel/module/procfs.c: m_show */
static char *
as_proc(JsonArray *modules)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(modules); i++) {
        JsonObject *module = mose_json_element(modules, i);
        const char *taints = mose_json_string(module, "taints", NULL);

        g_string_append_printf(text, "%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " ",
                               mose_json_string(module, "name", ""),
                               mose_json_int(module, "size", -1),
                               mose_json_int(module, "refcount", -1));
        append_users(text, mose_json_array(module, "users"));
        g_string_append_printf(text, " %s %s", mose_json_string(module, "state", ""),
                               mose_json_string(module, "address", ""));
        if (taints)
            g_string_append_printf(text, " (%s)", taints);
        g_string_append_c(text, '\n');
    }
    return g_string_free(text, FALSE);
}

static void
assert_modules(const KernelsGuest *guest)
{
    g_autofree char *theirs = vm_guest_output(guest->vm, "cat /proc/modules", NULL);
    g_autoptr(JsonObject) all = NULL;
    g_autofree char *ours = as_proc(modules_of(guest, &all));

    g_assert_cmpstr(ours, ==, theirs);
}

/* One whose signature was cut off taints the kernel; it goes again. */
static void
test_modules(const KernelsGuest *guest)
{
    g_autofree char *tainted = NULL;
    /* Which on the ISA bus is one module, and since 5.13 two. */
    const char *name = kernels_is_older(guest, 5, 13) ? "pvpanic" : "pvpanic_pci";
    g_autofree char *cut = g_strdup_printf(
        "rmmod %s; f=/lib/modules/%s.ko\n"
        "head -c $(($(wc -c <$f) - 28)) $f >/run/u.ko; insmod /run/u.ko",
        name, name);
    g_autofree char *look = g_strdup_printf("grep '^%s ' /proc/modules", name);
    g_autofree char *whole =
        g_strdup_printf("rmmod %s; insmod /lib/modules/%s.ko", name, name);

    assert_modules(guest);
    vm_shell(guest->vm, cut);
    tainted = vm_guest_output(guest->vm, look, NULL);
    g_assert_nonnull(strstr(tainted, "(E)"));
    assert_modules(guest);
    vm_shell(guest->vm, whole);
    assert_modules(guest);
}

/* --- /sys/module --- */

static void
test_sections(const KernelsGuest *guest)
{
    g_autofree char *theirs = vm_guest_output(
        guest->vm,
        "for d in /sys/module/*/sections; do cd $d; m=${d%/sections}\n"
        "for s in .[!.]* *; do [ -f \"$s\" ] && echo \"${m##*/} $s $(cat $s)\"; done\n"
        "done",
        NULL);
    g_autoptr(JsonObject) all = NULL;
    JsonArray *modules = modules_of(guest, &all);
    g_autoptr(GString) ours = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(modules); i++) {
        JsonObject *module = mose_json_element(modules, i);
        JsonArray *sections = mose_json_array(module, "sections");

        g_assert_cmpuint(json_array_get_length(sections), >, 5);
        for (guint s = 0; s < json_array_get_length(sections); s++) {
            JsonObject *section = mose_json_element(sections, s);
            guint64 at =
                g_ascii_strtoull(mose_json_string(section, "address", ""), NULL, 16);

            g_string_append_printf(ours, "%s %s 0x%016" G_GINT64_MODIFIER "x\n",
                                   mose_json_string(module, "name", ""),
                                   mose_json_string(section, "name", ""), at);
        }
    }
    assert_same_lines(ours->str, theirs);
}

static void
test_build_ids(const KernelsGuest *guest)
{
    g_autofree char *theirs = vm_guest_output(
        guest->vm,
        "for m in /sys/module/*/notes; do\n"
        "echo $(basename ${m%/notes}) $(tail -c 20 $m/.note.gnu.build-id |\n"
        "od -An -tx1 -v | tr -d ' \\n'); done",
        NULL);
    g_autoptr(JsonObject) all = NULL;
    JsonArray *modules = modules_of(guest, &all);
    g_autoptr(GString) ours = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(modules); i++) {
        JsonObject *module = mose_json_element(modules, i);

        g_string_append_printf(ours, "%s %s\n", mose_json_string(module, "name", ""),
                               mose_json_string(module, "build-id", ""));
    }
    assert_same_lines(ours->str, theirs);
}

/* --- /proc/kallsyms --- */

static void
test_all(const KernelsGuest *guest)
{
    g_autofree char *theirs = vm_guest_output(guest->vm, "cat /proc/kallsyms", NULL);
    g_autofree char *ours = NULL;

    g_assert_cmpint(vm_mose(&ours, NULL, "sym", "--all", guest->vm->name, NULL), ==, 0);
    assert_same_lines(ours, theirs);
}

typedef struct {
    MoseGuest *guest;
    MoseMemory *memory;
    MoseLinux *kernel;
} Look;

static void
look_clear(Look *look)
{
    mose_linux_free(look->kernel);
    mose_memory_free(look->memory);
    mose_guest_free(look->guest);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Look, look_clear)

static void
look_open(Look *look, const KernelsGuest *guest)
{
    g_autoptr(GError) error = NULL;

    look->guest = mose_guest_open(guest->vm->name, MOSE_GUEST_LOOK, &error);
    g_assert_no_error(error);
    look->memory = mose_memory_of_guest(look->guest, &error);
    g_assert_no_error(error);
    look->kernel = mose_linux_find(look->memory, &error);
    g_assert_no_error(error);
}

typedef struct {
    guint64 address;
    const char *name, *module; /* NULL: the kernel's */
} Line;

/* "ffffffffc0601000 t virtnet_open\t[virtio_net]", which it cuts. */
static Line
parse(char *line)
{
    Line ret = { .address = g_ascii_strtoull(line, NULL, 16),
                 .name = line + strlen("ffffffffc0601000 t ") };
    char *tab = strchr(line, '\t');

    if (tab) {
        *tab = '\0';
        tab[strlen(tab + 1)] = '\0';
        ret.module = tab + 2;
    }
    return ret;
}

static char *
key_of(guint64 address, const char *name, const char *module)
{
    return g_strdup_printf("%" G_GINT64_MODIFIER "x %s %s", address, name,
                           module ? module : "");
}

static gboolean
is_known(GHashTable *known, const MoseSymbol *symbol)
{
    g_autofree char *key =
        symbol ? key_of(symbol->address, symbol->name, symbol->module) : NULL;

    return key && g_hash_table_contains(known, key);
}

/* Each line's name leads to a line of that name, and its address to one at it. */
static void
test_both_ways(const KernelsGuest *guest)
{
    g_autofree char *theirs = vm_guest_output(guest->vm, "cat /proc/kallsyms", NULL);
    g_auto(GStrv) texts = g_strsplit(g_strchomp(theirs), "\n", -1);
    g_autoptr(GHashTable) known =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(Line));
    g_auto(Look) look = { 0 };

    for (char **text = texts; *text; text++) {
        Line line = parse(*text);

        g_array_append_val(lines, line);
        g_hash_table_add(known, key_of(line.address, line.name, line.module));
    }
    look_open(&look, guest);
    for (guint i = 0; i < lines->len; i++) {
        const Line *line = &g_array_index(lines, Line, i);
        const MoseSymbol *at = mose_linux_symbol_at(look.kernel, line->address);
        const MoseSymbol *by;

        if (!is_known(known, at) || at->address != line->address)
            g_error("no symbol at the address of %s", line->name);
        by = mose_linux_symbol_named(look.kernel, line->module, line->name);
        if (!is_known(known, by) || strcmp(by->name, line->name) != 0)
            g_error("no symbol by the name of %s", line->name);
    }
    g_assert_cmpuint(lines->len, >, 50000);
}

/* --- /sys/kernel/btf --- */

/* Names of the module's own types are there, and the kernel's. */
static void
check_types(Look *look, const char *name, const guint8 *theirs, gsize size)
{
    g_autoptr(GError) error = NULL;
    gsize len;
    g_autofree guint8 *ours = mose_linux_module_btf(look->kernel, name, &len, &error);
    g_autoptr(MoseTypes) types = NULL;

    g_assert_no_error(error);
    g_assert_cmpmem(ours, len, theirs, size);
    types = mose_linux_module_types(look->kernel, name, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(mose_types_find(types, "task_struct"), !=, 0);
    g_assert_cmpuint(mose_types_find(types, "struct virtnet_info") != 0, ==,
                     strcmp(name, "virtio_net") == 0);
}

static void
test_types(const KernelsGuest *guest)
{
    g_autofree char *list = vm_guest_output(guest->vm, "ls /sys/kernel/btf", NULL);
    g_auto(GStrv) names = g_strsplit(g_strchomp(list), "\n", -1);
    g_auto(Look) look = { 0 };
    g_autoptr(GError) error = NULL;
    guint n = 0;

    look_open(&look, guest);
    g_assert_cmpuint(mose_types_find(look.kernel->types, "virtnet_info"), ==, 0);
    for (char **name = names; *name; name++) {
        g_autofree char *command = g_strdup_printf("cat /sys/kernel/btf/%s", *name);
        g_autofree char *theirs = NULL;
        gsize size;

        if (strcmp(*name, "vmlinux") == 0)
            continue;
        theirs = vm_guest_output(guest->vm, command, &size);
        check_types(&look, *name, (const guint8 *)theirs, size);
        n++;
    }
    if (!kernels_is_older(guest, 5, 11))
        g_assert_cmpuint(n, >=, 5);
    g_assert_null(mose_linux_module_types(look.kernel, "no_such", &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

void
vmi_modules_add(void)
{
    kernels_add("/vmi-modules/modules", test_modules);
    kernels_add("/vmi-modules/sections", test_sections);
    kernels_add("/vmi-modules/build-ids", test_build_ids);
    kernels_add("/vmi-modules/all", test_all);
    kernels_add("/vmi-modules/both-ways", test_both_ways);
    kernels_add("/vmi-modules/types", test_types);
}

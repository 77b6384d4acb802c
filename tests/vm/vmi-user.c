/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes of a guest from outside: their ELF objects are those of /proc/PID/maps,
 * with the build ids and symbols that readelf(1) tells of the same files.
 */
#include "vm/vmi-user.h"

#include <string.h>

#include "util/json.h"
#include "vm/vmi.h"

#define PAGE 4096

/* --- shared --- */

void
opened_begin(Opened *opened, const KernelsGuest *guest)
{
    g_autoptr(GError) error = NULL;

    opened->guest = mose_guest_open(guest->vm->name, MOSE_GUEST_LOOK, &error);
    g_assert_no_error(error);
    opened->memory = mose_memory_of_guest(opened->guest, &error);
    g_assert_no_error(error);
    opened->kernel = mose_linux_find(opened->memory, &error);
    g_assert_no_error(error);
}

void
opened_clear(Opened *opened)
{
    g_clear_pointer(&opened->kernel, mose_linux_free);
    g_clear_pointer(&opened->memory, mose_memory_free);
    g_clear_pointer(&opened->guest, mose_guest_free);
}

MoseTask *
opened_task(const Opened *opened, const char *word)
{
    g_autoptr(GError) error = NULL;
    MoseTask *task = mose_task_find(opened->kernel, word, &error);

    g_assert_no_error(error);
    return task;
}

MoseUser *
opened_user(const Opened *opened, const MoseTask *task)
{
    g_autoptr(GError) error = NULL;
    MoseUser *user = mose_user_new(opened->kernel, task, &error);

    g_assert_no_error(error);
    return user;
}

char *
witness_pid(const KernelsGuest *guest)
{
    g_autofree char *line = kernels_line(guest->witness, "self", NULL, NULL);

    return kernels_word(line, "pid");
}

/* A copy of the guest's file @path here; its own path. Made once a guest. */
static char *
fetch(const KernelsGuest *guest, const char *path)
{
    g_autofree char *flat = g_strdelimit(g_strdup(path), "/", '_');
    g_autofree char *name = g_strdup_printf("file-%s-%s", guest->kernel, flat);
    g_autofree char *command = g_strdup_printf("cat '%s'", path);
    char *here = vm_path(name);
    g_autofree char *bytes = NULL;
    gsize len;

    if (g_file_test(here, G_FILE_TEST_EXISTS))
        return here;
    bytes = vm_guest_output(guest->vm, command, &len);
    g_assert_true(g_file_set_contents(here, bytes, (gssize)len, NULL));
    return here;
}

static char *
readelf(const char *option, const char *file)
{
    const char *argv[] = { "readelf", "-W", option, file, NULL };
    g_autoptr(GError) error = NULL;
    char *out;

    g_spawn_sync(NULL, (char **)argv, NULL,
                 G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &out,
                 NULL, NULL, &error);
    g_assert_no_error(error);
    return out;
}

/* --- objects: by /proc/PID/maps --- */

typedef struct {
    guint64 base;
    gboolean executed;
} Mapped;

/* Path -> where its beginning is mapped, of all that is executed. */
static GHashTable *
mapped_files(const KernelsGuest *guest, const char *pid)
{
    g_autofree char *command = g_strdup_printf("cat /proc/%s/maps", pid);
    g_autofree char *text = vm_guest_output(guest->vm, command, NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GHashTable *files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    for (char **line = lines; **line; line++) {
        const char *path = strpbrk(*line, "/[");
        g_auto(GStrv) words = g_strsplit(*line, " ", 4);
        Mapped *mapped;

        if (!path || (*path == '[' && strcmp(path, "[vdso]") != 0))
            continue;
        mapped = g_hash_table_lookup(files, path);
        if (!mapped) {
            mapped = g_new0(Mapped, 1);
            g_hash_table_insert(files, g_strdup(path), mapped);
        }
        if (g_ascii_strtoull(words[2], NULL, 16) == 0 && mapped->base == 0)
            mapped->base = g_ascii_strtoull(words[0], NULL, 16);
        mapped->executed |= words[1][2] == 'x';
    }
    return files;
}

static void
check_build_id(const KernelsGuest *guest, const MoseElfObject *object)
{
    g_autofree char *file = NULL;
    g_autofree char *notes = NULL;
    const char *at;

    if (object->file == 0) {
        g_assert_nonnull(object->build_id); /* the vDSO has one */
        return;
    }
    file = fetch(guest, object->path);
    notes = readelf("-n", file);
    at = strstr(notes, "Build ID: ");
    g_assert_cmpint(object->build_id != NULL, ==, at != NULL);
    if (at && !g_str_has_prefix(at + strlen("Build ID: "), object->build_id))
        g_error("%s: %s, and not %s", object->path, notes, object->build_id);
}

static void
check_objects(const KernelsGuest *guest, const Opened *opened, const char *pid)
{
    g_autoptr(MoseTask) task = opened_task(opened, pid);
    g_autoptr(MoseUser) user = opened_user(opened, task);
    g_autoptr(GHashTable) files = mapped_files(guest, pid);
    g_autoptr(GError) error = NULL;
    guint unreadable, executed = 0, programs = 0;
    const GPtrArray *objects = mose_user_objects(user, &unreadable, &error);
    GHashTableIter iter;
    gpointer mapped;

    g_assert_no_error(error);
    g_assert_cmpuint(unreadable, ==, 0);
    for (guint i = 0; i < objects->len; i++) {
        const MoseElfObject *object = objects->pdata[i];
        const Mapped *inside = g_hash_table_lookup(files, object->path);

        if (!inside || !inside->executed)
            g_error("pid %s does not execute %s", pid, object->path);
        g_assert_cmphex(object->base, ==, inside->base);
        check_build_id(guest, object);
        programs += object->is_program;
    }
    g_hash_table_iter_init(&iter, files);
    while (g_hash_table_iter_next(&iter, NULL, &mapped))
        executed += ((Mapped *)mapped)->executed;
    g_assert_cmpuint(objects->len, ==, executed);
    g_assert_cmpuint(programs, ==, 1);
}

static void
test_objects(const KernelsGuest *guest)
{
    g_auto(Opened) opened = { 0 };
    g_autofree char *pid = witness_pid(guest);
    g_autofree char *apaches = vm_shell_output(guest->vm, "pidof apache2");
    g_auto(GStrv) words = g_strsplit_set(apaches, " \n", -1);
    guint n = 0;

    opened_begin(&opened, guest);
    check_objects(guest, &opened, pid);
    check_objects(guest, &opened, "1");
    for (char **word = words; *word; word++)
        if (**word) {
            check_objects(guest, &opened, *word);
            n++;
        }
    g_assert_cmpuint(n, >, 0);
}

/* --- symbols: by readelf --- */

/* "Num: Value Size Type Bind Vis Ndx Name": "address name" of what is defined. Of
 * versions, a default one is not told. */
static void
add_line(GHashTable *symbols, const char *line, guint64 bias)
{
    g_auto(GStrv) words = g_strsplit_set(line, " ", -1);
    const char *fields[9];
    guint n = 0;
    char *name, *at;
    guint64 address;

    for (char **word = words; *word && n < 9; word++)
        if (**word)
            fields[n++] = *word;
    if (n < 8 || !g_str_has_suffix(fields[0], ":") || !g_ascii_isdigit(*fields[0]) ||
        strcmp(fields[6], "UND") == 0 || strcmp(fields[3], "TLS") == 0 ||
        strcmp(fields[3], "SECTION") == 0 || strcmp(fields[3], "FILE") == 0)
        return;
    name = g_strdup(fields[7]);
    /* "@VERSION (N)" is one of another object's, of which this has a copy. */
    at = strstr(name, n > 8 ? "@" : "@@");
    if (at)
        *at = '\0';
    address = g_ascii_strtoull(fields[1], NULL, 16);
    if (strcmp(fields[6], "ABS") != 0)
        address += bias;
    g_hash_table_add(symbols,
                     g_strdup_printf("%" G_GINT64_MODIFIER "x %s", address, name));
    g_free(name);
}

static GHashTable *
symbols_by_readelf(const char *file, guint64 bias)
{
    g_autofree char *text = readelf("-s", file); /* the dynamic ones as well */
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GHashTable *symbols = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (char **line = lines; *line; line++)
        add_line(symbols, *line, bias);
    return symbols;
}

static GHashTable *
symbols_by_mose(MoseUser *user, const char *module)
{
    const MoseSymbols *all = mose_user_symbols(user, NULL);
    GHashTable *symbols = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < mose_symbols_count(all); i++) {
        const MoseSymbol *one = mose_symbols_nth(all, i);

        if (strcmp(one->module, module) == 0)
            g_hash_table_add(symbols, g_strdup_printf("%" G_GINT64_MODIFIER "x %s",
                                                      one->address, one->name));
    }
    return symbols;
}

static void
assert_subset(GHashTable *a, GHashTable *b, const char *what)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, a);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        if (!g_hash_table_contains(b, key))
            g_error("%s: only one side has %s", what, (char *)key);
}

static guint
check_symbols(const KernelsGuest *guest, MoseUser *user, const MoseElfObject *object)
{
    g_autofree char *file = fetch(guest, object->path);
    g_autoptr(GHashTable) inside = symbols_by_readelf(file, object->elf->bias);
    g_autoptr(GHashTable) outside = symbols_by_mose(user, object->name);

    assert_subset(inside, outside, object->name);
    assert_subset(outside, inside, object->name);
    return g_hash_table_size(inside);
}

static guint
check_all_symbols(const KernelsGuest *guest, const Opened *opened, const char *pid)
{
    g_autoptr(MoseTask) task = opened_task(opened, pid);
    g_autoptr(MoseUser) user = opened_user(opened, task);
    const GPtrArray *objects = mose_user_objects(user, NULL, NULL);
    guint n = 0;

    for (guint i = 0; i < objects->len; i++) {
        const MoseElfObject *object = objects->pdata[i];

        if (object->file != 0)
            n += check_symbols(guest, user, object);
    }
    return n;
}

static void
test_symbols(const KernelsGuest *guest)
{
    g_auto(Opened) opened = { 0 };
    g_autofree char *apaches = vm_shell_output(guest->vm, "pidof apache2");
    g_auto(GStrv) words = g_strsplit_set(apaches, " \n", -1);
    g_autofree char *pid = witness_pid(guest);
    g_autoptr(JsonObject) both = NULL;

    opened_begin(&opened, guest);
    g_assert_cmpuint(check_all_symbols(guest, &opened, words[0]), >, 5000);
    /* A table that only the page cache has: the program is linked statically. */
    g_assert_cmpuint(check_all_symbols(guest, &opened, pid), >, 1000);
    opened_clear(&opened);
    both = vm_mose_json("sym", guest->vm->name, "--pid", words[0], "libc:malloc",
                        "libc.so.6:free", NULL);
    g_assert_cmpuint(json_array_get_length(mose_json_array(both, "symbols")), ==, 2);
}

/* --- what the process has not touched --- */

/* All pages of @vma are what the file has; how many of them no page table knows. */
static guint
check_code(MoseUser *user, const MoseVma *vma, const guint8 *file, gsize size)
{
    guint untouched = 0;

    for (guint64 at = vma->start; at < vma->end; at += PAGE) {
        gsize offset = vma->pgoff + (at - vma->start);
        gsize len = offset < size ? MIN(PAGE, size - offset) : 0;
        guint8 bytes[PAGE];
        MosePageWalk walk;
        g_autoptr(GError) error = NULL;

        if (len == 0)
            break;
        mose_user_read(user, at, bytes, len, NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpmem(bytes, len, file + offset, len);
        untouched += !mose_space_page(mose_user_space(user), at, &walk);
    }
    return untouched;
}

static void
test_untouched(const KernelsGuest *guest)
{
    g_auto(Opened) opened = { 0 };
    g_autofree char *apaches = vm_shell_output(guest->vm, "pidof apache2");
    g_auto(GStrv) words = g_strsplit_set(apaches, " \n", -1);
    g_autoptr(MoseTask) task = NULL;
    g_autoptr(MoseUser) user = NULL;
    guint untouched = 0, files = 0;

    opened_begin(&opened, guest);
    task = opened_task(&opened, words[0]);
    user = opened_user(&opened, task);
    for (guint i = 0; i < mose_user_vmas(user)->len; i++) {
        const MoseVma *vma = mose_user_vmas(user)->pdata[i];
        g_autofree char *here = NULL;
        g_autofree char *bytes = NULL;
        gsize size;

        if (!(vma->flags & MOSE_VMA_EXEC) || *vma->name != '/')
            continue;
        here = fetch(guest, vma->name);
        g_assert_true(g_file_get_contents(here, &bytes, &size, NULL));
        untouched += check_code(user, vma, (const guint8 *)bytes, size);
        files++;
    }
    g_test_message("%u files, %u pages that are in the page cache alone", files,
                   untouched);
    g_assert_cmpuint(files, >, 5);
    g_assert_cmpuint(untouched, >, 0);
}

void
vmi_user_add(void)
{
    kernels_add("/vmi-read/patterns", test_read_patterns);
    kernels_add("/vmi-read/places", test_read_places);
    kernels_add("/vmi-read/empty", test_read_empty);
    kernels_add("/vmi-read/kernel", test_read_kernel);
    kernels_add("/vmi-read/partial", test_read_partial);
    kernels_add("/vmi-user/objects", test_objects);
    kernels_add("/vmi-user/symbols", test_symbols);
    kernels_add("/vmi-user/untouched", test_untouched);
    vmi_cat_add();
}

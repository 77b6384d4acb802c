/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes of a guest from outside: their ELF objects are those of /proc/PID/maps,
 * with the build ids and symbols that readelf(1) tells of the same files; and all files
 * that the guest has in its memory are read as its own md5sum reads them.
 */
#include "vm/vmi-user.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/json.h"
#include "vmi/linux/lookup.h"
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

/* --- files --- */

static void
find_file(const Opened *opened, const char *path, MosePageCache *ret)
{
    g_autoptr(GError) error = NULL;
    MosePath root, at;
    guint64 inode;

    mose_path_first_root(opened->kernel, &root, &error);
    g_assert_no_error(error);
    mose_path_look_up(opened->kernel, &root, path, TRUE, &at, &error);
    g_assert_no_error(error);
    mose_path_inode(opened->kernel, &at, &inode, &error);
    g_assert_no_error(error);
    mose_page_cache_of_inode(opened->kernel, inode, ret, &error);
    g_assert_no_error(error);
}

static char *
md5_of(const Opened *opened, const char *path)
{
    MosePageCache file;
    g_autofree guint8 *bytes = NULL;
    g_autoptr(GError) error = NULL;

    find_file(opened, path, &file);
    bytes = g_malloc(file.size + 1);
    mose_page_cache_read(opened->kernel, &file, 0, bytes, file.size, NULL, &error);
    g_assert_no_error(error);
    return g_compute_checksum_for_data(G_CHECKSUM_MD5, bytes, file.size);
}

/* All of the first mount and of /run but what grows, and names that are no line. */
#define FILES                                                                          \
    "find / /run -xdev -type f ! -name '*.out' ! -name '*log*' ! -name 'output-*' "    \
    "! -name '*[!!-~]*' -exec md5sum {} +"

static void
test_files(const KernelsGuest *guest)
{
    g_auto(Opened) opened = { 0 };
    g_autofree char *text = vm_guest_output(guest->vm, FILES, NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    guint n = 0;

    opened_begin(&opened, guest);
    for (char **line = lines; *line && **line; line++, n++) {
        g_autofree char *sum = NULL;

        if (strlen(*line) < 35)
            g_error("md5sum: %s", *line);
        sum = md5_of(&opened, *line + 34);
        if (strncmp(*line, sum, 32) != 0)
            g_error("%s, and %s outside", *line, sum);
    }
    g_test_message("%u files", n);
    g_assert_cmpuint(n, >, 50);
}

/* Folios of many pages, where the kernel has such to give. */
static void
test_huge(const KernelsGuest *guest)
{
    g_auto(Opened) opened = { 0 };
    g_autofree char *inside = NULL;
    g_autofree char *outside = NULL;

    inside = vm_shell_output(
        guest->vm,
        "mkdir -p /run/huge; mount -t tmpfs -o huge=always none /run/huge && "
        "dd if=/dev/urandom of=/run/huge/x bs=1M count=4 2>/dev/null; "
        "md5sum /run/huge/x; grep ShmemHuge /proc/meminfo");
    g_test_message("%s", inside);
    g_assert_nonnull(strstr(inside, "/run/huge/x"));
    opened_begin(&opened, guest);
    outside = md5_of(&opened, "/run/huge/x");
    vm_shell(guest->vm, "umount /run/huge");
    if (strncmp(inside, outside, 32) != 0)
        g_error("%s outside", outside);
}

/* --- a file on a disk --- */

/* Of which only a part is in memory. */
static void
check_disk(VmGuest *vm)
{
    g_autofree char *sum = vm_shell_output(
        vm, "busybox mke2fs /dev/vda >/dev/null 2>&1 && mkdir /run/disk && "
            "mount -t ext4 /dev/vda /run/disk && "
            "dd if=/dev/urandom of=/run/disk/f bs=64k count=40 2>/dev/null && sync && "
            "md5sum /run/disk/f");
    g_autofree char *here = vm_path("on-disk");
    g_autofree char *bytes = NULL;
    g_autofree char *outside = NULL;
    g_autofree char *err = NULL;
    g_autoptr(JsonObject) map = NULL;
    gsize size;
    guint64 there = 0;
    JsonArray *runs;

    g_assert_nonnull(strstr(sum, "/run/disk/f"));
    if (vm_mose(NULL, &err, "cat", vm->name, "/run/disk/f", "-o", here, NULL) != 0)
        g_error("mose cat: %s", err);
    g_assert_true(g_file_get_contents(here, &bytes, &size, NULL));
    outside = g_compute_checksum_for_data(G_CHECKSUM_MD5, (guint8 *)bytes, size);
    if (strncmp(sum, outside, 32) != 0)
        g_error("%s, and %s outside", sum, outside);

    /* It stays known by its name, since it is open. */
    vm_shell(vm, "exec 9</run/disk/f; echo 3 >/proc/sys/vm/drop_caches; "
                 "dd if=/run/disk/f of=/dev/null bs=4096 skip=100 count=1 2>/dev/null");
    map = vm_mose_json("cat", vm->name, "/run/disk/f", "--map", NULL);
    runs = mose_json_array(map, "runs");
    for (guint i = 0; i < json_array_get_length(runs); i++) {
        JsonObject *run = mose_json_element(runs, i);
        guint64 begin = g_ascii_strtoull(mose_json_string(run, "offset", ""), NULL, 16);
        guint64 len = mose_json_int(run, "length", 0);

        if (strcmp(mose_json_string(run, "state", ""), "there") != 0)
            continue;
        there += len;
        if (begin <= 100 * PAGE && begin + len > 100 * PAGE)
            sum[0] = '!';
    }
    g_assert_cmpint(sum[0], ==, '!');
    g_assert_cmpint(mose_json_int(map, "missing", 0), ==, (gint64)(size - there));
    g_assert_cmpuint(there, <, size);
    g_assert_cmpint(vm_mose(NULL, &err, "cat", vm->name, "/run/disk/f", NULL), ==, 1);
    g_assert_nonnull(strstr(err, "not in memory"));
}

static void
test_disk(void)
{
    g_autoptr(VmGuest) vm = NULL;
    g_autofree char *image = NULL;
    g_autofree char *extra = NULL;
    int fd;

    if (vm_cannot_run())
        return;
    image = vm_path("disk.img");
    fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    g_assert_cmpint(ftruncate(fd, 64 << 20), ==, 0);
    close(fd);
    extra = g_strdup_printf("-drive file=%s,format=raw,if=none,id=disk "
                            "-device virtio-blk-pci,drive=disk",
                            image);
    vm = vm_guest_new("disk");
    vm_run(vm, "--accel tcg", extra, "tsc=reliable");
    vm_wait_console(vm, "MOSE-GUEST READY", 120);
    check_disk(vm);
}

/* Where links lead to, and other paths that are not straight. */
static void
test_paths(const KernelsGuest *guest)
{
    g_auto(Opened) opened = { 0 };
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    guint n = 0;

    vm_shell(guest->vm, "mkdir -p /run/paths/a; ln -sf ../witness/../witness/./cached "
                        "/run/paths/relative; ln -sf /run/paths/relative "
                        "/run/paths/absolute; ln -sf loop /run/paths/loop");
    text = vm_guest_output(
        guest->vm,
        "for i in $(find / -xdev -type l) /run/paths/relative /run/paths/absolute "
        "/run/../run/paths/a/../relative /proc/../etc/passwd /../bin/busybox; do "
        "[ ! -f $i ] || stat -L -c \"%i $i\" $i; done",
        NULL);
    lines = g_strsplit(text, "\n", -1);
    opened_begin(&opened, guest);
    for (char **line = lines; *line && **line; line++, n++) {
        const char *path = strchr(*line, ' ') + 1;
        MosePageCache file;

        find_file(&opened, path, &file);
        if (file.number != g_ascii_strtoull(*line, NULL, 10))
            g_error("%s: inode %" G_GUINT64_FORMAT " outside", *line, file.number);
    }
    g_assert_cmpuint(n, >, 10);
}

/* --- the command --- */

static void
assert_cat_fails(const KernelsGuest *guest, const char *path, const char *says)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(vm_mose(NULL, &err, "cat", guest->vm->name, path, NULL), ==, 1);
    if (!strstr(err, says))
        g_error("mose cat %s: %s", path, err);
}

static void
check_cached(const KernelsGuest *guest)
{
    g_autofree char *line = kernels_line(guest->witness, "cached", NULL, NULL);
    g_autofree char *path = kernels_word(line, "path");
    g_autofree char *here = vm_path("cached");
    g_autofree char *bytes = NULL;
    g_autofree char *err = NULL;
    guint64 seed = kernels_number(line, "seed");
    gsize size;

    if (vm_mose(NULL, &err, "cat", guest->vm->name, path, "-o", here, NULL) != 0)
        g_error("mose cat %s: %s", path, err);
    g_assert_true(g_file_get_contents(here, &bytes, &size, NULL));
    g_assert_cmpuint(size, ==, kernels_number(line, "size"));
    for (gsize i = 0; i < size / 8; i++) {
        guint64 word;

        memcpy(&word, bytes + i * 8, 8);
        g_assert_cmphex(word, ==, pattern_word(seed, i));
    }
}

static void
check_holes(const KernelsGuest *guest)
{
    g_autoptr(JsonObject) map = NULL;
    JsonArray *runs;

    vm_shell(guest->vm, "dd if=/dev/zero of=/run/sparse bs=4096 seek=300000 count=2 "
                        "2>/dev/null");
    map = vm_mose_json("cat", guest->vm->name, "/run/sparse", "--map", NULL);
    runs = mose_json_array(map, "runs");
    g_assert_cmpint(mose_json_int(map, "size", 0), ==, (gint64)300002 * PAGE);
    g_assert_cmpint(mose_json_int(map, "missing", -1), ==, 0);
    g_assert_cmpstr(mose_json_string(map, "filesystem", ""), ==, "tmpfs");
    g_assert_cmpuint(json_array_get_length(runs), ==, 2);
    g_assert_cmpstr(mose_json_string(mose_json_element(runs, 0), "state", ""), ==,
                    "a hole");
    g_assert_cmpint(mose_json_int(mose_json_element(runs, 0), "length", 0), ==,
                    (gint64)300000 * PAGE);
    g_assert_cmpstr(mose_json_string(mose_json_element(runs, 1), "state", ""), ==,
                    "there");
    vm_shell(guest->vm, "rm /run/sparse");
}

static void
test_cat(const KernelsGuest *guest)
{
    check_cached(guest);
    check_holes(guest);
    assert_cat_fails(guest, "/run/sparse", "sparse: ");
    assert_cat_fails(guest, "/no-such-name-0", "it may exist all the same");
    assert_cat_fails(guest, "/run", "no regular file");
    assert_cat_fails(guest, "/etc/passwd/x", "no directory");
    assert_cat_fails(guest, "/run/paths/loop", "more than 40 symbolic links");
    assert_cat_fails(guest, "/proc/version", "made when it is read");
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
    kernels_add("/vmi-user/files", test_files);
    kernels_add("/vmi-user/huge", test_huge);
    kernels_add("/vmi-user/paths", test_paths);
    kernels_add("/vmi-user/cat", test_cat);
    kernels_add_once("/vmi-user/disk", test_disk);
}

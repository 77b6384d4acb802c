/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of a guest out of its page cache: all that it has in its memory are read as its
 * own md5sum reads them, whatever path leads there; and of one on a disk it is known
 * what is missing.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/json.h"
#include "vm/vmi-user.h"
#include "vmi/linux/lookup.h"

#define PAGE 4096

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
    "! -name '*[!!-~]*' -exec md5sum {} + 2>/dev/null"

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

        if (strlen(*line) < 35 || (*line)[34] != '/')
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
                        "/run/paths/absolute");
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
    vm_shell(guest->vm, "mkdir -p /run/paths; ln -sf loop /run/paths/loop; "
                        "cat /proc/version >/dev/null");
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
vmi_cat_add(void)
{
    kernels_add("/vmi-user/files", test_files);
    kernels_add("/vmi-user/huge", test_huge);
    kernels_add("/vmi-user/paths", test_paths);
    kernels_add("/vmi-user/cat", test_cat);
    kernels_add_once("/vmi-user/disk", test_disk);
}

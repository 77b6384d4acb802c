/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See fork-guest.h. */
#include "vm/fork-guest.h"

#include <string.h>
#include <unistd.h>

#include "guest/guest.h"
#include "lib/disk-image.h"
#include "qemu/frozen.h"

#define DISK_MB 16
#define LOOK_TRIES 100
#define LOOK_WAIT_US 10000

/* --- guests and their forks --- */

/* The guest's own worker would take an empty disk @image. */
VmGuest *
fork_start(const char *name, const char *image)
{
    VmGuest *guest = vm_guest_new(name);
    g_autofree char *disk =
        image ? g_strdup_printf("-drive file=%s,format=qcow2,if=virtio", image) : NULL;

    vm_run(guest, NULL, disk, image ? NULL : "mose.work=1");
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    return guest;
}

/* The fork as a guest that can be asked, by the second serial port. */
VmGuest *
fork_as_guest(const char *name)
{
    VmGuest *fork = vm_guest_new(name);
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;

    guest = mose_guest_open(name, MOSE_GUEST_LOOK, &error);
    g_assert_no_error(error);
    g_free(fork->shell);
    fork->shell = NULL;
    for (guint i = 0; i < guest->spec->options->len; i++) {
        g_autofree char *path = mose_option_get(guest->spec->options->pdata[i], "path");

        if (path && mose_option_is(guest->spec->options->pdata[i], "-chardev"))
            fork->shell = g_steal_pointer(&path);
    }
    g_assert_nonnull(fork->shell);
    return fork;
}

/* Its process may be replaced by the next one (the last fork goes) while it is looked
 * for: then it is looked for again.
 */
MoseProcess *
fork_process(const char *name)
{
    g_autoptr(GError) error = NULL;
    MoseProcess *process = NULL;

    for (int i = 0; i < LOOK_TRIES && !process; i++) {
        g_autoptr(MoseGuest) guest = mose_guest_open(name, MOSE_GUEST_LOOK, NULL);

        if (!guest)
            return NULL;
        g_clear_error(&error);
        process = mose_guest_process(guest, &error);
        if (!process)
            g_usleep(LOOK_WAIT_US);
    }
    g_assert_no_error(error);
    return process;
}

static MoseFrozen
memory_of(const char *name)
{
    g_autoptr(MoseProcess) process = fork_process(name);
    g_autoptr(GError) error = NULL;
    MoseFrozen state;

    mose_frozen_look(process, FALSE, &state, &error);
    g_assert_no_error(error);
    return state;
}

gboolean
fork_is_frozen(const char *name)
{
    return memory_of(name).frozen;
}

gboolean
fork_is_shared(const char *name)
{
    return memory_of(name).shared;
}

gboolean
fork_is_there(const char *name)
{
    g_autofree char *dir = g_build_filename(g_getenv("MOSE_RUNTIME_DIR"), name, NULL);

    return g_file_test(dir, G_FILE_TEST_EXISTS);
}

void
fork_assert_ok(int status, const char *err)
{
    if (status != 0)
        g_error("%s", err);
}

void
fork_make(const VmGuest *guest, const char *name, const char *option)
{
    g_autofree char *err = NULL;

    fork_assert_ok(vm_mose(NULL, &err, "fork", guest->name, name, option, NULL), err);
}

void
fork_discard(const char *name)
{
    g_autofree char *err = NULL;

    fork_assert_ok(vm_mose(NULL, &err, "discard", name, NULL), err);
    g_assert_false(fork_is_there(name));
}

void
fork_assert_no(int status, const char *err, const char *words)
{
    g_assert_cmpint(status, ==, 1);
    if (!strstr(err, words))
        g_error("'%s' is not in: %s", words, err);
}

/* --- what they hold --- */

static void
read_sum(const VmGuest *guest, const char *path, char *ret)
{
    g_autofree char *command = g_strdup_printf("md5sum <%s", path);
    g_autofree char *said = vm_shell_output(guest, command);
    const char *sum = said;

    while (*sum && !g_ascii_isxdigit(*sum))
        sum++;
    g_assert_cmpuint(strspn(sum, "0123456789abcdef"), ==, FORK_SUM);
    g_strlcpy(ret, sum, FORK_SUM + 1);
}

/* Read anew, not from what the kernel has kept of the disk. */
ForkSums
fork_sums(const VmGuest *guest)
{
    ForkSums sums;

    vm_shell(guest, "echo 3 >/proc/sys/vm/drop_caches");
    read_sum(guest, "/file", sums.memory);
    read_sum(guest, "/dev/vda", sums.disk);
    return sums;
}

void
fork_assert_same(const ForkSums *a, const ForkSums *b)
{
    g_assert_cmpstr(a->memory, ==, b->memory);
    g_assert_cmpstr(a->disk, ==, b->disk);
}

void
fork_assert_differ(const ForkSums *a, const ForkSums *b)
{
    g_assert_cmpstr(a->memory, !=, b->memory);
    g_assert_cmpstr(a->disk, !=, b->disk);
}

/* All of both, with bytes that nobody else has. (The guest's own random ones are those
 * of its forks, too.) */
ForkSums
fork_write(const VmGuest *guest, guint megabytes)
{
    g_autofree char *command = g_strdup_printf(
        "k=%08x%08x; yes memory-$k | head -c 1m >/m; yes disk-$k | head -c 1m >/d; "
        "cat $(yes /m | head -n %u) >/file; cat $(yes /d | head -n %u) | "
        "dd of=/dev/vda bs=1M conv=fsync iflag=fullblock 2>/dev/null",
        g_random_int(), g_random_int(), megabytes, DISK_MB);

    vm_shell(guest, command);
    return fork_sums(guest);
}

char *
fork_disk(const char *name)
{
    char *path = vm_path(name);
    g_autofree char *size = g_strdup_printf("%dM", DISK_MB);

    disk_image_tool("qemu-img", "create", "-q", "-f", "qcow2", path, size, NULL);
    return path;
}

/* What the host finds on the image when nobody has it. */
void
fork_assert_image(const char *path, const char *sum)
{
    g_autofree char *raw = g_strconcat(path, ".raw", NULL);
    g_autofree char *data = NULL;
    g_autofree char *found = NULL;
    g_autoptr(GError) error = NULL;
    gsize len;

    disk_image_tool("qemu-img", "check", "-q", path, NULL);
    disk_image_tool("qemu-img", "convert", "-O", "raw", path, raw, NULL);
    g_file_get_contents(raw, &data, &len, &error);
    g_assert_no_error(error);
    found = g_compute_checksum_for_data(G_CHECKSUM_MD5, (guint8 *)data, len);
    g_assert_cmpstr(found, ==, sum);
    unlink(raw);
}

/* Nothing of forks is left: no frozen memory, no overlay, no state. */
void
fork_assert_whole(const VmGuest *vm, const char *image)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(vm->name, MOSE_GUEST_LOOK, NULL);
    g_autofree char *state = g_build_filename(guest->dir, "fork-state", NULL);
    g_autofree char *dir = g_path_get_dirname(image);
    g_autofree char *base = g_path_get_basename(image);
    g_autoptr(GDir) files = g_dir_open(dir, 0, NULL);
    const char *name;

    g_assert_false(fork_is_frozen(vm->name));
    g_assert_false(g_file_test(state, G_FILE_TEST_EXISTS));
    while ((name = g_dir_read_name(files)))
        g_assert_false(g_str_has_prefix(name, base) && strcmp(name, base) != 0);
}

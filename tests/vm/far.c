/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest moves to another host and comes home: it is whole, each host tells where it
 * is, and what cannot be is refused and leaves nothing behind.
 */
#include <string.h>

#include "lib/certificates.h"
#include "lib/disk-image.h"
#include "switch/tether.h"
#include "util/json.h"
#include "vm/far-guest.h"

#define TIMES 2

/* With a disk that the worker writes, on storage that both have. */
static void
test_there_and_back(void)
{
    VmGuest *guest;
    g_autofree char *image = NULL, *options = NULL;

    if (far_cannot_run())
        return;
    image = vm_path("far.qcow2");
    options = g_strdup_printf("-drive file=%s,format=qcow2,if=virtio", image);
    disk_image_make(image, "qcow2");
    guest = far_start("far", options);
    for (int i = 0; i < TIMES; i++) {
        g_autoptr(JsonObject) home = NULL;
        g_autofree char *err = NULL;

        if (far_go(guest, hosts_address(far_hosts, HOST_THERE), NULL, &err) != 0)
            g_error("there: %s", err);
        far_assert_listed(guest, "away", "running");
        far_assert_answers(guest);
        home = vm_mose_json("virtualize", guest->name, NULL);
        g_assert_cmpint(mose_json_int(home, "blackout-us", 0), >, 0);
        g_assert_cmpstr(mose_json_string(home, "from-accel", ""), ==, "tcg");
        far_assert_listed(guest, "running", "");
        far_assert_answers(guest);
    }
    json_object_unref(vm_assert_healthy(guest));
    far_stop(guest);
    disk_image_assert_ring(image, "qcow2", 1);
}

/* Whether QEMU at @side has the image open itself. */
static gboolean
has_open(const char *image)
{
    const char *argv[] = { "sh", "-c",
                           "for f in /proc/[0-9]*/fd/*; do "
                           "[ \"$(readlink $f)\" = \"$0\" ] || continue; "
                           "p=${f#/proc/}; cat /proc/${p%%/*}/comm; done 2>/dev/null",
                           image, NULL };
    g_autofree char *out = NULL;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
                               NULL, &out, NULL, NULL, NULL));
    return strstr(out, "qemu-system") != NULL;
}

/* The worker's steps on its disk come on, wherever it is: asked of its own web server,
 * by its shell. */
static void
assert_writes(VmGuest *guest)
{
    gint64 first = -1;

    for (int i = 0; i < 400; i++) {
        g_autofree char *text =
            vm_shell_output(guest, "wget -q -O - http://127.0.0.1/cgi-bin/status");
        g_autoptr(JsonObject) page = mose_json_parse(text, -1, "status page", NULL);
        JsonObject *disks = mose_json_child(mose_json_child(page, "worker"), "disks");
        gint64 steps = mose_json_int(mose_json_child(disks, "vda"), "steps", -1);

        if (first < 0)
            first = steps;
        if (steps > first + 1)
            return;
        g_usleep(100000);
    }
    g_error("%s: the disk makes no steps", guest->name);
}

static MoseProcess *
tether_of(const VmGuest *vm)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(vm->name, MOSE_GUEST_LOOK, NULL);

    return mose_tether_process(guest);
}

/* Its disk is at home all the time; what carries it there may die. */
static void
test_disks_at_home(void)
{
    VmGuest *guest;
    g_autofree char *image = NULL, *options = NULL;

    if (far_cannot_run())
        return;
    image = far_image("home");
    options = g_strdup_printf("-drive file=%s,format=qcow2,if=virtio", image);
    guest = far_start("far-home", options);
    for (int i = 0; i < TIMES; i++) {
        g_autoptr(MoseProcess) tether = NULL, other = NULL;
        g_autofree char *err = NULL, *back = NULL;

        g_assert_true(has_open(image));
        if (vm_mose(NULL, &err, "emulate", guest->name, "--on",
                    hosts_address(far_hosts, HOST_THERE), "--rsh", hosts_rsh(far_hosts),
                    "--disks", "home", NULL) != 0)
            g_error("there: %s", err);
        far_assert_listed(guest, "away", "running");
        g_assert_false(has_open(image));
        assert_writes(guest);
        tether = tether_of(guest);
        g_assert_true(tether && mose_process_kill(tether));
        far_assert_listed(guest, "away", "running"); /* which makes another */
        other = tether_of(guest);
        g_assert_true(other && mose_process_alive(other));
        assert_writes(guest);
        if (vm_mose(NULL, &back, "virtualize", guest->name, NULL) != 0)
            g_error("back: %s", back);
        far_assert_listed(guest, "running", "");
        g_assert_true(mose_process_wait(other, 5000));
        g_assert_true(has_open(image));
        assert_writes(guest);
    }
    far_stop(guest);
    disk_image_assert_ring(image, "qcow2", 1);
}

static char *
sum_of(const char *path)
{
    g_autofree char *data = NULL;
    g_autoptr(GError) error = NULL;
    gsize len;

    g_file_get_contents(path, &data, &len, &error);
    g_assert_no_error(error);
    return g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guint8 *)data, len);
}

/* The emulator there does not write the image that both hosts have; what it wrote to an
 * overlay is in the image when the guest is home. */
static void
test_overlay(void)
{
    VmGuest *guest;
    g_autofree char *dir = NULL, *image = NULL, *options = NULL, *err = NULL;
    g_autofree char *before = NULL, *after = NULL, *back = NULL;
    g_autoptr(GDir) left = NULL;

    if (far_cannot_run())
        return;
    dir = vm_path("overlaid");
    g_mkdir_with_parents(dir, 0700);
    image = g_build_filename(dir, "disk.qcow2", NULL);
    disk_image_make(image, "qcow2");
    options = g_strdup_printf("-drive file=%s,format=qcow2,if=virtio", image);
    guest = far_start("far-overlay", options);
    if (vm_mose(NULL, &err, "emulate", guest->name, "--on",
                hosts_address(far_hosts, HOST_THERE), "--rsh", hosts_rsh(far_hosts),
                "--disks", "overlay", NULL) != 0)
        g_error("there: %s", err);
    far_assert_listed(guest, "away", "running");
    before = sum_of(image);
    assert_writes(guest);
    after = sum_of(image);
    g_assert_cmpstr(before, ==, after);
    if (vm_mose(NULL, &back, "virtualize", guest->name, NULL) != 0)
        g_error("back: %s", back);
    far_assert_listed(guest, "running", "");
    assert_writes(guest);
    far_stop(guest);
    disk_image_assert_ring(image, "qcow2", 2);
    left = g_dir_open(dir, 0, NULL);
    g_assert_cmpstr(g_dir_read_name(left), ==, "disk.qcow2");
    g_assert_null(g_dir_read_name(left));
}

/* Its memory by TCP, there and back, as @dir wants it; and refused without what it
 * names.
 */
static void
go_by_tcp(const VmGuest *guest, const char *dir)
{
    g_autofree char *there = NULL, *home = NULL;
    const char *tls = dir ? "--tls" : NULL;

    if (vm_mose(NULL, &there, "emulate", guest->name, "--on",
                hosts_address(far_hosts, HOST_THERE), "--rsh", hosts_rsh(far_hosts),
                "--tcp", "auto", tls, dir, NULL) != 0)
        g_error("there: %s", there);
    far_assert_listed(guest, "away", "running");
    far_assert_answers(guest);
    if (vm_mose(NULL, &home, "virtualize", guest->name, "--tcp", hosts_ip(HOST_HERE),
                "--channels", "2", tls, dir, NULL) != 0)
        g_error("home: %s", home);
    far_assert_listed(guest, "running", "");
    far_assert_answers(guest);
}

static void
test_tcp(void)
{
    const char *const addresses[] = { hosts_ip(HOST_HERE), hosts_ip(HOST_THERE), NULL };
    VmGuest *guest;
    g_autofree char *dir = NULL, *nothing = NULL, *nowhere = NULL;
    int status;

    if (far_cannot_run())
        return;
    dir = vm_path("certificates");
    g_mkdir_with_parents(dir, 0700);
    certificates_make(dir, addresses);
    guest = far_start("far-tcp", NULL);
    go_by_tcp(guest, NULL);
    go_by_tcp(guest, dir);
    status = vm_mose(NULL, &nothing, "emulate", guest->name, "--on",
                     hosts_address(far_hosts, HOST_THERE), "--rsh",
                     hosts_rsh(far_hosts), "--tcp", "auto", "--tls", "/no/such", NULL);
    far_assert_refused(guest, status, nothing, "/no/such/ca-cert.pem");
    status = vm_mose(NULL, &nowhere, "emulate", guest->name, "--on",
                     hosts_address(far_hosts, HOST_THERE), "--rsh",
                     hosts_rsh(far_hosts), "--tcp", "10.1.2.3", NULL);
    far_assert_refused(guest, status, nowhere, "10.1.2.3");
    json_object_unref(vm_assert_healthy(guest));
    far_stop(guest);
}

/* It is ended where it is; and a guest of the same name there is not taken for it. */
static void
test_stop(void)
{
    VmGuest *guest;
    g_autofree char *err = NULL, *there = NULL;

    if (far_cannot_run())
        return;
    guest = far_start("far-stop", NULL);
    g_assert_cmpint(far_go(guest, hosts_address(far_hosts, HOST_THERE), NULL, NULL), ==,
                    0);
    g_assert_cmpint(
        hosts_run(far_hosts, HOST_THERE, NULL, NULL, "mose", "stop", guest->name, NULL),
        ==, 0);
    g_assert_cmpint(hosts_run(far_hosts, HOST_THERE, NULL, NULL, "mose", "run",
                              guest->name, "--accel", "tcg", "--", "-m", "32",
                              "-display", "none", "-nodefaults", NULL),
                    ==, 0);
    g_assert_cmpint(vm_mose(NULL, &err, "virtualize", guest->name, NULL), ==, 1);
    g_assert_nonnull(strstr(err, "is another one"));
    far_assert_listed(guest, "away", "running");
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    far_assert_listed(guest, "", "running");
    g_assert_cmpint(
        hosts_run(far_hosts, HOST_THERE, NULL, NULL, "mose", "stop", guest->name, NULL),
        ==, 0);
    vm_guest_free(guest);
    guest = far_start("far-stop", NULL);
    g_assert_cmpint(far_go(guest, hosts_address(far_hosts, HOST_THERE), NULL, NULL), ==,
                    0);
    far_stop(guest);
    there = far_listed(HOST_THERE, "far-stop");
    g_assert_cmpstr(there, ==, "");
}

/* The program of a newer QEMU, NULL with @ret_why. */
static char *
newer_qemu(char **ret_why)
{
    const char *argv[] = { g_getenv("MOSE_FETCH_QEMU"), NULL };
    g_autofree char *out = NULL;
    int status = -1;

    if (argv[0] &&
        g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, ret_why, &status,
                     NULL) &&
        status == 0) {
        g_clear_pointer(ret_why, g_free);
        return g_strdup(g_strstrip(out));
    }
    return NULL;
}

/* Which of the two it runs in: the newer one has a loader of its own. */
static void
assert_newer(const VmGuest *guest, HostSide side, gboolean newer)
{
    g_autofree char *text = NULL, *path = NULL, *line = NULL;
    g_autoptr(JsonObject) status = NULL;

    g_assert_cmpint(hosts_run(far_hosts, side, &text, NULL, "mose", "status",
                              guest->name, "--json", NULL),
                    ==, 0);
    status = mose_json_parse(text, -1, "status", NULL);
    path = g_strdup_printf("/proc/%d/cmdline", (int)mose_json_int(status, "pid", 0));
    g_assert_cmpint(hosts_run(far_hosts, side, &line, NULL, "cat", path, NULL), ==, 0);
    g_assert_cmpint(strstr(line, "ld-linux") != NULL, ==, newer);
}

/* The other host has a QEMU of a later version, and the guest comes back from it. */
static void
test_newer_qemu(void)
{
    g_autofree char *why = NULL, *newer = NULL, *own = NULL;
    VmGuest *guest;

    if (far_cannot_run())
        return;
    newer = newer_qemu(&why);
    own = g_find_program_in_path("qemu-system-x86_64");
    if (!newer) {
        g_test_skip(why ? g_strstrip(why) : "MOSE_FETCH_QEMU is not set");
        return;
    }
    g_assert_cmpint(hosts_run(far_hosts, HOST_THERE, NULL, NULL, "mount", "--bind",
                              newer, own, NULL),
                    ==, 0);
    guest = far_start("far-newer", NULL);
    for (int i = 0; i < TIMES; i++) {
        g_autofree char *there = NULL, *home = NULL;

        if (far_go(guest, hosts_address(far_hosts, HOST_THERE), NULL, &there) != 0)
            g_error("there: %s", there);
        assert_newer(guest, HOST_THERE, TRUE);
        far_assert_answers(guest);
        if (vm_mose(NULL, &home, "virtualize", guest->name, NULL) != 0)
            g_error("home: %s", home);
        assert_newer(guest, HOST_HERE, FALSE);
        far_assert_answers(guest);
    }
    json_object_unref(vm_assert_healthy(guest));
    far_stop(guest);
    g_assert_cmpint(hosts_run(far_hosts, HOST_THERE, NULL, NULL, "umount", own, NULL),
                    ==, 0);
}

/* There, the image's name shows another file: nobody has locked that. */
static void
test_other_image(void)
{
    VmGuest *guest;
    g_autofree char *dir = NULL, *other = NULL, *image = NULL, *copy = NULL;
    g_autofree char *options = NULL, *map = NULL, *err = NULL;
    int status;

    if (far_cannot_run())
        return;
    dir = vm_path("images");
    other = vm_path("other");
    g_mkdir_with_parents(dir, 0700);
    g_mkdir_with_parents(other, 0700);
    image = g_build_filename(dir, "disk.qcow2", NULL);
    copy = g_build_filename(other, "disk.qcow2", NULL);
    disk_image_make(image, "qcow2");
    disk_image_make(copy, "qcow2");
    options = g_strdup_printf("-drive file=%s,format=qcow2,if=virtio", image);
    map = g_strdup_printf("%s=%s", dir, other);
    guest = far_start("far-image", options);
    status = vm_mose(NULL, &err, "emulate", guest->name, "--on",
                     hosts_address(far_hosts, HOST_THERE), "--rsh",
                     hosts_rsh(far_hosts), "--map", map, NULL);
    far_assert_refused(guest, status, err, "it is another file");
    far_stop(guest);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    far_setup();
    g_test_add_func("/far/there-and-back", test_there_and_back);
    g_test_add_func("/far/disks-at-home", test_disks_at_home);
    g_test_add_func("/far/overlay", test_overlay);
    g_test_add_func("/far/newer-qemu", test_newer_qemu);
    g_test_add_func("/far/tcp", test_tcp);
    g_test_add_func("/far/stop", test_stop);
    g_test_add_func("/far/other-image", test_other_image);
    return far_run_tests();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that a guest gets while it runs go with it, and stay gone when they are
 * taken away; the description says what the machine has, whoever dies when.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/disk-image.h"
#include "lib/vm.h"
#include "qemu/command.h"
#include "guest/guest.h"
#include "util/json.h"

#define LIMIT_SECONDS 60
#define RNG "-device virtio-rng-pci,id=late"

/* `mose @command @name` with the words of @line behind it. */
static int
run_mose(const VmGuest *guest, const char *command, const char *line, char **ret_err)
{
    g_autofree char *text = g_strdup_printf("%s %s %s", command, guest->name, line);
    g_auto(GStrv) words = NULL;

    g_assert_true(g_shell_parse_argv(text, NULL, &words, NULL));
    return vm_mosev(NULL, ret_err, (const char *const *)words);
}

static void
plug(const VmGuest *guest, const char *options)
{
    g_autofree char *line = g_strconcat("-- ", options, NULL);

    g_assert_cmpint(run_mose(guest, "plug", line, NULL), ==, 0);
}

static void
unplug(const VmGuest *guest, const char *ids)
{
    g_assert_cmpint(run_mose(guest, "unplug", ids, NULL), ==, 0);
}

static void
assert_refused(const VmGuest *guest, const char *command, const char *line,
               const char *why)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(run_mose(guest, command, line, &err), ==, 1);
    if (!strstr(err, why))
        g_error("'%s' is not in: %s", why, err);
}

static void
round_trip(const VmGuest *guest)
{
    g_assert_cmpint(run_mose(guest, "emulate", "", NULL), ==, 0);
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(run_mose(guest, "virtualize", "", NULL), ==, 0);
    json_object_unref(vm_assert_healthy(guest));
}

/* Whether the description has @text in one of its options. */
static gboolean
is_described(const VmGuest *guest, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, &error);

    g_assert_no_error(error);
    for (guint i = 0; i < opened->spec->options->len; i++) {
        const MoseOption *option = opened->spec->options->pdata[i];

        if (option->value && strstr(option->value, text))
            return TRUE;
    }
    return FALSE;
}

/* A QMP command that MOSE knows nothing of. */
static void
behind_its_back(const VmGuest *guest, const char *command, JsonObject *arguments,
                const char *event)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, &error);
    g_autoptr(MoseQmp) qmp = mose_guest_connect(opened, MOSE_MONITOR_QUERY, &error);

    mose_qmp_run(qmp, command, arguments, &error);
    g_assert_no_error(error);
    if (event)
        mose_qmp_wait_event(qmp, event, LIMIT_SECONDS * 1000, -1, NULL, &error);
    g_assert_no_error(error);
}

static void
add_late(const VmGuest *guest)
{
    behind_its_back(
        guest, "device_add",
        mose_json_object("driver", "s", "virtio-rng-pci", "id", "s", "late", NULL),
        NULL);
}

static void
remove_late(const VmGuest *guest)
{
    behind_its_back(guest, "device_del", mose_json_object("id", "s", "late", NULL),
                    "DEVICE_DELETED");
}

static gboolean
has_late(const VmGuest *guest)
{
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseQmp) qmp = mose_guest_connect(opened, MOSE_MONITOR_QUERY, NULL);

    return mose_qmp_run(qmp, "qom-list",
                        mose_json_object("path", "s", "/machine/peripheral/late", NULL),
                        NULL);
}

/* --- at work on what was plugged in ---------------------------------------- */

static void
wait_in_guest(const VmGuest *guest, const char *condition)
{
    g_autofree char *command = g_strdup_printf(
        "for i in $(seq %d); do %s && echo YES && break; sleep 0.1; done",
        LIMIT_SECONDS * 10, condition);
    g_autofree char *said = vm_shell_output(guest, command);

    if (!strstr(said, "YES"))
        g_error("in the guest, '%s' does not come true", condition);
}

static void
start_worker(const VmGuest *guest, const char *disk)
{
    g_autofree char *there = g_strdup_printf("[ -b /dev/%s ]", disk);
    g_autofree char *command =
        g_strdup_printf("worker --disk /dev/%s --status /run/%s --pages 1 "
                        "2>/dev/console >/dev/null & echo $! >/run/%s.pid",
                        disk, disk, disk);

    wait_in_guest(guest, there);
    vm_shell(guest, command);
}

static guint64
steps_of(const VmGuest *guest, const char *disk)
{
    g_autofree char *command = g_strdup_printf("cat /run/%s 2>/dev/null", disk);
    g_autofree char *said = vm_shell_output(guest, command);
    g_autoptr(JsonObject) page = mose_json_parse(said, -1, disk, NULL);

    return page ? mose_json_int(mose_json_child(page, "disk"), "steps", 0) : 0;
}

static guint64
wait_for_work(const VmGuest *guest, const char *disk, guint64 before)
{
    for (int i = 0; i < LIMIT_SECONDS * 10; i++) {
        guint64 steps = steps_of(guest, disk);

        if (steps > before + 1)
            return steps;
        g_usleep(100000);
    }
    g_error("no work is done on %s", disk);
}

/* Its worker first: the last that it wrote is on the disk. */
static guint64
stop_worker(const VmGuest *guest, const char *disk)
{
    guint64 steps = steps_of(guest, disk);
    g_autofree char *command =
        g_strdup_printf("kill $(cat /run/%s.pid); sleep 0.2", disk);

    vm_shell(guest, command);
    return steps;
}

/* Disks on virtio-blk and virtio-scsi, a network and an entropy device. */
static void
test_devices(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *base = NULL, *one = NULL, *two = NULL, *extra = NULL;
    g_autofree char *blk = NULL, *scsi = NULL;
    guint64 vdb = 0, sda = 0;

    if (vm_cannot_run())
        return;
    guest = vm_guest_new("plug");
    base = vm_path("base.img");
    one = vm_path("one.img");
    two = vm_path("two.img");
    disk_image_make(base, "raw");
    disk_image_make(one, "qcow2");
    disk_image_make(two, "raw");
    extra = g_strdup_printf("-device virtio-rng-pci,id=first "
                            "-drive file=%s,format=raw,if=none,id=base "
                            "-device virtio-blk-pci,drive=base",
                            base);
    vm_run(guest, NULL, extra, "mose.work=1 mose.modules=virtio_scsi,sd_mod");
    vm_wait_console(guest, "MOSE-GUEST READY", 90);
    blk = g_strdup_printf("-drive file=%s,format=qcow2,if=none,id=d1,cache=none "
                          "-device virtio-blk-pci,drive=d1,id=blk1",
                          one);
    scsi = g_strdup_printf("-blockdev driver=raw,node-name=d2,file.driver=file,"
                           "file.filename=%s -device virtio-scsi-pci,id=scsi1 "
                           "-device '{\"driver\":\"scsi-hd\",\"bus\":\"scsi1.0\","
                           "\"drive\":\"d2\",\"id\":\"disk2\"}'",
                           two);
    plug(guest, blk);
    plug(guest, scsi);
    plug(guest, "-netdev user,id=n2 -device virtio-net-pci,netdev=n2,id=nic2,romfile= "
                "-object rng-random,id=rng2,filename=/dev/urandom "
                "-device virtio-rng-pci,rng=rng2,id=rngdev2");
    g_assert_true(is_described(guest, "id=blk1,addr="));
    start_worker(guest, "vdb");
    start_worker(guest, "sda");
    wait_in_guest(guest, "[ -d /sys/class/net/eth1 ]");
    for (int i = 0; i < 2; i++) {
        vdb = wait_for_work(guest, "vdb", vdb);
        sda = wait_for_work(guest, "sda", sda);
        round_trip(guest);
    }
    /* One with a lower address goes: the others keep theirs. */
    unplug(guest, "first");
    round_trip(guest);
    wait_for_work(guest, "vdb", vdb);
    vdb = stop_worker(guest, "vdb");
    sda = stop_worker(guest, "sda");
    unplug(guest, "blk1");
    /* Linux 6.1 warns where a controller goes while the going of its disk is still
     * being handled (virtscsi_kick_event makes anew what virtscsi_remove cancels). */
    unplug(guest, "disk2 d2");
    wait_in_guest(guest, "[ ! -b /dev/sda ]");
    unplug(guest, "scsi1");
    unplug(guest, "nic2 n2 rngdev2 rng2");
    wait_in_guest(guest,
                  "[ ! -b /dev/vdb -a ! -b /dev/sda -a ! -d /sys/class/net/eth1 ]");
    g_assert_false(is_described(guest, one));
    g_assert_false(is_described(guest, two));
    g_assert_false(is_described(guest, "n2"));
    disk_image_assert_ring(one, "qcow2", vdb);
    disk_image_assert_ring(two, "raw", sda);
    round_trip(guest);
    g_assert_cmpint(run_mose(guest, "emulate", "--disks overlay", NULL), ==, 0);
    assert_refused(guest, "plug", "-- " RNG, "works on overlays of its disks");
    assert_refused(guest, "unplug", "net", "works on overlays of its disks");
    g_assert_cmpint(run_mose(guest, "virtualize", "", NULL), ==, 0);
    plug(guest, RNG);
    round_trip(guest);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

/* On q35, into a root port; the machine's own bus takes nothing. */
static void
test_root_port(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *image = NULL, *options = NULL, *wrong = NULL;
    guint64 steps;

    if (vm_cannot_run())
        return;
    guest = vm_guest_new("port");
    image = vm_path("port.img");
    disk_image_make(image, "qcow2");
    vm_run(guest, NULL, "-machine q35 -device pcie-root-port,id=port1,chassis=1",
           "mose.work=1");
    vm_wait_console(guest, "MOSE-GUEST READY", 90);
    wrong = g_strdup_printf("-- -drive file=%s,format=qcow2,if=none,id=d1 "
                            "-device virtio-blk-pci,drive=d1,id=blk1",
                            image);
    assert_refused(guest, "plug", wrong, "does not support hotplugging");
    g_assert_false(is_described(guest, image));
    options = g_strconcat(wrong + 3, ",bus=port1", NULL);
    plug(guest, options);
    start_worker(guest, "vda");
    wait_for_work(guest, "vda", 0);
    round_trip(guest);
    steps = stop_worker(guest, "vda");
    unplug(guest, "blk1");
    g_assert_false(is_described(guest, image));
    disk_image_assert_ring(image, "qcow2", steps);
    round_trip(guest);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

/* --- what is not done, and said so ----------------------------------------- */

static VmGuest *plain;

/* One guest for the tests that leave it as it was. */
static const VmGuest *
plain_guest(void)
{
    if (!plain) {
        plain = vm_guest_new("plain");
        vm_run(plain, NULL, NULL, NULL);
        vm_wait_console(plain, "MOSE-GUEST READY", 90);
    }
    return plain;
}

static void
test_refused(void)
{
    const VmGuest *guest;

    if (vm_cannot_run())
        return;
    guest = plain_guest();
    assert_refused(guest, "plug", "-- -m 1G", "it can't be plugged in; what can:");
    assert_refused(guest, "plug", "-- -device virtio-rng-pci", "it needs an id=");
    assert_refused(guest, "plug", "-- -drive file=x,id=d", "say if=none");
    assert_refused(guest, "plug", "-- -netdev user,id=net", "there is a net already");
    assert_refused(guest, "plug", "-- -chardev stdio,id=c",
                   "use a file or a unix socket");
    assert_refused(guest, "plug", "-- -netdev user,id=n2 -device no-such,id=x",
                   "no-such");
    g_assert_false(is_described(guest, "n2"));
    assert_refused(guest, "unplug", "nothing", "has nothing called nothing");
    assert_refused(guest, "unplug", "net", "net is used by -device virtio-net-pci");
    plug(guest, RNG);
    /* Stopped, it does not answer. */
    behind_its_back(guest, "stop", NULL, NULL);
    assert_refused(guest, "unplug", "late --timeout 1",
                   "has not let go of late within 1 s");
    g_assert_true(is_described(guest, "id=late"));
    behind_its_back(guest, "cont", NULL, NULL);
    unplug(guest, "late");
    g_assert_false(is_described(guest, "id=late"));
    round_trip(guest);
}

/* What came and went without MOSE is refused in a switch, and mended by `unplug`. */
static void
test_without_mose(void)
{
    const VmGuest *guest;

    if (vm_cannot_run())
        return;
    guest = plain_guest();
    add_late(guest);
    assert_refused(guest, "emulate", "",
                   "the guest has devices that the destination lacks: virtio-rng-pci");
    unplug(guest, "late");
    g_assert_false(has_late(guest));
    round_trip(guest);
    plug(guest, RNG);
    remove_late(guest);
    assert_refused(guest, "emulate", "",
                   "the guest lacks devices that the destination has: virtio-rng-pci");
    unplug(guest, "late");
    g_assert_false(is_described(guest, "id=late"));
    round_trip(guest);
}

/* --- killed ---------------------------------------------------------------- */

/* What a command that died has left: it had begun to change @options. */
static void
leave_file(const VmGuest *guest)
{
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, NULL);
    g_autofree char *path = g_build_filename(opened->dir, "plug", NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(
        path, "{\"options\":[[\"-device\",\"virtio-rng-pci,id=late\"]]}", -1, &error);
    g_assert_no_error(error);
}

static void
assert_recovered(const VmGuest *guest, gboolean there)
{
    g_autoptr(MoseGuest) opened = mose_guest_open(guest->name, MOSE_GUEST_LOOK, NULL);
    g_autofree char *path = g_build_filename(opened->dir, "plug", NULL);

    json_object_unref(vm_mose_json("status", guest->name, NULL));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_true(has_late(guest) == there);
    g_assert_true(is_described(guest, "id=late") == there);
}

/* `mose @command`, killed after @us microseconds. */
static void
kill_mose(const VmGuest *guest, const char *command, const char *line, guint us)
{
    g_autofree char *text =
        g_strdup_printf("%s %s %s %s", g_getenv("MOSE"), command, guest->name, line);
    g_auto(GStrv) argv = NULL;
    GPid pid;
    int status;

    g_assert_true(g_shell_parse_argv(text, NULL, &argv, NULL));
    g_assert_true(g_spawn_async(NULL, argv, NULL,
                                G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL |
                                    G_SPAWN_STDERR_TO_DEV_NULL,
                                NULL, NULL, &pid, NULL));
    g_usleep(us);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

/* The guest may let go after the kill: told once more, it is forgotten. If that was
 * seen before the word came there is nothing of that name any more, which is told. */
static void
unplug_once_more(const VmGuest *guest)
{
    g_autofree char *err = NULL;

    if (run_mose(guest, "unplug", "late", &err) != 0 &&
        !strstr(err, "has nothing called late"))
        g_error("told once more: %s", err);
}

/* The file is there, and QEMU has been told, or not; then kills at any moment. */
static void
test_killed(void)
{
    const VmGuest *guest;

    if (vm_cannot_run())
        return;
    guest = plain_guest();
    leave_file(guest); /* killed before device_add */
    assert_recovered(guest, FALSE);
    leave_file(guest);
    add_late(guest); /* killed after it */
    assert_recovered(guest, TRUE);
    round_trip(guest);
    leave_file(guest); /* killed before device_del */
    assert_recovered(guest, TRUE);
    leave_file(guest);
    remove_late(guest); /* killed after the guest let go */
    assert_recovered(guest, FALSE);
    round_trip(guest);
    for (guint us = 0; us < 20000; us += 2000) {
        kill_mose(guest, "plug", "-- " RNG, us);
        assert_recovered(guest, has_late(guest));
        if (!has_late(guest))
            plug(guest, RNG);
        kill_mose(guest, "unplug", "late", us);
        json_object_unref(vm_mose_json("status", guest->name, NULL));
        if (is_described(guest, "id=late"))
            unplug_once_more(guest);
        assert_recovered(guest, FALSE);
    }
    round_trip(guest);
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/plug/devices", test_devices);
    g_test_add_func("/plug/root-port", test_root_port);
    g_test_add_func("/plug/refused", test_refused);
    g_test_add_func("/plug/without-mose", test_without_mose);
    g_test_add_func("/plug/killed", test_killed);
    ret = vm_run_tests();
    vm_guest_free(plain);
    return ret;
}

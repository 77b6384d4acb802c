/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux under load goes round: its memory, disk, registers, clock and
 * connections are whole. The worker in the guest checks itself (guest/linux).
 */
#include <gio/gio.h>
#include <string.h>

#include "lib/vm.h"
#include "util/json.h"

#define MS G_GINT64_CONSTANT(1000000)

static void
make_disk(const char *path)
{
    const char *argv[] = {
        "qemu-img", "create", "-q", "-f", "qcow2", path, "64M", NULL
    };
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                 &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

/* One switch; what `mose` reported agrees with itself and with `mose list`. */
static JsonObject *
go(const VmGuest *guest, const char *command, const char *side)
{
    JsonObject *report = vm_mose_json(command, guest->name, NULL);
    g_autoptr(JsonObject) status = vm_mose_json("status", guest->name, NULL);

    g_assert_cmpstr(mose_json_string(report, "side", ""), ==, side);
    g_assert_cmpstr(mose_json_string(status, "side", ""), ==, side);
    g_assert_cmpstr(mose_json_string(status, "state", ""), ==, "running");
    g_assert_cmpint(mose_json_int(report, "blackout-us", 0), >, 0);
    return report;
}

/* Everything a guest may have, KASLR on, on machine @machine. */
static void
round_trip(const char *machine)
{
    g_autoptr(VmGuest) guest = vm_guest_new(machine);
    g_autofree char *disk = vm_path(machine);
    g_autofree char *extra = g_strdup_printf(
        "-machine %s -drive file=%s,format=qcow2,if=none,id=disk "
        "-device virtio-blk-pci,drive=disk -device virtio-rng-pci "
        "-device virtio-serial-pci -chardev null,id=c -device virtconsole,chardev=c",
        machine, disk);
    g_autoptr(JsonObject) before = NULL, after = NULL;
    gint64 steps;

    make_disk(disk);
    vm_run(guest, NULL, extra, "mose.work=1");
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    before = vm_assert_healthy(guest);
    for (int i = 0; i < 3; i++) {
        json_object_unref(go(guest, "emulate", "emulator"));
        json_object_unref(vm_assert_healthy(guest));
        json_object_unref(go(guest, "virtualize", "virtualizer"));
    }
    steps = mose_json_int(mose_json_child(mose_json_child(before, "worker"), "disk"),
                          "steps", 0);
    /* The worker's page is a second old at most: wait for a fresh one. */
    for (int i = 0; i < 100; i++) {
        g_clear_pointer(&after, json_object_unref);
        after = vm_assert_healthy(guest);
        if (mose_json_int(mose_json_child(mose_json_child(after, "worker"), "disk"),
                          "steps", 0) > steps)
            break;
        g_usleep(100000);
    }
    g_assert_cmpint(
        mose_json_int(mose_json_child(mose_json_child(after, "worker"), "disk"),
                      "steps", 0),
        >, steps);
    g_assert_cmpstr(mose_json_string(after, "boot_id", "a"), ==,
                    mose_json_string(before, "boot_id", "b"));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

static void
test_pc(void)
{
    if (!vm_cannot_run())
        round_trip("pc");
}

static void
test_q35(void)
{
    if (!vm_cannot_run())
        round_trip("q35");
}

static void
switches(const VmGuest *guest, int n, const char *without)
{
    for (int i = 0; i < n; i++) {
        const char *command = i % 2 == 0 ? "emulate" : "virtualize";
        json_object_unref(without ? vm_mose_json(command, guest->name, "--without-rule",
                                                 without, NULL)
                                  : vm_mose_json(command, guest->name, NULL));
    }
}

/* The guest's clock goes on as if nothing had happened; without the rule it is
 * late by the time of each switch. */
static void
test_clock(void)
{
    g_autoptr(VmGuest) guest = NULL;
    gint64 start, with, without;

    if (vm_cannot_run())
        return;
    guest = vm_guest_new("clock");
    vm_run(guest, NULL, NULL, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    start = vm_clock_difference(guest);
    switches(guest, 10, NULL);
    with = vm_clock_difference(guest) - start;
    start = vm_clock_difference(guest);
    switches(guest, 10, "stopped-time");
    without = vm_clock_difference(guest) - start;
    g_test_message("ten switches: %.3f ms, without the rule %.3f ms", with / 1e6,
                   without / 1e6);
    g_assert_cmpint(ABS(with), <, 20 * MS);
    g_assert_cmpint(without, <, -20 * MS);
    g_assert_cmpint(ABS(with), <, -without);
    json_object_unref(vm_assert_healthy(guest));
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

/* A guest that was paused arrives paused. */
static void
test_paused(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(JsonObject) report = NULL;
    g_autofree char *state = NULL;

    if (vm_cannot_run())
        return;
    guest = vm_guest_new("paused");
    vm_run(guest, NULL, "-S", NULL);
    report = vm_mose_json("emulate", guest->name, NULL);
    g_assert_cmpint(mose_json_int(report, "blackout-us", -1), ==, 0);
    state = vm_state(guest);
    g_assert_true(strcmp(state, "paused") == 0 || strcmp(state, "prelaunch") == 0);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

/* Sockets that the user named lead to the guest on whichever side it is. */
static void
test_shell(void)
{
    g_autoptr(VmGuest) guest = NULL;

    if (vm_cannot_run())
        return;
    guest = vm_guest_new("shell");
    vm_run(guest, NULL, NULL, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    for (int i = 0; i < 3; i++) {
        g_autofree char *command = g_strdup_printf("echo MA''RK%d >/dev/console", i);
        g_autofree char *mark = g_strdup_printf("MARK%d", i);

        vm_shell(guest, command);
        vm_wait_console(guest, mark, 20);
        vm_mose(NULL, NULL, i % 2 == 0 ? "emulate" : "virtualize", guest->name, NULL);
    }
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    g_test_add_func("/switch/pc", test_pc);
    g_test_add_func("/switch/q35", test_q35);
    g_test_add_func("/switch/clock", test_clock);
    g_test_add_func("/switch/paused", test_paused);
    g_test_add_func("/switch/shell", test_shell);
    return vm_run_tests();
}

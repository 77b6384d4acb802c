/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections survive: clients on a tap keep their TCP connections open, and
 * busy, while the guest is switched. In a network namespace of the test's own.
 */
#include <string.h>

#include "lib/vm-net.h"
#include "util/json.h"

#define CONNECTIONS 8
#define SWITCHES 6
/* Long enough for a reply where the host is busy, too. */
#define AFTER_SECONDS 3

static gboolean
cannot_run(void)
{
    if (vm_why_not())
        g_test_skip(vm_why_not());
    else if (vm_net_why_not())
        g_test_skip(vm_net_why_not());
    return vm_why_not() || vm_net_why_not();
}

/* Some seconds more, the last phase of @load, in which it is answered; and none of it
 * was broken. */
static void
end_unbroken(GSubprocess *load, guint last_phase)
{
    g_autoptr(JsonObject) result = NULL;
    g_autofree char *text = NULL;

    vm_load_mark(load, "after");
    g_usleep(AFTER_SECONDS * G_USEC_PER_SEC);
    result = vm_load_end(load);
    text = mose_json_text(result, FALSE);
    g_test_message("%s", text);
    g_assert_cmpint(mose_json_int(result, "errors", -1), ==, 0);
    g_assert_cmpint(mose_json_int(result, "reconnects", -1), ==, 0);
    g_assert_cmpint(mose_json_int(result, "connections_alive", -1), ==, CONNECTIONS);
    g_assert_cmpint(vm_load_requests(result, last_phase), >, 0);
}

static void
test_tap(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GSubprocess) load = NULL;

    if (cannot_run())
        return;
    guest = vm_guest_new("net");
    vm_net_run(guest, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    load = vm_load_start(CONNECTIONS);
    g_usleep(G_USEC_PER_SEC);
    vm_load_mark(load, "switching");
    for (int i = 0; i < SWITCHES; i++) {
        json_object_unref(
            vm_mose_json(i % 2 == 0 ? "emulate" : "virtualize", guest->name, NULL));

        g_usleep(G_USEC_PER_SEC / 5);
    }
    end_unbroken(load, 2);
    g_assert_false(vm_console_has(guest, "MOSE-GUEST ERROR"));
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* A fork has the same connections, and the same address: neither it nor its end is
 * noticed by who is connected to the guest. */
static void
test_fork(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GSubprocess) load = NULL;

    if (cannot_run())
        return;
    guest = vm_guest_new("net-forked");
    vm_net_run(guest, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    /* Who had this address before may still be looked for. */
    json_object_unref(vm_assert_healthy(guest));
    load = vm_load_start(CONNECTIONS);
    g_usleep(G_USEC_PER_SEC);
    vm_load_mark(load, "forked");
    json_object_unref(vm_mose_json("fork", guest->name, "net-fork", NULL));
    g_usleep(2 * G_USEC_PER_SEC);
    json_object_unref(vm_mose_json("discard", "net-fork", NULL));
    end_unbroken(load, 2);
    g_assert_false(vm_console_has(guest, "MOSE-GUEST ERROR"));
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* A tap that comes later has another number in each process: it is found all the same,
 * and its connections stay. */
static void
test_plugged(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GSubprocess) load = NULL;

    if (cannot_run())
        return;
    guest = vm_guest_new("plugged");
    guest->port = 0;
    vm_run(guest, NULL, NULL, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    g_assert_cmpint(vm_mose(NULL, NULL, "plug", guest->name, "--", "-netdev",
                            "tap,id=net,ifname=tap0,script=no,downscript=no", "-device",
                            "virtio-net-pci,netdev=net,id=nic,romfile=", NULL),
                    ==, 0);
    vm_shell(guest,
             "until ip addr add 10.77.0.2/24 dev eth0 2>/dev/null; do sleep 0.1; "
             "done; ip link set eth0 up");
    load = vm_load_start(CONNECTIONS);
    g_usleep(G_USEC_PER_SEC);
    for (int i = 0; i < 4; i++)
        json_object_unref(
            vm_mose_json(i % 2 == 0 ? "emulate" : "virtualize", guest->name, NULL));
    end_unbroken(load, 1);
    g_assert_cmpint(vm_mose(NULL, NULL, "unplug", guest->name, "nic", "net", NULL), ==,
                    0);
    json_object_unref(vm_mose_json("emulate", guest->name, NULL));
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* A tap that is not there is named, and not made. */
static void
test_no_tap(void)
{
    const char *words[] = {
        "run",         "no-tap",  "--",
        "-nodefaults", "-netdev", "tap,id=n,ifname=mose-no-tap,script=no,downscript=no",
        NULL
    };
    g_autofree char *err = NULL;

    if (cannot_run())
        return;
    g_assert_cmpint(vm_mosev(NULL, &err, words), ==, 1);
    g_assert_nonnull(strstr(err, "no tap interface mose-no-tap"));
    g_assert_false(vm_net_ip("link show mose-no-tap"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    vm_net_setup();
    g_test_add_func("/net/tap", test_tap);
    g_test_add_func("/net/fork", test_fork);
    g_test_add_func("/net/plugged", test_plugged);
    g_test_add_func("/net/no-tap", test_no_tap);
    return vm_run_tests();
}

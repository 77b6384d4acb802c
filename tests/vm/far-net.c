/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest whose network stays at home while it is on another host: its TCP connections
 * go on, and what it sends arrives whole.
 */
#include <signal.h>
#include <string.h>

#include "lib/vm-download.h"
#include "lib/vm-net.h"
#include "switch/tether.h"
#include "util/json.h"
#include "vm/far-guest.h"

#define CONNECTIONS 8
#define ADDRESS "10.77.0.2"
#define BIG_MB 64

static gboolean
cannot_run(void)
{
    if (far_cannot_run())
        return TRUE;
    if (vm_net_why_not())
        g_test_skip(vm_net_why_not());
    return vm_net_why_not() != NULL;
}

static void
go_away(const VmGuest *guest)
{
    g_autofree char *err = NULL;

    if (vm_mose(NULL, &err, "emulate", guest->name, "--on",
                hosts_address(far_hosts, HOST_THERE), "--rsh", hosts_rsh(far_hosts),
                "--network", "home", NULL) != 0)
        g_error("there: %s", err);
}

static void
come_home(const VmGuest *guest)
{
    g_autofree char *err = NULL;

    if (vm_mose(NULL, &err, "virtualize", guest->name, NULL) != 0)
        g_error("home: %s", err);
}

/* Wait until more has come through. */
static void
wait_more(VmDownload *download)
{
    gsize before = (gsize)g_atomic_pointer_get(&download->got);

    for (int i = 0; i < 600; i++) {
        if ((gsize)g_atomic_pointer_get(&download->got) > before + (1 << 20))
            return;
        g_usleep(100000);
    }
    g_error("the download stands still at %" G_GSIZE_FORMAT " bytes", before);
}

static char *
make_file(VmGuest *guest)
{
    g_autofree char *said = NULL;

    vm_shell(guest, "head -c " G_STRINGIFY(BIG_MB) "m /dev/urandom >/var/www/html/big");
    said = vm_shell_output(guest, "sha256sum </var/www/html/big");
    g_assert_cmpuint(strlen(said), >, 64);
    return g_strndup(said, 64);
}

/* What leads there dies, and another one is made. */
static void
kill_tether(const VmGuest *vm)
{
    g_autoptr(MoseGuest) guest = mose_guest_open(vm->name, MOSE_GUEST_LOOK, NULL);
    g_autoptr(MoseProcess) tether = mose_tether_process(guest);

    g_assert_true(tether && mose_process_kill(tether));
    far_assert_listed(vm, "away", "running");
}

static void
test_home(void)
{
    VmDownload download = { ADDRESS, TRUE, 0 };
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GSubprocess) load = NULL;
    g_autoptr(JsonObject) result = NULL;
    g_autofree char *sum = NULL, *got = NULL, *text = NULL;
    GThread *thread;

    if (cannot_run())
        return;
    guest = vm_guest_new("far-net");
    vm_net_run(guest, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    sum = make_file(guest);
    thread = g_thread_new("download", vm_download, &download);
    load = vm_load_start(CONNECTIONS);
    wait_more(&download);
    go_away(guest);
    vm_load_mark(load, "away");
    far_assert_listed(guest, "away", "running");
    wait_more(&download);
    kill_tether(guest);
    wait_more(&download);
    come_home(guest);
    vm_load_mark(load, "home");
    far_assert_listed(guest, "running", "");
    wait_more(&download);
    g_atomic_int_set(&download.slow, FALSE);
    got = g_thread_join(thread);
    g_assert_cmpstr(got, ==, sum);
    result = vm_load_end(load);
    text = mose_json_text(result, FALSE);
    g_test_message("%s", text);
    g_assert_cmpint(mose_json_int(result, "errors", -1), ==, 0);
    g_assert_cmpint(mose_json_int(result, "reconnects", -1), ==, 0);
    g_assert_cmpint(vm_load_requests(result, 1), >, 0);
    g_assert_cmpint(vm_load_requests(result, 2), >, 0);
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    far_setup();
    vm_net_setup();
    g_test_add_func("/far-net/home", test_home);
    return far_run_tests();
}

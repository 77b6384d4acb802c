/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest moves to another host and comes home, by ssh between two network namespaces
 * (tests/lib/hosts.h): it is whole, each host tells where it is, and what cannot be is
 * refused and leaves nothing behind.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hosts.h"
#include "lib/vm.h"
#include "util/json.h"

static Hosts *hosts;

static gboolean
cannot_run(void)
{
    return vm_cannot_run() || hosts_cannot_run();
}

static VmGuest *
start(const char *name, const char *extra)
{
    VmGuest *guest = vm_guest_new(name);

    vm_run(guest, "--accel tcg", extra, NULL);
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    return guest;
}

static int
go(const VmGuest *guest, const char *host, char **ret_out, char **ret_err)
{
    return vm_mose(ret_out, ret_err, "emulate", guest->name, "--on", host, "--rsh",
                   hosts_rsh(hosts), NULL);
}

/* What `mose list` says at @side of @name: its state, "" where it is not known. */
static char *
listed(HostSide side, const char *name)
{
    g_autofree char *out = NULL;
    g_autoptr(JsonObject) object = NULL;
    JsonArray *guests;

    g_assert_cmpint(hosts_run(hosts, side, &out, NULL, "mose", "list", "--json", NULL),
                    ==, 0);
    object = mose_json_parse(out, -1, "list", NULL);
    guests = mose_json_array(object, "guests");
    for (guint i = 0; i < json_array_get_length(guests); i++) {
        JsonObject *guest = mose_json_element(guests, i);

        if (strcmp(mose_json_string(guest, "guest", ""), name) == 0)
            return g_strdup(mose_json_string(guest, "state", ""));
    }
    return g_strdup("");
}

static void
assert_listed(const VmGuest *guest, const char *here, const char *there)
{
    g_autofree char *at_home = listed(HOST_HERE, guest->name);
    g_autofree char *away = listed(HOST_THERE, guest->name);

    g_assert_cmpstr(at_home, ==, here);
    g_assert_cmpstr(away, ==, there);
}

static void
assert_answers(const VmGuest *guest)
{
    g_autofree char *said = vm_shell_output(guest, "echo so-$((40+2))");

    g_assert_nonnull(strstr(said, "so-42"));
}

static void
test_there_and_back(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(JsonObject) page = NULL;
    g_autofree char *err = NULL;

    if (cannot_run())
        return;
    guest = start("far", NULL);
    for (int i = 0; i < 2; i++) {
        g_clear_pointer(&err, g_free);
        if (go(guest, hosts_address(hosts, HOST_THERE), NULL, &err) != 0)
            g_error("there: %s", err);
        assert_listed(guest, "away", "running");
        assert_answers(guest);
        g_clear_pointer(&err, g_free);
        if (vm_mose(NULL, &err, "virtualize", guest->name, NULL) != 0)
            g_error("home: %s", err);
        assert_listed(guest, "running", "");
        assert_answers(guest);
    }
    page = vm_assert_healthy(guest);
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

static void
test_stop(void)
{
    g_autoptr(VmGuest) guest = NULL;

    if (cannot_run())
        return;
    guest = start("far-stop", NULL);
    g_assert_cmpint(go(guest, hosts_address(hosts, HOST_THERE), NULL, NULL), ==, 0);
    g_assert_cmpint(vm_mose(NULL, NULL, "stop", guest->name, NULL), ==, 0);
    assert_listed(guest, "", "");
}

/* In words, with nothing left behind, and the guest runs on here. */
static void
assert_refused(VmGuest *guest, const char *host, const char *words)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(go(guest, host, NULL, &err), ==, 1);
    if (!strstr(err, words))
        g_error("'%s' is not in: %s", words, err);
    assert_listed(guest, "running", "");
    assert_answers(guest);
}

static void
test_refused(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autofree char *err = NULL;

    if (cannot_run())
        return;
    guest = start("far-no", NULL);
    assert_refused(guest, "nobody@127.0.0.9", "127.0.0.9");
    g_assert_cmpint(vm_mose(NULL, &err, "emulate", guest->name, "--on",
                            hosts_address(hosts, HOST_THERE), "--rsh", hosts_rsh(hosts),
                            "--mose-path", "/no/mose", NULL),
                    ==, 1);
    g_assert_nonnull(strstr(err, "/no/mose"));
    assert_listed(guest, "running", "");
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

/* --- broken in the middle --- */

enum { BREAK_COMMAND, BREAK_RECEIVER, BREAK_LINK, N_BREAKS };

#define SHORT_BREAKS 9
#define LONG_BREAKS 120
#define LATEST_MS 2500
#define SETTLED_SECONDS 60

/* The `mose receive` that runs there, killed. */
static void
kill_receiver(void)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(proc))) {
        g_autofree char *path = g_strdup_printf("/proc/%s/cmdline", name);
        g_autofree char *words = NULL;
        gsize len;

        if (g_ascii_isdigit(*name) && g_file_get_contents(path, &words, &len, NULL) &&
            len > strlen(words) + 1 && g_str_has_suffix(words, "mose") &&
            strcmp(words + strlen(words) + 1, "receive") == 0)
            kill(atoi(name), SIGKILL);
    }
}

static void
break_it(int how, GSubprocess *command)
{
    if (how == BREAK_COMMAND)
        g_subprocess_force_exit(command);
    else if (how == BREAK_RECEIVER)
        kill_receiver();
    else
        hosts_reset_connections(hosts, HOST_THERE);
}

/* Wait until the guest runs, on one host; *@ret_there tells on which. */
static void
wait_settled(const VmGuest *guest, gboolean *ret_there)
{
    gint64 deadline = g_get_monotonic_time() + SETTLED_SECONDS * G_USEC_PER_SEC;

    for (;;) {
        g_autofree char *here = listed(HOST_HERE, guest->name);
        g_autofree char *there = listed(HOST_THERE, guest->name);
        gboolean runs_here = strcmp(here, "running") == 0;
        gboolean runs_there = strcmp(there, "running") == 0;

        g_assert_false(runs_here && runs_there);
        *ret_there = runs_there;
        if ((runs_here && strcmp(there, "") == 0) ||
            (runs_there && strcmp(here, "away") == 0))
            return;
        if (g_get_monotonic_time() > deadline)
            g_error("here it is '%s', there '%s'", here, there);
        g_usleep(100000);
    }
}

static void
test_broken(void)
{
    guint breaks = g_test_slow() ? LONG_BREAKS : SHORT_BREAKS, crossed = 0;
    g_autoptr(VmGuest) guest = NULL;
    gboolean there = FALSE;

    if (cannot_run())
        return;
    guest = start("far-broken", NULL);
    for (guint i = 0; i < breaks; i++) {
        const char *const go_there[] = { "mose",
                                         "emulate",
                                         guest->name,
                                         "--on",
                                         hosts_address(hosts, HOST_THERE),
                                         "--rsh",
                                         hosts_rsh(hosts),
                                         NULL };
        const char *const go_home[] = { "mose", "virtualize", guest->name, NULL };
        int after_ms = g_test_rand_int_range(0, LATEST_MS);
        gboolean was_there = there;
        g_autoptr(GSubprocess) command = hosts_spawn(
            hosts, HOST_HERE,
            G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE,
            there ? go_home : go_there);

        g_usleep(after_ms * 1000);
        break_it(i % N_BREAKS, command);
        g_subprocess_wait(command, NULL, NULL);
        wait_settled(guest, &there);
        assert_answers(guest);
        crossed += there != was_there;
        g_test_message("break %u, way %u, %s after %d ms: it is %s", i, i % N_BREAKS,
                       was_there ? "home" : "there", after_ms,
                       there ? "there" : "here");
    }
    g_test_message("%u of %u went through", crossed, breaks);
    if (there)
        g_assert_cmpint(vm_mose(NULL, NULL, "virtualize", guest->name, NULL), ==, 0);
    vm_assert_healthy(guest);
    vm_mose(NULL, NULL, "stop", guest->name, NULL);
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    hosts = vm_why_not() ? NULL : hosts_new();
    g_test_add_func("/far/there-and-back", test_there_and_back);
    g_test_add_func("/far/stop", test_stop);
    g_test_add_func("/far/refused", test_refused);
    g_test_add_func("/far/broken", test_broken);
    ret = vm_run_tests();
    hosts_free(hosts);
    return ret;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections survive: clients on a tap keep their TCP connections open, and
 * busy, while the guest is switched. In a network namespace of the test's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm.h"
#include "util/fd.h"
#include "util/json.h"

#define CONNECTIONS 8
#define SWITCHES 6

static char *why_no_net;

static gboolean
write_file(const char *path, const char *text)
{
    g_auto(MoseFd) fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A namespace of our own; without root, with a user namespace around it. */
static gboolean
enter_namespace(void)
{
    g_autofree char *map = g_strdup_printf("0 %d 1", (int)geteuid());

    if (geteuid() == 0)
        return unshare(CLONE_NEWNET) == 0;
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
           write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", map);
}

static gboolean
ip(const char *arguments)
{
    g_autofree char *line = g_strdup_printf("ip %s", arguments);
    g_autofree char *err = NULL;
    int status = -1;

    return g_spawn_command_line_sync(line, NULL, &err, &status, NULL) && status == 0;
}

/* NULL in why_no_net when tap0 is up. */
static void
make_tap(void)
{
    if (access("/dev/net/tun", R_OK | W_OK) < 0)
        why_no_net = g_strdup("/dev/net/tun is not there");
    else if (!enter_namespace())
        why_no_net = g_strdup_printf("no network namespace: %s", g_strerror(errno));
    else if (!ip("link set lo up") || !ip("tuntap add tap0 mode tap") ||
             !ip("addr add 10.77.0.1/24 dev tap0") || !ip("link set tap0 up"))
        why_no_net = g_strdup("a tap cannot be made (ip tuntap)");
}

static gboolean
cannot_run(void)
{
    if (vm_why_not())
        g_test_skip(vm_why_not());
    else if (why_no_net)
        g_test_skip(why_no_net);
    return vm_why_not() || why_no_net;
}

static GSubprocess *
start_load(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *connections = g_strdup_printf("%d", CONNECTIONS);
    GSubprocess *load = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error,
        g_getenv("HTTPLOAD"), "-c", connections, "-d", "120", "10.77.0.2:80", NULL);

    g_assert_no_error(error);
    return load;
}

static void
mark(GSubprocess *load, const char *phase)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *line = g_strconcat(phase, "\n", NULL);

    g_output_stream_write_all(g_subprocess_get_stdin_pipe(load), line, strlen(line),
                              NULL, NULL, &error);
    g_assert_no_error(error);
}

static JsonObject *
end_load(GSubprocess *load)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) nothing = g_bytes_new(NULL, 0);
    g_autoptr(GBytes) out = NULL;
    JsonObject *result;

    g_subprocess_send_signal(load, SIGTERM);
    g_subprocess_communicate(load, nothing, NULL, &out, NULL, &error);
    g_assert_no_error(error);
    result = mose_json_parse(g_bytes_get_data(out, NULL), g_bytes_get_size(out),
                             "httpload", &error);
    g_assert_no_error(error);
    return result;
}

static gint64
requests(JsonObject *result, guint phase)
{
    JsonArray *phases = mose_json_array(result, "phases");

    g_assert_cmpint(json_array_get_length(phases), >, phase);
    return mose_json_int(json_array_get_object_element(phases, phase), "requests", 0);
}

static void
test_tap(void)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GSubprocess) load = NULL;
    g_autoptr(JsonObject) result = NULL;
    g_autofree char *text = NULL;

    if (cannot_run())
        return;
    guest = vm_guest_new("net");
    guest->port = 0;
    vm_run(guest, NULL,
           "-netdev tap,id=net,ifname=tap0,script=no,downscript=no "
           "-device virtio-net-pci,netdev=net,romfile=",
           "mose.ip=10.77.0.2/24 mose.work=1");
    vm_wait_console(guest, "MOSE-GUEST READY", 60);
    load = start_load();
    g_usleep(G_USEC_PER_SEC);
    mark(load, "switching");
    for (int i = 0; i < SWITCHES; i++) {
        json_object_unref(
            vm_mose_json(i % 2 == 0 ? "emulate" : "virtualize", guest->name, NULL));

        g_usleep(G_USEC_PER_SEC / 5);
    }
    mark(load, "after");
    g_usleep(G_USEC_PER_SEC);
    result = end_load(load);
    text = mose_json_text(result, FALSE);
    g_test_message("%s", text);
    g_assert_cmpint(mose_json_int(result, "errors", -1), ==, 0);
    g_assert_cmpint(mose_json_int(result, "reconnects", -1), ==, 0);
    g_assert_cmpint(mose_json_int(result, "connections_alive", -1), ==, CONNECTIONS);
    for (guint phase = 0; phase < 3; phase++)
        g_assert_cmpint(requests(result, phase), >, 50);
    g_assert_false(vm_console_has(guest, "MOSE-GUEST ERROR"));
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
    g_assert_false(ip("link show mose-no-tap"));
}

int
main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    vm_setup();
    make_tap();
    g_test_add_func("/net/tap", test_tap);
    g_test_add_func("/net/no-tap", test_no_tap);
    ret = vm_run_tests();
    g_free(why_no_net);
    return ret;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A namespace, a tap and a load on it; see vm-net.h. */
#include "lib/vm-net.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/json.h"

#define ADDRESS "10.77.0.2"

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
    g_autofree char *group_map = g_strdup_printf("0 %d 1", (int)getegid());

    if (geteuid() == 0)
        return unshare(CLONE_NEWNET) == 0;
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
           write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", map) &&
           write_file("/proc/self/gid_map", group_map);
}

gboolean
vm_net_enter(void)
{
    static gboolean entered;

    entered = entered || enter_namespace();
    return entered;
}

gboolean
vm_net_ip(const char *arguments)
{
    g_autofree char *line = g_strdup_printf("ip %s", arguments);
    g_autofree char *out = NULL, *err = NULL;
    int status = -1;

    return g_spawn_command_line_sync(line, &out, &err, &status, NULL) && status == 0;
}

void
vm_net_setup(void)
{
    if (access("/dev/net/tun", R_OK | W_OK) < 0)
        why_no_net = g_strdup("/dev/net/tun is not there");
    else if (!vm_net_enter())
        why_no_net = g_strdup_printf("no network namespace: %s", g_strerror(errno));
    else if (!vm_net_ip("link set lo up") || !vm_net_ip("tuntap add tap0 mode tap") ||
             !vm_net_ip("addr add 10.77.0.1/24 dev tap0") ||
             !vm_net_ip("link set tap0 up"))
        why_no_net = g_strdup("a tap cannot be made (ip tuntap)");
}

const char *
vm_net_why_not(void)
{
    return why_no_net;
}

void
vm_net_run(VmGuest *guest, const char *extra)
{
    g_autofree char *all =
        g_strconcat("-netdev tap,id=net,ifname=tap0,script=no,downscript=no "
                    "-device virtio-net-pci,netdev=net,romfile= ",
                    extra, NULL);

    guest->forwarded = FALSE;
    guest->address = ADDRESS;
    guest->port = 80;
    vm_run(guest, NULL, all, "mose.ip=" ADDRESS "/24 mose.work=1");
}

/* A test that fails leaves no load behind, which would hold its standard error, and
 * whoever waits for the end of that. */
static void
end_with_parent(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

GSubprocess *
vm_load_start(int connections)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *number = g_strdup_printf("%d", connections);
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    GSubprocess *load;

    g_subprocess_launcher_set_child_setup(launcher, end_with_parent, NULL, NULL);
    load = g_subprocess_launcher_spawn(launcher, &error, g_getenv("HTTPLOAD"), "-c",
                                       number, ADDRESS ":80", NULL);

    g_assert_no_error(error);
    return load;
}

void
vm_load_mark(GSubprocess *load, const char *phase)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *line = g_strconcat(phase, "\n", NULL);

    g_output_stream_write_all(g_subprocess_get_stdin_pipe(load), line, strlen(line),
                              NULL, NULL, &error);
    g_assert_no_error(error);
}

JsonObject *
vm_load_end(GSubprocess *load)
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

gint64
vm_load_requests(JsonObject *result, guint phase)
{
    JsonArray *phases = mose_json_array(result, "phases");

    g_assert_cmpint(json_array_get_length(phases), >, phase);
    return mose_json_int(json_array_get_object_element(phases, phase), "requests", 0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest whose tap is a private one, and whose bridge is somewhere else: two pumps and
 * a stream are between them. Files go both ways and arrive whole. In a network
 * namespace of the test's own, in which the bridge has the clients' address.
 */
#include <gio/gio.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "lib/vm-download.h"
#include "lib/vm-net.h"
#include "net/private-tap.h"
#include "net/pump.h"
#include "qemu/tap.h"
#include "util/error.h"
#include "util/fd.h"

#define FILE_MB 24
#define FILE_SIZE ((gsize)FILE_MB << 20)
#define CONNECTIONS 4
#define HERE "10.77.0.1"

/* As a guest's virtio-net has it. */
#define HEADER 12
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

static gboolean
cannot_run(void)
{
    if (vm_why_not())
        g_test_skip(vm_why_not());
    else if (vm_net_why_not())
        g_test_skip(vm_net_why_not());
    return vm_why_not() || vm_net_why_not();
}

/* tap0 is a port of br0, which is where the clients are. */
static gboolean
make_bridge(void)
{
    if (vm_net_ip("link show br0"))
        return TRUE;
    if (vm_net_ip("link add br0 type bridge") && vm_net_ip("addr flush dev tap0") &&
        vm_net_ip("link set tap0 master br0") &&
        vm_net_ip("addr add " HERE "/24 dev br0") && vm_net_ip("link set br0 up"))
        return TRUE;
    g_test_skip("no bridge can be made (ip link add type bridge)");
    return FALSE;
}

/* ---- the tunnel ------------------------------------------------------------------ */

typedef struct {
    MosePump *pump;
    GThread *thread;
    GError *error; /* how it ended */
} End;

typedef struct {
    End home, away;
    MoseFd qemu; /* what QEMU gets */
} Tunnel;

static gpointer
run_pump(gpointer data)
{
    End *end = data;

    mose_pump_run(end->pump, MOSE_FD_NONE, &end->error);
    return NULL;
}

static void
end_start(End *end, int frames, int stream)
{
    g_autoptr(GError) error = NULL;

    end->pump = mose_pump_new(frames, stream, &error);
    g_assert_no_error(error);
    end->thread = g_thread_new("pump", run_pump, end);
}

/* The tap of the bridge, as the QEMU that the guest has left has set it. */
static MoseFd
open_home(gboolean vnet_hdr)
{
    g_autoptr(GError) error = NULL;
    MoseFd tap = mose_tap_open("tap0", vnet_hdr, &error);
    int header = HEADER;

    g_assert_no_error(error);
    if (vnet_hdr)
        g_assert_cmpint(ioctl(tap, TUNSETVNETHDRSZ, &header), ==, 0);
    /* It has those of the last one otherwise. */
    g_assert_cmpint(ioctl(tap, TUNSETOFFLOAD, vnet_hdr ? OFFLOADS : 0), ==, 0);
    return tap;
}

static void
tunnel_start(Tunnel *tunnel, gboolean vnet_hdr)
{
    g_autoptr(GError) error = NULL;
    MosePrivateTap private;
    int pair[2];

    *tunnel = (Tunnel){ .qemu = MOSE_FD_NONE };
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    mose_private_tap_open("tap0", vnet_hdr, 0, &private, &error);
    g_assert_no_error(error);
    tunnel->qemu = private.tap;
    end_start(&tunnel->home, open_home(vnet_hdr), pair[0]);
    end_start(&tunnel->away, private.packet, pair[1]);
}

static void
end_stop(End *end, const char *name, const char *why, MosePumpCounts *ret)
{
    g_thread_join(end->thread);
    g_assert_error(end->error, MOSE_ERROR, MOSE_ERROR_CLOSED);
    g_assert_nonnull(strstr(end->error->message, why));
    g_clear_error(&end->error);
    *ret = mose_pump_counts(end->pump);
    g_test_message("%s: out %" G_GUINT64_FORMAT " frames, %" G_GUINT64_FORMAT
                   " large, %" G_GUINT64_FORMAT " lost; in %" G_GUINT64_FORMAT
                   " frames, %" G_GUINT64_FORMAT " large, %" G_GUINT64_FORMAT " lost",
                   name, ret->frames_out, ret->segmented_out, ret->lost_out,
                   ret->frames_in, ret->segmented_in, ret->lost_in);
    mose_pump_free(end->pump);
}

/* ---- the guest ---------------------------------------------------------------------
 */

/* It does not outlive a test that aborts. */
static void
end_with_test(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A stock QEMU with @tap, which it alone has from then on. */
static GSubprocess *
start_qemu(VmGuest *guest, MoseFd *tap)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autoptr(GError) error = NULL;
    g_autofree char *kernel = vm_image("bzImage");
    g_autofree char *initrd = vm_image("initrd.gz");
    g_autofree char *console = g_strdup_printf("file:%s", guest->console);
    g_autofree char *shell =
        g_strdup_printf("unix:%s,server=on,wait=off", guest->shell);
    GSubprocess *qemu;

    guest->forwarded = FALSE;
    g_subprocess_launcher_set_child_setup(launcher, end_with_test, NULL, NULL);
    g_subprocess_launcher_take_fd(launcher, mose_fd_steal(tap), 3);
    qemu = g_subprocess_launcher_spawn(
        launcher, &error, "qemu-system-x86_64", "-accel", "tcg", "-m", "256",
        "-nodefaults", "-display", "none", "-kernel", kernel, "-initrd", initrd,
        "-append", "console=ttyS0 mose.ip=10.77.0.2/24", "-serial", console, "-serial",
        shell, "-netdev", "tap,id=net,fd=3", "-device",
        "virtio-net-pci,netdev=net,romfile=", NULL);
    g_assert_no_error(error);
    vm_wait_console(guest, "MOSE-GUEST READY", 120);
    return qemu;
}

static void
stop_qemu(GSubprocess *qemu)
{
    g_subprocess_force_exit(qemu);
    g_subprocess_wait(qemu, NULL, NULL);
}

/* The first word of what sha256sum prints there. */
static char *
sum_in_guest(VmGuest *guest, const char *of)
{
    g_autofree char *command = g_strdup_printf("%s | sha256sum", of);
    g_autofree char *said = vm_shell_output(guest, command);
    g_auto(GStrv) words = g_strsplit_set(said, " \n", 2);

    g_assert_cmpuint(strlen(words[0]), ==, 64);
    return g_strdup(words[0]);
}

/* ---- files -------------------------------------------------------------------------
 */

static void
download_several(VmGuest *guest)
{
    g_autofree char *sum = NULL;
    VmDownload downloads[CONNECTIONS];
    GThread *threads[CONNECTIONS];
    gint64 start;

    vm_shell(guest,
             "head -c " G_STRINGIFY(FILE_MB) "m /dev/urandom >/var/www/html/big");
    sum = sum_in_guest(guest, "cat /var/www/html/big");
    start = g_get_monotonic_time();
    for (int i = 0; i < CONNECTIONS; i++) {
        downloads[i] = (VmDownload){ "10.77.0.2", FALSE, 0 };
        threads[i] = g_thread_new("download", vm_download, &downloads[i]);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        g_autofree char *got = g_thread_join(threads[i]);

        g_assert_cmpstr(got, ==, sum);
    }
    g_test_message("from the guest: %.1f MB/s",
                   (double)CONNECTIONS * FILE_SIZE /
                       (double)(g_get_monotonic_time() - start));
}

typedef struct {
    GSocket *listener;
    GBytes *file;
} Server;

/* Thread: serve it to one client. */
static gpointer
serve(gpointer data)
{
    static const char header[] = "HTTP/1.0 200 OK\r\n\r\n";
    Server *server = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) client = g_socket_accept(server->listener, NULL, &error);
    g_autoptr(GSocketConnection) connection = NULL;
    GOutputStream *out;
    char request[1024];

    g_assert_no_error(error);
    connection = g_socket_connection_factory_create_connection(client);
    out = g_io_stream_get_output_stream(G_IO_STREAM(connection));
    g_assert_cmpint(g_socket_receive(client, request, sizeof(request), NULL, NULL), >,
                    0);
    g_output_stream_write_all(out, header, strlen(header), NULL, NULL, &error);
    g_assert_no_error(error);
    g_output_stream_write_all(out, g_bytes_get_data(server->file, NULL), FILE_SIZE,
                              NULL, NULL, &error);
    g_assert_no_error(error);
    g_io_stream_close(G_IO_STREAM(connection), NULL, NULL);
    return NULL;
}

static GBytes *
random_file(void)
{
    guint32 *data = g_malloc(FILE_SIZE);

    for (gsize i = 0; i < FILE_SIZE / sizeof(*data); i++)
        data[i] = g_random_int();
    return g_bytes_new_take(data, FILE_SIZE);
}

static void
upload(VmGuest *guest)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GInetAddress) here = g_inet_address_new_from_string(HERE);
    g_autoptr(GSocketAddress) at = g_inet_socket_address_new(here, 4000);
    g_autoptr(GSocket) listener = g_socket_new(
        G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
    g_autoptr(GBytes) file = random_file();
    g_autofree char *sum = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, file);
    g_autofree char *got = NULL;
    Server server = { listener, file };
    GThread *thread;

    g_assert_true(g_socket_bind(listener, at, TRUE, &error));
    g_assert_true(g_socket_listen(listener, &error));
    thread = g_thread_new("server", serve, &server);
    got = sum_in_guest(guest, "wget -q -O - http://" HERE ":4000/big");
    g_thread_join(thread);
    g_assert_cmpstr(got, ==, sum);
}

/* ---- tests -------------------------------------------------------------------------
 */

static void
test_tunnel(gconstpointer vnet_hdr)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GSubprocess) qemu = NULL;
    MosePumpCounts home, away;
    Tunnel tunnel;

    if (cannot_run() || !make_bridge())
        return;
    tunnel_start(&tunnel, vnet_hdr != NULL);
    guest = vm_guest_new(vnet_hdr ? "vnet-hdr" : "plain");
    qemu = start_qemu(guest, &tunnel.qemu);
    download_several(guest);
    upload(guest);
    stop_qemu(qemu);
    end_stop(&tunnel.away, "away", "interface is not there", &away);
    end_stop(&tunnel.home, "home", "closed it", &home);
    g_assert_cmpuint(home.bytes_in, >, CONNECTIONS * FILE_SIZE);
    g_assert_cmpuint(home.bytes_out, >, FILE_SIZE);
    g_assert_cmpuint(home.frames_in + home.lost_in, ==, away.frames_out);
    g_assert_cmpuint(away.frames_in + away.lost_in, <=, home.frames_out);
    /* With headers the guest sends more than a wire carries, and gets it; without, it
     * does neither. */
    g_assert_cmpint(home.segmented_in > 100, ==, vnet_hdr != NULL);
    g_assert_cmpint(away.segmented_in > 100, ==, vnet_hdr != NULL);
}

/* What the tunnel is compared with: the same guest on the bridge's own tap. */
static void
test_no_tunnel(gconstpointer vnet_hdr)
{
    g_autoptr(VmGuest) guest = NULL;
    g_autoptr(GSubprocess) qemu = NULL;
    g_auto(MoseFd) tap = MOSE_FD_NONE;

    if (cannot_run() || !make_bridge())
        return;
    tap = open_home(vnet_hdr != NULL);
    guest = vm_guest_new(vnet_hdr ? "direct-vnet-hdr" : "direct-plain");
    qemu = start_qemu(guest, &tap);
    download_several(guest);
    upload(guest);
    stop_qemu(qemu);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    vm_net_setup();
    g_test_add_data_func("/tunnel/vnet-hdr", "on", test_tunnel);
    g_test_add_data_func("/tunnel/plain", NULL, test_tunnel);
    if (g_test_perf()) {
        g_test_add_data_func("/tunnel/none/vnet-hdr", "on", test_no_tunnel);
        g_test_add_data_func("/tunnel/none/plain", NULL, test_no_tunnel);
    }
    return vm_run_tests();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network that stays at home; see home-net.h. */
#include "switch/home-net.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/private-tap.h"
#include "net/pump.h"
#include "qemu/tap.h"
#include "switch/far-end.h"
#include "switch/tether.h"
#include "util/detach.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/unix-socket.h"

/* What a QEMU with virtio-net may have set, and the packet socket at the other end
 * takes (Linux net/packet/af_packet.c:packet_snd). */
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

MoseCommandLine *
mose_home_net_line(const MoseGuest *guest, GError **error)
{
    const MoseCommandFor what = { guest->side, MAX(guest->generation, 1), TRUE, "",
                                  guest->machine_type };

    return mose_command_build(guest->spec, &what, error);
}

/* --- at home --- */

int
mose_home_net_open(const MoseTap *tap, GError **error)
{
    g_auto(MoseFd) fd = mose_tap_open(tap->ifname, tap->vnet_hdr, error);

    /* They are the last QEMU's otherwise. */
    if (fd >= 0 && ioctl(fd, TUNSETOFFLOAD, tap->vnet_hdr ? OFFLOADS : 0) < 0) {
        mose_error_set_errno(error, errno, "cannot set tap %s up", tap->ifname);
        return MOSE_FD_NONE;
    }
    return mose_fd_steal(&fd);
}

int
mose_home_net_take(const MoseTap *tap, gconstpointer data, GError **error)
{
    g_autoptr(MoseProcess) tether = mose_tether_process(data);

    return tether && mose_process_alive(tether)
               ? mose_tap_take(tether, tap->ifname, -1, error)
               : mose_tap_open(tap->ifname, tap->vnet_hdr, error);
}

/* --- on the other host --- */

static char *
socket_path(const MoseGuest *guest, const MoseTap *tap)
{
    return g_strdup_printf("%s/net.%s", guest->dir, tap->ifname);
}

/* The socket's interface (Linux net/packet/af_packet.c:packet_notifier). */
static gboolean
is_gone(int packet)
{
    struct sockaddr_ll address = { 0 };
    socklen_t len = sizeof(address);

    return getsockname(packet, (struct sockaddr *)&address, &len) < 0 ||
           address.sll_ifindex <= 0;
}

/* One connection after the other, until the tap has gone with the guest's last QEMU. */
G_NORETURN static void
pump_main(int packet, int listener)
{
    int keep[] = { packet, listener };

    mose_detach("mose-net", keep, G_N_ELEMENTS(keep));
    for (;;) {
        struct pollfd fds[] = { { listener, POLLIN, 0 }, { packet, 0, 0 } };
        g_autoptr(MosePump) pump = NULL;
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int stream;

        if (is_gone(packet))
            _exit(0);
        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno == EINTR)
            continue;
        if (!fds[0].revents)
            continue;
        stream = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
        if (stream < 0)
            continue;
        pump = mose_pump_new(fcntl(packet, F_DUPFD_CLOEXEC, 0), stream, NULL);
        if (!pump)
            _exit(1);
        mose_pump_run(pump, listener, NULL);
    }
}

int
mose_home_net_make(const MoseTap *tap, gconstpointer data, GError **error)
{
    g_autofree char *path = socket_path(data, tap);
    g_auto(MoseFd) listener = mose_unix_listen(path, error);
    MosePrivateTap private;
    pid_t pid;

    if (listener < 0 ||
        !mose_private_tap_open(tap->ifname, tap->vnet_hdr, 0, &private, error))
        return MOSE_FD_NONE;
    pid = fork();
    if (pid == 0) {
        mose_fd_close(private.tap);
        pump_main(private.packet, listener);
    }
    mose_fd_close(private.packet);
    if (pid > 0)
        return private.tap;
    mose_error_set_errno(error, errno, "cannot start the pump of tap %s", tap->ifname);
    mose_fd_close(private.tap);
    return MOSE_FD_NONE;
}

gboolean
mose_home_net_offer(const MoseGuest *guest, MoseLink *link, GError **error)
{
    g_autoptr(MoseCommandLine) line = mose_home_net_line(guest, error);

    for (guint i = 0; line && i < line->taps->len; i++) {
        g_autofree char *path = socket_path(guest, line->taps->pdata[i]);

        if (!mose_link_offer(link, MOSE_SERVICE_NET + i, path, error))
            return FALSE;
    }
    return line != NULL;
}

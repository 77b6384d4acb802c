/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening a tap; see tap.h. */
#include "qemu/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "util/error.h"
#include "util/fd.h"

int
mose_tap_open(const char *ifname, gboolean vnet_hdr, GError **error)
{
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

    if (if_nametoindex(ifname) == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "no tap interface %s; make it with `ip tuntap add %s mode tap`",
                    ifname, ifname);
        return -1;
    }
    if (vnet_hdr)
        ifr.ifr_flags |= IFF_VNET_HDR;
    g_strlcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0) {
        mose_error_set_errno(error, errno, "cannot open tap %s", ifname);
        return -1;
    }
    return mose_fd_steal(&fd);
}

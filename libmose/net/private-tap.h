/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tap that nobody else has: it lives in a network namespace of its own, so that it
 * needs no privilege and is not seen in the host's network. QEMU has one end of it; the
 * other is a packet socket on the interface, on which a pump (pump.h) reads what
 * the guest sends and sends what it shall get.
 *
 * The namespace has no name and no process. It is held by the two descriptors (Linux
 * net/core/sock.c:sk_alloc), and goes with the last of them; the interface goes with
 * the tap's, after which the packet socket says ENETDOWN.
 */
#pragma once

#include <glib.h>

/* The largest MTU of a tap (Linux drivers/net/tun.c: MAX_MTU less an Ethernet header).
 */
#define MOSE_TAP_MTU_MAX 65521

typedef struct {
    int tap;    /* for `-netdev tap,fd=N`: non-blocking, closed by exec */
    int packet; /* for a pump: non-blocking, closed by exec */
} MosePrivateTap;

/*
 * Make a tap called @ifname (the name that the guest's tap has at home, say: it is the
 * only interface but lo there) with IFF_VNET_HDR if @vnet_hdr, as a QEMU opens one
 * (net/tap-linux.c:tap_open). QEMU itself sets the size of its headers and what it can
 * take of offloads, and needs no privilege for that. The interface is up, with an MTU
 * of
 * @mtu (0: the largest), has no address, and its kernel sends nothing of its own.
 *
 * Where this process may not make a network namespace, a user namespace around it makes
 * that possible; a host without either, or whose /dev/net/tun may not be opened, gives
 * UNSUPPORTED. A forked child does it: threads of the caller are not in the way.
 */
gboolean mose_private_tap_open(const char *ifname, gboolean vnet_hdr, guint mtu,
                               MosePrivateTap *ret, GError **error);

/* One without another end: what is sent is lost, and nothing comes. The tap's
 * descriptor, or -1. */
int mose_private_tap_alone(const char *ifname, gboolean vnet_hdr, GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network interfaces of a Linux guest, as ip(8) shows them. */
#pragma once

#include "vmi/linux/netns.h"

typedef struct {
    guint64 address; /* of its struct net_device */
    guint64 net;     /* of its struct net */
    guint index;
    char *name;     /* printable */
    char *hardware; /* "52:54:00:12:34:56"; "": it has none */
    guint type;     /* ARPHRD_*: 1 Ethernet, 772 loopback */
    guint mtu;
    guint32 flags; /* IFF_* that the kernel keeps: 1 up, 2 broadcast, 8 loopback, ... */
    guint state;   /* IF_OPER_*, RFC 2863: 0 unknown, 2 down, 6 up, ... */
    GPtrArray *addresses; /* of strings: "10.0.2.15/24", "fe80::1/64" */
    gboolean counted;     /* else the driver counts for itself, in a way of its own */
    guint64 rx_packets, rx_bytes, tx_packets, tx_bytes;
} MoseNetLink;

void mose_net_link_free(MoseNetLink *link);

/* Those of namespaces @nets (of MoseNetns), of MoseNetLink, by namespace in the order
 * of their indices. Free with g_ptr_array_unref(). */
GPtrArray *mose_net_links_read(MoseLinux *kernel, const GPtrArray *nets,
                               guint *ret_retries, GError **error);

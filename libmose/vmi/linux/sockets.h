/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets of a Linux guest, as ss(8) and /proc/net show them. */
#pragma once

#include "vmi/linux/netns.h"

typedef enum {
    MOSE_SOCKET_TCP,
    MOSE_SOCKET_UDP,
    MOSE_SOCKET_UDPLITE,
    MOSE_SOCKET_RAW,
    MOSE_SOCKET_UNIX,
    MOSE_SOCKET_PACKET,
    MOSE_SOCKET_NETLINK,
    MOSE_SOCKET_N_KINDS,
} MoseSocketKind;

/* "tcp", "udp", "udplite", "raw", "unix", "packet", "netlink" */
extern const char *const mose_socket_kinds[MOSE_SOCKET_N_KINDS];

typedef struct {
    MoseSocketKind kind;
    guint64 address; /* of its struct sock; of a short one where that is all there is */
    guint64 socket;  /* of its struct socket; 0: no file descriptor leads to it */
    guint64 net;     /* of its struct net */
    guint family;    /* AF_INET, AF_INET6, ... as the guest has them */
    guint type;      /* SOCK_STREAM, ...; 0 where the kind tells it */
    guint protocol;  /* of a netlink socket, or what a packet socket listens to */
    const char *state;    /* as ss(8) names it: "ESTAB", "LISTEN", "UNCONN", ... */
    char *local, *remote; /* printable: "10.0.0.1:80", "[::1]:80", a path; or "" */
    guint32 rx_queue, tx_queue; /* as /proc/net shows them; of a listener the backlog */
    guint ifindex;              /* the interface it is bound to; 0: none */
    guint32 uid;
    guint64 inode; /* 0: no file descriptor leads to it */
    guint64 peer;  /* of a unix socket: the struct sock of the other end; 0: none */
    guint32 portid, groups; /* of a netlink socket */
} MoseSocket;

void mose_socket_free(MoseSocket *socket);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseSocket, mose_socket_free)

/*
 * The sockets of these @kinds (bits: 1 << MoseSocketKind) in namespaces @nets (of
 * MoseNetns), of MoseSocket: kind by kind. Each chain of a table is of one moment; as
 * for /proc, a socket that changes chains meanwhile may be missed. *@ret_retries (may
 * be NULL): how often a chain changed while it was read. *@ret_missing: kinds that the
 * guest's kernel has not (IPv6 or unix as a module that is not loaded, ...), or whose
 * types it does not tell, in words: a GPtrArray of strings. Free both with
 * g_ptr_array_unref().
 */
GPtrArray *mose_sockets_read(MoseLinux *kernel, const GPtrArray *nets, guint kinds,
                             guint *ret_retries, GPtrArray **ret_missing,
                             GError **error);

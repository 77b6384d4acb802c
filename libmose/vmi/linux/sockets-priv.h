/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that read sockets share. */
#pragma once

#include "vmi/linux/sockets.h"

/* Hash tables of hosts with terabytes have 2^19 chains (net/ipv4/tcp.c: tcp_init). */
#define MOSE_CHAINS_MAX (1u << 24)
#define MOSE_SOCKETS_MAX (1u << 24)

typedef struct MoseSocketWalk MoseSocketWalk;

/* Read the socket at @address, of the family of sockets that is looked for; NULL
 * without an error: it is not to be shown. */
typedef MoseSocket *(*MoseSocketRead)(MoseSocketWalk *walk, guint64 address,
                                      GError **error);

struct MoseSocketWalk {
    MoseLinux *kernel;
    GHashTable *nets; /* of those asked for, by address: MoseNetns */
    GPtrArray *found; /* of MoseSocket */
    GHashTable *seen; /* their addresses */
    guint retries;
    guint64 node; /* skc_node in struct sock */
    MoseSocketKind kind;
    MoseSocketRead read;
    GPtrArray *chain;        /* found in the one that is being read */
    MoseObject common, sock; /* used again and again */
};

/* Tables: @n heads of @size bytes each at @at, the list's head at @offset in them;
 * their lists end by @nulls + index, or, with NO_NULLS, by 0. */
#define MOSE_NO_NULLS G_MAXUINT64
gboolean mose_sockets_table(MoseSocketWalk *walk, guint64 at, guint64 n, gsize size,
                            gsize offset, guint64 nulls, GError **error);
/* One chain. */
gboolean mose_sockets_chain(MoseSocketWalk *walk, guint64 head, guint64 nulls,
                            GError **error);
/* walk->chain has been read, in whichever way: its sockets are found. */
gboolean mose_sockets_keep_chain(MoseSocketWalk *walk, GError **error);

/* What all kinds have (struct sock_common, at the beginning of struct sock too): NULL
 * without an error where it is of a namespace that is not asked for. */
MoseSocket *mose_sockets_common(MoseSocketWalk *walk, guint64 address, GError **error);
/* What all whole ones have: struct sock, left in walk->sock. */
gboolean mose_sockets_whole(MoseSocketWalk *walk, MoseSocket *socket, GError **error);
/* sk_wmem_alloc, which begins at 1, and sk_rmem_alloc. */
gboolean mose_sockets_queues(const MoseSocketWalk *walk, MoseSocket *socket,
                             GError **error);

/* "ESTAB", ... (include/net/tcp_states.h); "UNKNOWN" for any other. */
const char *mose_sockets_state(guint64 state);

/* By kind, in files of their own. */
gboolean mose_sockets_tcp(MoseSocketWalk *walk, GError **error);
gboolean mose_sockets_udp(MoseSocketWalk *walk, GError **error);
gboolean mose_sockets_udplite(MoseSocketWalk *walk, GError **error);
gboolean mose_sockets_raw(MoseSocketWalk *walk, GError **error);
gboolean mose_sockets_unix(MoseSocketWalk *walk, GError **error);
gboolean mose_sockets_packet(MoseSocketWalk *walk, GError **error);
gboolean mose_sockets_netlink(MoseSocketWalk *walk, GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets of IPv4 and IPv6: TCP, UDP, UDP-Lite, raw. */
#include <arpa/inet.h>
#include <string.h>

#include "util/error.h"
#include "vmi/linux/sockets-priv.h"

/* Linux include/linux/socket.h */
#define LINUX_AF_INET 2
#define LINUX_AF_INET6 10

/* Linux include/net/tcp_states.h */
enum { STATE_TIME_WAIT = 6, STATE_LISTEN = 10, STATE_NEW_SYN_RECV = 12 };

/* Linux include/net/inet_hashtables.h */
#define LISTENING_NULLS_BASE (1u << 29)

/* --- addresses --- */

static char *
end_point(const MoseSocket *socket, const guint8 *v4, const guint8 *v6, guint port)
{
    char text[INET6_ADDRSTRLEN];

    if (socket->family == LINUX_AF_INET) {
        inet_ntop(AF_INET, v4, text, sizeof(text));
        return g_strdup_printf("%s:%u", text, port);
    }
    inet_ntop(AF_INET6, v6, text, sizeof(text));
    return g_strdup_printf("[%s]:%u", text, port);
}

/* Ports: the local one as a number, the other as on the wire (struct sock_common). */
static gboolean
read_end_points(const MoseSocketWalk *walk, MoseSocket *socket, gboolean ports,
                GError **error)
{
    const MoseObject *common = &walk->common;
    gboolean is_v4 = socket->family == LINUX_AF_INET;
    const char *local_path = is_v4 ? "skc_rcv_saddr" : "skc_v6_rcv_saddr";
    const char *remote_path = is_v4 ? "skc_daddr" : "skc_v6_daddr";
    const guint8 *local, *remote;
    guint64 local_port, remote_port;
    gsize size, local_size;

    local = mose_object_bytes(common, local_path, &local_size, error);
    remote = local ? mose_object_bytes(common, remote_path, &size, error) : NULL;
    if (!remote || !mose_object_get(common, "skc_num", &local_port, error) ||
        !mose_object_get(common, "skc_dport", &remote_port, error))
        return FALSE;
    if (size != (is_v4 ? 4 : 16) || local_size != size) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the kernel's %s has %" G_GSIZE_FORMAT " bytes", remote_path, size);
        return FALSE;
    }
    g_free(socket->local);
    g_free(socket->remote);
    socket->local = end_point(socket, local, local, local_port);
    socket->remote =
        end_point(socket, remote, remote, ports ? g_ntohs((guint16)remote_port) : 0);
    return TRUE;
}

/* One of a namespace that is asked for, and of IP, with its end points. */
static MoseSocket *
read_inet(MoseSocketWalk *walk, guint64 address, GError **error)
{
    g_autoptr(MoseSocket) socket = mose_sockets_common(walk, address, error);

    if (!socket ||
        (socket->family != LINUX_AF_INET && socket->family != LINUX_AF_INET6) ||
        !read_end_points(walk, socket, walk->kind != MOSE_SOCKET_RAW, error))
        return NULL;
    return g_steal_pointer(&socket);
}

/* --- TCP --- */

/* As /proc/net/tcp has it (net/ipv4/tcp_ipv4.c: get_tcp4_sock). */
static gboolean
read_tcp_queues(MoseSocketWalk *walk, MoseSocket *socket, gboolean listens,
                GError **error)
{
    static const char *const paths[] = { "write_seq", "snd_una", "rcv_nxt",
                                         "copied_seq" };
    guint64 value[G_N_ELEMENTS(paths)], backlog;

    for (guint i = 0; i < G_N_ELEMENTS(paths); i++)
        if (!mose_object_peek(walk->kernel, "tcp_sock", socket->address, paths[i],
                              &value[i], error))
            return FALSE;
    if (!mose_object_get(&walk->sock, "sk_ack_backlog", &backlog, error))
        return FALSE;
    socket->tx_queue = (guint32)(value[0] - value[1]);
    socket->rx_queue = listens ? backlog : MAX((gint32)(value[2] - value[3]), 0);
    return TRUE;
}

/* A connection that waits for the third packet: whose the listener is. */
static gboolean
read_request(MoseSocketWalk *walk, MoseSocket *socket, GError **error)
{
    MoseSocket listener = { 0 };

    if (!mose_object_get(&walk->common, "skc_listener", &listener.address, error))
        return FALSE;
    if (listener.address == 0)
        return TRUE;
    if (!mose_sockets_whole(walk, &listener, error))
        return FALSE;
    socket->uid = listener.uid;
    return TRUE;
}

static gboolean
read_time_wait(MoseSocketWalk *walk, MoseSocket *socket, GError **error)
{
    guint64 state;

    if (!mose_object_peek(walk->kernel, "inet_timewait_sock", socket->address,
                          "tw_substate", &state, error))
        return FALSE;
    socket->state = mose_sockets_state(state);
    return TRUE;
}

static MoseSocket *
read_tcp(MoseSocketWalk *walk, guint64 address, GError **error)
{
    g_autoptr(MoseSocket) socket = read_inet(walk, address, error);
    gboolean good;
    guint64 state;

    if (!socket || !mose_object_get(&walk->common, "skc_state", &state, error))
        return NULL;
    if (state == STATE_TIME_WAIT)
        good = read_time_wait(walk, socket, error);
    else if (state == STATE_NEW_SYN_RECV)
        good = read_request(walk, socket, error);
    else
        good = mose_sockets_whole(walk, socket, error) &&
               read_tcp_queues(walk, socket, state == STATE_LISTEN, error);
    return good ? g_steal_pointer(&socket) : NULL;
}

/* Of old, listeners are in an array within struct inet_hashinfo, by their port; since
 * 5.19 in one by address and port alone. */
static gboolean
read_listeners(MoseSocketWalk *walk, const MoseObject *info, GError **error)
{
    guint64 at, mask, size, n, offset;
    gsize bytes;
    guint32 bucket = mose_types_find(walk->kernel->types, "inet_listen_hashbucket");

    if (!mose_object_offset(walk->kernel, "inet_listen_hashbucket", "nulls_head",
                            &offset, NULL, error))
        return FALSE;
    size = mose_types_size(walk->kernel->types, bucket);
    if (mose_object_has(info, "listening_hash")) {
        if (!mose_object_bytes(info, "listening_hash", &bytes, error) ||
            !mose_object_address(info, "listening_hash", &at, error))
            return FALSE;
        n = bytes / size;
    } else {
        if (!mose_object_get(info, "lhash2", &at, error) ||
            !mose_object_get(info, "lhash2_mask", &mask, error))
            return FALSE;
        n = mask + 1;
    }
    return mose_sockets_table(walk, at, n, size, offset, LISTENING_NULLS_BASE, error);
}

static gboolean
read_hashinfo(MoseSocketWalk *walk, guint64 address, GError **error)
{
    g_auto(MoseObject) info = { 0 };
    guint64 at, mask;

    return mose_object_read(walk->kernel, "inet_hashinfo", address, &info, error) &&
           read_listeners(walk, &info, error) &&
           mose_object_get(&info, "ehash", &at, error) &&
           mose_object_get(&info, "ehash_mask", &mask, error) &&
           mose_sockets_table(walk, at, mask + 1, 8, 0, 0, error);
}

/* --- which tables --- */

typedef gboolean (*TableFunc)(MoseSocketWalk *walk, guint64 address, GError **error);

/* The table behind @path of each namespace, where it has such a member, or the one that
 * all share behind symbol @name. */
static gboolean
for_tables(MoseSocketWalk *walk, const char *path, const char *name, TableFunc func,
           GError **error)
{
    g_autoptr(GHashTable) done =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer key;
    guint64 at;

    if (!path || !mose_object_offset(walk->kernel, "net", path, &at, NULL, NULL)) {
        if (mose_linux_symbol(walk->kernel, name, &at, NULL))
            return func(walk, at, error);
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "the kernel has no %s: it is without, or the module is not loaded",
                    name);
        return FALSE;
    }
    g_hash_table_iter_init(&iter, walk->nets);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (!mose_object_peek(walk->kernel, "net", *(guint64 *)key, path, &at, error))
            return FALSE;
        if (g_hash_table_add(done, g_memdup2(&at, sizeof(at))) && at != 0 &&
            !func(walk, at, error))
            return FALSE;
    }
    return TRUE;
}

/* 6.1: a namespace may have a table of its own; of old all point to the one. */
gboolean
mose_sockets_tcp(MoseSocketWalk *walk, GError **error)
{
    walk->read = read_tcp;
    return for_tables(walk, "ipv4.tcp_death_row.hashinfo", "tcp_hashinfo",
                      read_hashinfo, error);
}

/* --- UDP and raw --- */

/* net/ipv4/udp.c:udp_rqueue_get(): what a reader took and did not account for yet. */
static gboolean
read_udp_deficit(MoseSocketWalk *walk, MoseSocket *socket, GError **error)
{
    guint64 deficit;

    if (!mose_object_peek(walk->kernel, "udp_sock", socket->address, "forward_deficit",
                          &deficit, error))
        return FALSE;
    socket->rx_queue -= (guint32)deficit;
    return TRUE;
}

static MoseSocket *
read_udp_or_raw(MoseSocketWalk *walk, guint64 address, GError **error)
{
    g_autoptr(MoseSocket) socket = read_inet(walk, address, error);

    if (!socket || !mose_sockets_whole(walk, socket, error) ||
        !mose_sockets_queues(walk, socket, error) ||
        (walk->kind != MOSE_SOCKET_RAW && !read_udp_deficit(walk, socket, error)))
        return NULL;
    return g_steal_pointer(&socket);
}

static gboolean
read_udp_table(MoseSocketWalk *walk, guint64 address, GError **error)
{
    guint64 at, mask, offset;
    guint32 slot = mose_types_find(walk->kernel->types, "udp_hslot");

    return mose_object_peek(walk->kernel, "udp_table", address, "hash", &at, error) &&
           mose_object_peek(walk->kernel, "udp_table", address, "mask", &mask, error) &&
           mose_object_offset(walk->kernel, "udp_hslot", "head", &offset, NULL,
                              error) &&
           mose_sockets_table(walk, at, mask + 1,
                              mose_types_size(walk->kernel->types, slot), offset,
                              MOSE_NO_NULLS, error);
}

/* 6.2: as with TCP. */
gboolean
mose_sockets_udp(MoseSocketWalk *walk, GError **error)
{
    walk->read = read_udp_or_raw;
    return for_tables(walk, "ipv4.udp_table", "udp_table", read_udp_table, error);
}

gboolean
mose_sockets_udplite(MoseSocketWalk *walk, GError **error)
{
    walk->read = read_udp_or_raw;
    return for_tables(walk, NULL, "udplite_table", read_udp_table, error);
}

/* An array of heads, which were hlist_nulls ones from 5.19 to 6.2. */
static gboolean
read_raw_table(MoseSocketWalk *walk, guint64 address, GError **error)
{
    guint64 offset;
    gsize size;

    return mose_object_offset(walk->kernel, "raw_hashinfo", "ht", &offset, &size,
                              error) &&
           mose_sockets_table(walk, address + offset, size / 8, 8, 0, MOSE_NO_NULLS,
                              error);
}

gboolean
mose_sockets_raw(MoseSocketWalk *walk, GError **error)
{
    walk->read = read_udp_or_raw;
    return for_tables(walk, NULL, "raw_v4_hashinfo", read_raw_table, error) &&
           for_tables(walk, NULL, "raw_v6_hashinfo", read_raw_table, error);
}

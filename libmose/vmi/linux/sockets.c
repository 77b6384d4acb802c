/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets of all kinds: the tables they are in, chain by chain, and what they have in
 * common. See sockets.h. */
#include "vmi/linux/sockets.h"

#include <string.h>

#include "util/error.h"
#include "vmi/linux/sockets-priv.h"

const char *const mose_socket_kinds[MOSE_SOCKET_N_KINDS] = {
    "tcp", "udp", "udplite", "raw", "unix", "packet", "netlink",
};

static gboolean (*const readers[MOSE_SOCKET_N_KINDS])(MoseSocketWalk *, GError **) = {
    mose_sockets_tcp,  mose_sockets_udp,    mose_sockets_udplite, mose_sockets_raw,
    mose_sockets_unix, mose_sockets_packet, mose_sockets_netlink,
};

void
mose_socket_free(MoseSocket *socket)
{
    if (!socket)
        return;
    g_free(socket->local);
    g_free(socket->remote);
    g_free(socket);
}

/* --- what they have in common --- */

const char *
mose_sockets_state(guint64 state)
{
    static const char *const names[] = {
        "UNKNOWN",    "ESTAB",     "SYN-SENT", "SYN-RECV",   "FIN-WAIT-1",
        "FIN-WAIT-2", "TIME-WAIT", "UNCONN",   "CLOSE-WAIT", "LAST-ACK",
        "LISTEN",     "CLOSING",   "SYN-RECV", /* TCP_NEW_SYN_RECV */
    };

    return names[state < G_N_ELEMENTS(names) ? state : 0];
}

MoseSocket *
mose_sockets_common(MoseSocketWalk *walk, guint64 address, GError **error)
{
    g_autoptr(MoseSocket) socket = g_new0(MoseSocket, 1);
    guint64 family, state, ifindex;

    if (!mose_object_read(walk->kernel, "sock_common", address, &walk->common, error) ||
        !mose_object_get(&walk->common, "skc_net", &socket->net, error) ||
        !mose_object_get(&walk->common, "skc_family", &family, error) ||
        !mose_object_get(&walk->common, "skc_state", &state, error) ||
        !mose_object_get(&walk->common, "skc_bound_dev_if", &ifindex, error))
        return NULL;
    if (!g_hash_table_contains(walk->nets, &socket->net))
        return NULL;
    socket->kind = walk->kind;
    socket->address = address;
    socket->family = family;
    socket->state = mose_sockets_state(state);
    socket->ifindex = ifindex;
    socket->local = g_strdup("");
    socket->remote = g_strdup("");
    return g_steal_pointer(&socket);
}

/* Whose it is: as sock_i_uid() and sock_i_ino() tell it (net/core/sock.c), of the inode
 * behind struct socket; 6.17 or so keeps both in struct sock. */
static gboolean
read_inode(const MoseSocketWalk *walk, MoseSocket *socket, GError **error)
{
    MoseLinux *kernel = walk->kernel;
    guint64 offset, uid = 0;

    if (mose_object_has(&walk->sock, "sk_ino")) {
        if (!mose_object_get(&walk->sock, "sk_ino", &socket->inode, error) ||
            !mose_object_get(&walk->sock, "sk_uid", &uid, error))
            return FALSE;
    } else if (socket->socket != 0) {
        if (!mose_object_offset(kernel, "socket_alloc", "vfs_inode", &offset, NULL,
                                error) ||
            !mose_object_peek(kernel, "inode", socket->socket + offset, "i_ino",
                              &socket->inode, error) ||
            !mose_object_peek(kernel, "inode", socket->socket + offset, "i_uid", &uid,
                              error))
            return FALSE;
    }
    socket->uid = uid;
    return TRUE;
}

gboolean
mose_sockets_whole(MoseSocketWalk *walk, MoseSocket *socket, GError **error)
{
    guint64 type;

    if (!mose_object_read(walk->kernel, "sock", socket->address, &walk->sock, error) ||
        !mose_object_get(&walk->sock, "sk_socket", &socket->socket, error) ||
        !mose_object_get(&walk->sock, "sk_type", &type, error))
        return FALSE;
    socket->type = type;
    return read_inode(walk, socket, error);
}

gboolean
mose_sockets_queues(const MoseSocketWalk *walk, MoseSocket *socket, GError **error)
{
    guint64 rx, tx;

    if (!mose_object_get(&walk->sock, "sk_backlog.rmem_alloc", &rx, error) ||
        !mose_object_get(&walk->sock, "sk_wmem_alloc", &tx, error))
        return FALSE;
    socket->rx_queue = rx;
    socket->tx_queue = tx > 0 ? tx - 1 : 0;
    return TRUE;
}

/* --- chains --- */

static gboolean
add_entry(MoseLinux *kernel, guint64 entry, gpointer data, GError **error)
{
    MoseSocketWalk *walk = data;
    g_autoptr(GError) cause = NULL;
    MoseSocket *socket = walk->read(walk, entry, &cause);

    if (socket)
        g_ptr_array_add(walk->chain, socket);
    if (!cause)
        return TRUE;
    /* What cannot be read was freed perhaps: the walk will tell, if it goes on. */
    if (mose_memory_is_alive(kernel->memory) &&
        g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN, "%s", cause->message);
    else
        g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

typedef struct {
    MoseSocketWalk *walk;
    guint64 head, nulls;
} Chain;

static gboolean
read_chain(MoseLinux *kernel, gpointer data, GError **error)
{
    const Chain *chain = data;
    MoseSocketWalk *walk = chain->walk;

    g_ptr_array_set_size(walk->chain, 0);
    if (chain->nulls == MOSE_NO_NULLS)
        return mose_hlist_walk(kernel, chain->head, walk->node, MOSE_SOCKETS_MAX,
                               add_entry, walk, error);
    return mose_hlist_nulls_walk(kernel, chain->head, walk->node, chain->nulls,
                                 MOSE_SOCKETS_MAX, add_entry, walk, error);
}

/* A socket that was in another chain before is not told twice. */
gboolean
mose_sockets_keep_chain(MoseSocketWalk *walk, GError **error)
{
    if (walk->found->len + walk->chain->len > MOSE_SOCKETS_MAX) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the guest's tables of sockets have no end");
        return FALSE;
    }
    for (guint i = 0; i < walk->chain->len; i++) {
        MoseSocket *socket = g_steal_pointer(&walk->chain->pdata[i]);

        if (g_hash_table_add(walk->seen, &socket->address))
            g_ptr_array_add(walk->found, socket);
        else
            mose_socket_free(socket);
    }
    g_ptr_array_set_size(walk->chain, 0);
    return TRUE;
}

gboolean
mose_sockets_chain(MoseSocketWalk *walk, guint64 head, guint64 nulls, GError **error)
{
    Chain chain = { walk, head, nulls };
    guint retries;
    gboolean good = mose_linux_retry(walk->kernel, read_chain, &chain, &retries, error);

    walk->retries += retries;
    return good && mose_sockets_keep_chain(walk, error);
}

static gboolean
check_table(const MoseSocketWalk *walk, guint64 at, guint64 n, gsize size,
            GError **error)
{
    if (n <= MOSE_CHAINS_MAX && size > 0 &&
        n <= mose_memory_size(walk->kernel->memory) / size)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "the guest's table of %s sockets at 0x%" G_GINT64_MODIFIER
                "x cannot have %" G_GUINT64_FORMAT " chains of %" G_GSIZE_FORMAT
                " bytes",
                mose_socket_kinds[walk->kind], at, n, size);
    return FALSE;
}

/* All heads are read at once, as most chains are empty. */
gboolean
mose_sockets_table(MoseSocketWalk *walk, guint64 at, guint64 n, gsize size,
                   gsize offset, guint64 nulls, GError **error)
{
    g_autofree guint8 *heads = NULL;

    if (!check_table(walk, at, n, size, error))
        return FALSE;
    heads = g_malloc(n * size);
    if (!mose_space_read(walk->kernel->space, at, heads, n * size, NULL, error)) {
        g_prefix_error(error,
                       "the table of %s sockets: ", mose_socket_kinds[walk->kind]);
        return FALSE;
    }
    for (guint64 i = 0; i < n; i++) {
        guint64 first;

        memcpy(&first, heads + i * size + offset, sizeof(first));
        first = GUINT64_FROM_LE(first);
        if (first != 0 && !(first & 1) &&
            !mose_sockets_chain(walk, at + i * size + offset,
                                nulls == MOSE_NO_NULLS ? nulls : nulls + i, error))
            return FALSE;
    }
    return TRUE;
}

/* --- all of them --- */

static gboolean
begin(MoseSocketWalk *walk, MoseLinux *kernel, const GPtrArray *nets, GError **error)
{
    walk->kernel = kernel;
    walk->nets = g_hash_table_new(g_int64_hash, g_int64_equal);
    walk->seen = g_hash_table_new(g_int64_hash, g_int64_equal);
    walk->found = g_ptr_array_new_with_free_func((GDestroyNotify)mose_socket_free);
    /* Each is freed, or goes on to those found. */
    walk->chain = g_ptr_array_new_with_free_func((GDestroyNotify)mose_socket_free);
    for (guint i = 0; i < nets->len; i++)
        g_hash_table_insert(walk->nets, &((MoseNetns *)nets->pdata[i])->address,
                            nets->pdata[i]);
    return mose_object_offset(kernel, "sock_common", "skc_node", &walk->node, NULL,
                              error);
}

static void
clear(MoseSocketWalk *walk)
{
    g_hash_table_unref(walk->nets);
    g_hash_table_unref(walk->seen);
    g_clear_pointer(&walk->found, g_ptr_array_unref);
    g_ptr_array_unref(walk->chain);
    mose_object_clear(&walk->common);
    mose_object_clear(&walk->sock);
}

/* What a kernel has not, or has as a module, is told in words. */
static gboolean
read_kind(MoseSocketWalk *walk, GPtrArray *missing, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (readers[walk->kind](walk, &cause))
        return TRUE;
    if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    g_ptr_array_add(missing, g_strdup_printf("%s: %s", mose_socket_kinds[walk->kind],
                                             cause->message));
    return TRUE;
}

GPtrArray *
mose_sockets_read(MoseLinux *kernel, const GPtrArray *nets, guint kinds,
                  guint *ret_retries, GPtrArray **ret_missing, GError **error)
{
    MoseSocketWalk walk = { 0 };
    g_autoptr(GPtrArray) missing = g_ptr_array_new_with_free_func(g_free);
    GPtrArray *found = NULL;
    gboolean good = begin(&walk, kernel, nets, error);

    for (guint kind = 0; good && kind < MOSE_SOCKET_N_KINDS; kind++) {
        walk.kind = kind;
        good = !(kinds >> kind & 1) || read_kind(&walk, missing, error);
    }
    if (good) {
        found = g_steal_pointer(&walk.found);
        *ret_missing = g_steal_pointer(&missing);
        if (ret_retries)
            *ret_retries = walk.retries;
    }
    clear(&walk);
    return found;
}

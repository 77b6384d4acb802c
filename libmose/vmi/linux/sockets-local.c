/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets that are not IP's: unix, packet, netlink. */
#include <string.h>

#include "util/error.h"
#include "vmi/linux/sockets-priv.h"

/* --- unix --- */

/* net/unix/af_unix.c, include/net/af_unix.h: 256 chains of those with a name, and as
 * many of those without; whether they are in one array or in each namespace's. */
#define UNIX_CHAINS 512
#define UNIX_PATH_MAX 108 /* include/uapi/linux/un.h */

/* As /proc/net/unix has it (unix_seq_show()): an abstract name begins by a NUL, and may
 * have more, which are shown as '@'. */
static char *
name_of(const guint8 *path, gsize len)
{
    g_autofree char *text = g_strndup((const char *)path, len);

    if (len > 0 && path[0] == '\0')
        for (gsize i = 0; i < len; i++)
            text[i] = path[i] ? (char)path[i] : '@';
    return mose_vmi_printable(text);
}

static gboolean
read_name(MoseSocketWalk *walk, MoseSocket *socket, GError **error)
{
    MoseLinux *kernel = walk->kernel;
    guint8 bytes[UNIX_PATH_MAX];
    guint64 address, len, name, path;

    if (!mose_object_peek(kernel, "unix_sock", socket->address, "addr", &address,
                          error))
        return FALSE;
    if (address == 0)
        return TRUE;
    if (!mose_object_peek(kernel, "unix_address", address, "len", &len, error) ||
        !mose_object_offset(kernel, "unix_address", "name", &name, NULL, error) ||
        !mose_object_offset(kernel, "sockaddr_un", "sun_path", &path, NULL, error))
        return FALSE;
    if (len < path || len - path > sizeof(bytes) + 1) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the guest's unix socket at 0x%" G_GINT64_MODIFIER
                    "x has a name of %" G_GUINT64_FORMAT " bytes",
                    socket->address, len);
        return FALSE;
    }
    len = MIN(len - path, sizeof(bytes));
    if (!mose_space_read(kernel->space, address + name + path, bytes, len, NULL, error))
        return FALSE;
    g_free(socket->local);
    socket->local = name_of(bytes, len);
    return TRUE;
}

/* Its receivers' memory is accounted for at the sender: what is in the queue, and of a
 * listener the connections that nobody has accepted. */
static MoseSocket *
read_unix(MoseSocketWalk *walk, guint64 address, GError **error)
{
    g_autoptr(MoseSocket) socket = mose_sockets_common(walk, address, error);
    guint64 queued;

    if (!socket || !mose_sockets_whole(walk, socket, error) ||
        !mose_sockets_queues(walk, socket, error) ||
        !mose_object_get(&walk->sock, "sk_receive_queue.qlen", &queued, error) ||
        !mose_object_peek(walk->kernel, "unix_sock", address, "peer", &socket->peer,
                          error) ||
        !read_name(walk, socket, error))
        return NULL;
    socket->rx_queue = queued;
    return g_steal_pointer(&socket);
}

static gboolean
read_unix_of_net(MoseSocketWalk *walk, guint64 net, GError **error)
{
    guint64 at;

    return mose_object_peek(walk->kernel, "net", net, "unx.table.buckets", &at,
                            error) &&
           (at == 0 ||
            mose_sockets_table(walk, at, UNIX_CHAINS, 8, 0, MOSE_NO_NULLS, error));
}

static gboolean
is_without(const MoseSocketWalk *walk, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "the kernel has no %s: it is without, or the module is not loaded, or "
                "has its types for itself",
                what);
    return FALSE;
}

/* For each namespace; 5.19 gave each a table. */
gboolean
mose_sockets_unix(MoseSocketWalk *walk, GError **error)
{
    GHashTableIter iter;
    gpointer net;
    guint64 at;

    walk->read = read_unix;
    if (!mose_types_find(walk->kernel->types, "unix_sock"))
        return is_without(walk, "unix_sock", error);
    if (!mose_object_offset(walk->kernel, "net", "unx.table.buckets", &at, NULL, NULL))
        return mose_linux_symbol(walk->kernel, "unix_socket_table", &at, NULL)
                   ? mose_sockets_table(walk, at, UNIX_CHAINS, 8, 0, MOSE_NO_NULLS,
                                        error)
                   : is_without(walk, "unix_socket_table", error);
    g_hash_table_iter_init(&iter, walk->nets);
    while (g_hash_table_iter_next(&iter, &net, NULL))
        if (!read_unix_of_net(walk, *(guint64 *)net, error))
            return FALSE;
    return TRUE;
}

/* --- packet --- */

static MoseSocket *
read_packet(MoseSocketWalk *walk, guint64 address, GError **error)
{
    g_autoptr(MoseSocket) socket = mose_sockets_common(walk, address, error);
    guint64 number, ifindex;

    if (!socket || !mose_sockets_whole(walk, socket, error) ||
        !mose_sockets_queues(walk, socket, error) ||
        !mose_object_peek(walk->kernel, "packet_sock", address, "num", &number,
                          error) ||
        !mose_object_peek(walk->kernel, "packet_sock", address, "ifindex", &ifindex,
                          error))
        return NULL;
    socket->protocol = g_ntohs((guint16)number);
    socket->ifindex = ifindex;
    return g_steal_pointer(&socket);
}

gboolean
mose_sockets_packet(MoseSocketWalk *walk, GError **error)
{
    GHashTableIter iter;
    gpointer net;
    guint64 offset;

    walk->read = read_packet;
    if (!mose_types_find(walk->kernel->types, "packet_sock") ||
        !mose_object_offset(walk->kernel, "net", "packet.sklist", &offset, NULL, NULL))
        return is_without(walk, "packet_sock", error);
    g_hash_table_iter_init(&iter, walk->nets);
    while (g_hash_table_iter_next(&iter, &net, NULL))
        if (!mose_sockets_chain(walk, *(guint64 *)net + offset, MOSE_NO_NULLS, error))
            return FALSE;
    return TRUE;
}

/* --- netlink --- */

/* net/netlink/af_netlink.c: an array of as many tables as there are protocols, each a
 * hash table that grows (lib/rhashtable.c). */
#define MAX_LINKS 32
#define MAX_TABLES 8 /* one that grows, and those it grows into */
#define MAX_CHAIN 4096

static MoseSocket *
read_netlink(MoseSocketWalk *walk, guint64 address, GError **error)
{
    g_autoptr(MoseSocket) socket = mose_sockets_common(walk, address, error);
    guint64 protocol, portid, groups, bits = 0;

    if (!socket || !mose_sockets_whole(walk, socket, error) ||
        !mose_sockets_queues(walk, socket, error) ||
        !mose_object_get(&walk->sock, "sk_protocol", &protocol, error) ||
        !mose_object_peek(walk->kernel, "netlink_sock", address, "portid", &portid,
                          error) ||
        !mose_object_peek(walk->kernel, "netlink_sock", address, "groups", &groups,
                          error) ||
        (groups != 0 &&
         !mose_space_read_number(walk->kernel->space, groups, 4, &bits, error)))
        return NULL;
    socket->protocol = protocol;
    socket->portid = portid;
    socket->groups = bits;
    return g_steal_pointer(&socket);
}

static gboolean
has_changed(guint64 bucket, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN,
                "the guest's table of netlink sockets changed while it was read, at "
                "0x%" G_GINT64_MODIFIER "x",
                bucket);
    return FALSE;
}

typedef struct {
    MoseSocketWalk *walk;
    guint64 bucket, node; /* of rhash_head within netlink_sock */
} Bucket;

/* Links lead forth only, the first one's bit 0 is a lock; the last one's value is that
 * of its bucket (include/linux/rhashtable.h: RHT_NULLS_MARKER), so that an entry that
 * was moved to another one is noticed. */
static gboolean
read_bucket(MoseLinux *kernel, gpointer data, GError **error)
{
    const Bucket *bucket = data;
    MoseSocketWalk *walk = bucket->walk;
    guint64 at;

    g_ptr_array_set_size(walk->chain, 0);
    if (!mose_space_read_number(kernel->space, bucket->bucket, 8, &at, error))
        return FALSE;
    at &= ~G_GUINT64_CONSTANT(1);
    if (at == 0)
        return TRUE;
    for (guint i = 0; !(at & 1); i++) {
        g_autoptr(GError) cause = NULL;
        MoseSocket *socket = walk->read(walk, at - bucket->node, &cause);

        if (socket)
            g_ptr_array_add(walk->chain, socket);
        if (cause || i == MAX_CHAIN ||
            !mose_space_read_number(kernel->space, at, 8, &at, NULL))
            return has_changed(bucket->bucket, error);
    }
    return at == (bucket->bucket | 1) || has_changed(bucket->bucket, error);
}

static gboolean
read_buckets(MoseSocketWalk *walk, guint64 table, guint64 size, guint64 node,
             GError **error)
{
    Bucket bucket = { .walk = walk, .node = node };
    guint64 offset;

    if (!mose_object_offset(walk->kernel, "bucket_table", "buckets", &offset, NULL,
                            error))
        return FALSE;
    for (guint64 i = 0; i < size; i++) {
        guint retries;

        bucket.bucket = table + offset + i * 8;
        if (!mose_linux_retry(walk->kernel, read_bucket, &bucket, &retries, error))
            return FALSE;
        walk->retries += retries;
        if (!mose_sockets_keep_chain(walk, error))
            return FALSE;
    }
    return TRUE;
}

/* A table whose array could not be had in one piece is a tree of pages. */
static gboolean
read_table(MoseSocketWalk *walk, guint64 at, guint64 node, guint64 *ret_next,
           GError **error)
{
    guint64 size, nest;

    if (!mose_object_peek(walk->kernel, "bucket_table", at, "size", &size, error) ||
        !mose_object_peek(walk->kernel, "bucket_table", at, "nest", &nest, error) ||
        !mose_object_peek(walk->kernel, "bucket_table", at, "future_tbl", ret_next,
                          error))
        return FALSE;
    if (nest != 0 || size > MOSE_CHAINS_MAX ||
        size > mose_memory_size(walk->kernel->memory) / 8) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "a table of %" G_GUINT64_FORMAT " chains at 0x%" G_GINT64_MODIFIER
                    "x is not in one piece",
                    size, at);
        return FALSE;
    }
    return read_buckets(walk, at, size, node, error);
}

static gboolean
read_protocol(MoseSocketWalk *walk, guint64 table, guint64 node, GError **error)
{
    guint64 at;

    if (!mose_object_peek(walk->kernel, "netlink_table", table, "hash.tbl", &at, error))
        return FALSE;
    for (guint i = 0; at != 0 && i < MAX_TABLES; i++)
        if (!read_table(walk, at, node, &at, error))
            return FALSE;
    return TRUE;
}

gboolean
mose_sockets_netlink(MoseSocketWalk *walk, GError **error)
{
    guint32 type = mose_types_find(walk->kernel->types, "netlink_table");
    guint64 pointer, tables, node;

    walk->read = read_netlink;
    if (!type || !mose_linux_symbol(walk->kernel, "nl_table", &pointer, NULL))
        return is_without(walk, "nl_table", error);
    if (!mose_space_read_number(walk->kernel->space, pointer, 8, &tables, error) ||
        !mose_object_offset(walk->kernel, "netlink_sock", "node", &node, NULL, error))
        return FALSE;
    for (guint i = 0; i < MAX_LINKS; i++)
        if (!read_protocol(walk,
                           tables + i * mose_types_size(walk->kernel->types, type),
                           node, error))
            return FALSE;
    return TRUE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of a tap or a packet socket; see frame-end.h. */
#include "net/frame-end.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/error.h"

/* The largest header of a tap: with a hash report (struct virtio_net_hdr_v1_hash). */
#define TAP_HEADER_MAX 20
#define VLAN_TAG 4
#define ADDRESSES (2 * ETH_ALEN)

G_STATIC_ASSERT(sizeof(struct virtio_net_hdr) == MOSE_FRAME_VNET);
G_STATIC_ASSERT(G_BYTE_ORDER == G_LITTLE_ENDIAN); /* headers are the host's own */

/* An interface that was deleted: a packet socket's and a tap's words for it. */
static MoseFrameResult
failed(void)
{
    switch (errno) {
    case EAGAIN:
    case EINTR:
    case ENOBUFS:
        return MOSE_FRAME_NOT_NOW;
    case ENETDOWN:
    case ENODEV:
    case ENXIO:
    case EBADFD:
        return MOSE_FRAME_GONE;
    default:
        return MOSE_FRAME_BAD;
    }
}

/* It is told once: to the next read(2), or here. */
static MoseFrameResult
pending_error(int fd)
{
    int pending = 0;
    socklen_t len = sizeof(pending);

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &len);
    errno = pending;
    return pending != 0 && failed() == MOSE_FRAME_GONE ? MOSE_FRAME_GONE
                                                       : MOSE_FRAME_DONE;
}

MoseFrameResult
mose_frame_end_refresh(MoseFrameEnd *end)
{
    struct ifreq ifr = { 0 };
    int size;

    if (end->is_packet)
        return pending_error(end->fd);
    if (ioctl(end->fd, TUNGETIFF, &ifr) < 0)
        return MOSE_FRAME_GONE;
    end->tap_header = 0;
    if (!(ifr.ifr_flags & IFF_VNET_HDR))
        return MOSE_FRAME_DONE;
    if (ioctl(end->fd, TUNGETVNETHDRSZ, &size) < 0 || size < MOSE_FRAME_VNET ||
        size > TAP_HEADER_MAX)
        return MOSE_FRAME_GONE;
    end->tap_header = size;
    return MOSE_FRAME_DONE;
}

gboolean
mose_frame_end_init(MoseFrameEnd *end, int fd, GError **error)
{
    int domain = 0;
    socklen_t len = sizeof(domain);

    *end = (MoseFrameEnd){ .fd = fd };
    end->is_packet = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
                     domain == AF_PACKET;
    if (mose_frame_end_refresh(end) != MOSE_FRAME_DONE) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "descriptor %d is neither a tap nor a packet socket", fd);
        return FALSE;
    }
    return g_unix_set_fd_nonblocking(fd, TRUE, error);
}

/* The bytes that the tap has between our header and the frame go nowhere. */
static MoseFrameResult
read_tap(MoseFrameEnd *end, guint8 *ret, gsize *ret_len)
{
    guint8 rest[TAP_HEADER_MAX - MOSE_FRAME_VNET];
    gsize rest_len = end->tap_header ? (gsize)end->tap_header - MOSE_FRAME_VNET : 0;
    struct iovec iov[] = { { ret, end->tap_header ? MOSE_FRAME_VNET : 0 },
                           { rest, rest_len },
                           { ret + MOSE_FRAME_VNET,
                             MOSE_FRAME_MAX - MOSE_FRAME_VNET } };
    ssize_t got = readv(end->fd, iov, G_N_ELEMENTS(iov));

    if (got < 0)
        return failed();
    if (got < end->tap_header + MOSE_FRAME_ETHERNET)
        return MOSE_FRAME_BAD;
    if (!end->tap_header)
        memset(ret, 0, MOSE_FRAME_VNET);
    *ret_len = (gsize)got - (gsize)end->tap_header + MOSE_FRAME_VNET;
    return MOSE_FRAME_DONE;
}

/* What the kernel has taken out of a frame, or NULL. */
static const struct tpacket_auxdata *
vlan_tag(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        const struct tpacket_auxdata *aux = (const void *)CMSG_DATA(c);

        if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA &&
            c->cmsg_len >= CMSG_LEN(sizeof(*aux)))
            return aux->tp_status & TP_STATUS_VLAN_VALID ? aux : NULL;
    }
    return NULL;
}

/* Put it back behind the addresses; what the header counts from the frame's begin is
 * further back then. */
static void
put_tag(guint8 *frame, gsize *len, const struct tpacket_auxdata *aux)
{
    struct virtio_net_hdr vnet;
    guint8 *at = frame + MOSE_FRAME_VNET + ADDRESSES;
    guint16 tag[] = { GUINT16_TO_BE(aux->tp_status & TP_STATUS_VLAN_TPID_VALID
                                        ? aux->tp_vlan_tpid
                                        : ETH_P_8021Q),
                      GUINT16_TO_BE(aux->tp_vlan_tci) };

    memmove(at + VLAN_TAG, at, *len - MOSE_FRAME_VNET - ADDRESSES);
    memcpy(at, tag, sizeof(tag));
    *len += VLAN_TAG;
    memcpy(&vnet, frame, sizeof(vnet));
    if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        vnet.csum_start += VLAN_TAG;
    if (vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE)
        vnet.hdr_len += VLAN_TAG;
    memcpy(frame, &vnet, sizeof(vnet));
}

static MoseFrameResult
read_packet(MoseFrameEnd *end, guint8 *ret, gsize *ret_len)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control;
    struct iovec iov = { ret, MOSE_FRAME_MAX - VLAN_TAG };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof(control) };
    const struct tpacket_auxdata *aux;
    ssize_t got = recvmsg(end->fd, &msg, 0);

    if (got < 0)
        return failed();
    if (got < MOSE_FRAME_MIN || msg.msg_flags & MSG_TRUNC)
        return MOSE_FRAME_BAD;
    *ret_len = (gsize)got;
    aux = vlan_tag(&msg);
    if (aux)
        put_tag(ret, ret_len, aux);
    return MOSE_FRAME_DONE;
}

MoseFrameResult
mose_frame_end_read(MoseFrameEnd *end, guint8 *ret, gsize *ret_len)
{
    return end->is_packet ? read_packet(end, ret, ret_len)
                          : read_tap(end, ret, ret_len);
}

/* Without headers there is nobody who would finish a frame. */
static gboolean
is_whole(const guint8 *frame)
{
    struct virtio_net_hdr vnet;

    memcpy(&vnet, frame, sizeof(vnet));
    return !(vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
           vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE;
}

static MoseFrameResult
write_tap(MoseFrameEnd *end, const guint8 *frame, gsize len)
{
    static guint8 rest[TAP_HEADER_MAX - MOSE_FRAME_VNET];
    gsize rest_len = end->tap_header ? (gsize)end->tap_header - MOSE_FRAME_VNET : 0;
    const struct iovec iov[] = {
        { (void *)frame, end->tap_header ? MOSE_FRAME_VNET : 0 },
        { rest, rest_len },
        { (void *)(frame + MOSE_FRAME_VNET), len - MOSE_FRAME_VNET },
    };

    if (!end->tap_header && !is_whole(frame))
        return MOSE_FRAME_BAD;
    return writev(end->fd, iov, G_N_ELEMENTS(iov)) < 0 ? failed() : MOSE_FRAME_DONE;
}

MoseFrameResult
mose_frame_end_write(MoseFrameEnd *end, const guint8 *frame, gsize len)
{
    if (!end->is_packet)
        return write_tap(end, frame, len);
    return send(end->fd, frame, len, 0) < 0 ? failed() : MOSE_FRAME_DONE;
}

guint64
mose_frame_end_lost(MoseFrameEnd *end)
{
    struct tpacket_stats stats = { 0 };
    socklen_t len = sizeof(stats);

    if (end->is_packet)
        getsockopt(end->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
    return stats.tp_drops;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames made by hand; see tap-frames.h. */
#include "lib/tap-frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

#include "util/error.h"

#define PATIENCE_MS 5000
#define HEADER_MAX 20
/* IEEE 802 "local experimental" EtherType 1: nobody's. */
#define EXPERIMENTAL 0x88b5

gboolean
tap_frames_open(const char *ifname, gboolean vnet_hdr, guint mtu, MosePrivateTap *ret)
{
    g_autoptr(GError) error = NULL;

    if (mose_private_tap_open(ifname, vnet_hdr, mtu, ret, &error))
        return TRUE;
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED);
    g_test_skip(error->message);
    return FALSE;
}

/* Its addresses and type; what comes behind them. */
static void *
begin(TestFrame *frame, guint16 type)
{
    struct ether_header *ethernet = (void *)(frame->data + MOSE_FRAME_VNET);

    memset(frame, 0, sizeof(*frame));
    *ethernet =
        (struct ether_header){ .ether_dhost = { 0x52, 0x54, 0, 0x12, 0x34, 0x57 },
                               .ether_shost = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 },
                               .ether_type = htons(type) };
    return ethernet + 1;
}

void
tap_frames_plain(TestFrame *ret, gsize len)
{
    guint8 *payload = begin(ret, EXPERIMENTAL);

    ret->len = MOSE_FRAME_VNET + len;
    for (gsize i = 0; i < len - MOSE_FRAME_ETHERNET; i++)
        payload[i] = (guint8)(i * 7);
}

static guint32
sum_words(const void *data, gsize len)
{
    const guint8 *at = data;
    guint32 sum = 0;

    for (gsize i = 0; i < len; i += 2)
        sum += (guint32)(at[i] << 8 | at[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

void
tap_frames_tcp(TestFrame *ret, gsize payload, guint16 mss)
{
    struct iphdr *ip = begin(ret, ETHERTYPE_IP);
    struct tcphdr *tcp = (struct tcphdr *)(ip + 1);
    struct virtio_net_hdr vnet = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = mss ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_NONE,
        .hdr_len = MOSE_FRAME_ETHERNET + sizeof(*ip) + sizeof(*tcp),
        .gso_size = mss,
        .csum_start = MOSE_FRAME_ETHERNET + sizeof(*ip),
        .csum_offset = G_STRUCT_OFFSET(struct tcphdr, check),
    };
    guint16 tcp_len = (guint16)(sizeof(*tcp) + payload);
    guint32 pseudo;

    *ip = (struct iphdr){ .version = 4,
                          .ihl = 5,
                          .tot_len = htons((guint16)(sizeof(*ip) + tcp_len)),
                          .ttl = 64,
                          .protocol = IPPROTO_TCP,
                          .saddr = htonl(0x0a4d0002),
                          .daddr = htonl(0x0a4d0001) };
    ip->check = htons((guint16)~sum_words(ip, sizeof(*ip)));
    *tcp = (struct tcphdr){
        .source = htons(80), .dest = htons(4000), .doff = 5, .ack = 1
    };
    pseudo = sum_words(&ip->saddr, 8) + IPPROTO_TCP + tcp_len;
    tcp->check = htons((guint16)((pseudo & 0xffff) + (pseudo >> 16)));
    for (gsize i = 0; i < payload; i++)
        ((guint8 *)(tcp + 1))[i] = (guint8)(i * 7);
    memcpy(ret->data, &vnet, sizeof(vnet));
    ret->len = MOSE_FRAME_VNET + vnet.hdr_len + payload;
}

void
tap_frames_tag(TestFrame *frame, guint16 vid)
{
    guint8 *at = frame->data + MOSE_FRAME_VNET + 12;
    const guint16 tag[] = { htons(0x8100), htons(vid) };
    struct virtio_net_hdr vnet;

    memmove(at + sizeof(tag), at, frame->len - MOSE_FRAME_VNET - 12);
    memcpy(at, tag, sizeof(tag));
    frame->len += sizeof(tag);
    memcpy(&vnet, frame->data, sizeof(vnet));
    if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        vnet.csum_start += sizeof(tag);
        vnet.hdr_len += sizeof(tag);
    }
    memcpy(frame->data, &vnet, sizeof(vnet));
}

static void
layout(struct iovec *iov, TestFrame *frame, guint8 *rest, int header, gsize frame_len)
{
    iov[0] = (struct iovec){ frame->data, header ? MOSE_FRAME_VNET : 0 };
    iov[1] = (struct iovec){ rest, header ? (gsize)header - MOSE_FRAME_VNET : 0 };
    iov[2] = (struct iovec){ frame->data + MOSE_FRAME_VNET, frame_len };
}

int
tap_frames_write(int tap, int header, const TestFrame *frame)
{
    guint8 rest[HEADER_MAX] = { 0 };
    struct iovec iov[3];

    layout(iov, (TestFrame *)frame, rest, header, frame->len - MOSE_FRAME_VNET);
    return writev(tap, iov, G_N_ELEMENTS(iov)) < 0 ? errno : 0;
}

void
tap_frames_read(int tap, int header, TestFrame *ret)
{
    struct pollfd pfd = { .fd = tap, .events = POLLIN };
    guint8 rest[HEADER_MAX];
    struct iovec iov[3];
    ssize_t got;

    memset(ret, 0, sizeof(*ret));
    g_assert_cmpint(poll(&pfd, 1, PATIENCE_MS), ==, 1);
    layout(iov, ret, rest, header, MOSE_FRAME_MAX - MOSE_FRAME_VNET);
    got = readv(tap, iov, G_N_ELEMENTS(iov));
    g_assert_cmpint(got, >, header);
    ret->len = (gsize)got - (gsize)header + MOSE_FRAME_VNET;
}

void
tap_frames_assert_silent(int tap, int ms)
{
    struct pollfd pfd = { .fd = tap, .events = POLLIN };

    g_assert_cmpint(poll(&pfd, 1, ms), ==, 0);
}

void
tap_frames_assert_same(const TestFrame *a, const TestFrame *b)
{
    struct virtio_net_hdr x, y;

    memcpy(&x, a->data, sizeof(x));
    memcpy(&y, b->data, sizeof(y));
    g_assert_cmpuint(x.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, ==,
                     y.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
    g_assert_cmpuint(x.gso_type, ==, y.gso_type);
    g_assert_cmpuint(x.gso_size, ==, y.gso_size);
    g_assert_cmpuint(x.csum_start, ==, y.csum_start);
    g_assert_cmpuint(x.csum_offset, ==, y.csum_offset);
    g_assert_cmpmem(a->data + MOSE_FRAME_VNET, a->len - MOSE_FRAME_VNET,
                    b->data + MOSE_FRAME_VNET, b->len - MOSE_FRAME_VNET);
}

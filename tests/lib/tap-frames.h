/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames made by hand, and taps to send them through. */
#pragma once

#include <linux/virtio_net.h>

#include "net/frames.h"
#include "net/private-tap.h"

typedef struct {
    gsize len; /* with the header */
    guint8 data[MOSE_FRAME_MAX];
} TestFrame;

/* A private tap, or g_test_skip() and FALSE where none can be made. */
gboolean tap_frames_open(const char *ifname, gboolean vnet_hdr, guint mtu,
                         MosePrivateTap *ret);

/* An Ethernet frame of a type that no kernel answers, @len bytes and no header. */
void tap_frames_plain(TestFrame *ret, gsize len);
/* TCP over IPv4: @payload bytes, with their checksum still to be made, and to be
 * cut into segments of @mss. */
void tap_frames_tcp(TestFrame *ret, gsize payload, guint16 mss);
/* Put a VLAN tag of @vid into it. */
void tap_frames_tag(TestFrame *frame, guint16 vid);

/* Write it as a QEMU does, whose headers have @header bytes; the errno, or 0. */
int tap_frames_write(int tap, int header, const TestFrame *frame);
/* Wait (5 s) for the next and read it so. */
void tap_frames_read(int tap, int header, TestFrame *ret);
/* Nothing comes within @ms. */
void tap_frames_assert_silent(int tap, int ms);
/* The same bytes; of the headers, what matters. */
void tap_frames_assert_same(const TestFrame *a, const TestFrame *b);

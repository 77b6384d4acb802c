/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that goes to another host while its network stays at home: its taps here stay
 * ports of their bridges, and its frames go through the link. Its addresses and
 * connections stay as they are.
 *
 *   bridge -- tap -- pump in the tether ==== link ==== pump -- private tap -- QEMU
 *
 * On the other host each tap is a private one (net/private-tap.h), with a process of
 * its own that pumps, and waits for another connection when one ends. It ends with the
 * tap, which the guest's QEMUs there hand on as any tap. The service of the link is
 * MOSE_SERVICE_NET plus the tap's number in the description.
 */
#pragma once

#include "guest/guest.h"
#include "link/link.h"
#include "qemu/command.h"

/* The guest's taps, MoseTap, in their order; free with mose_command_free(). */
MoseCommandLine *mose_home_net_line(const MoseGuest *guest, GError **error);

/* At home: open one that no QEMU has any more, for a pump. */
int mose_home_net_open(const MoseTap *tap, GError **error);

/* On the other host, for MoseLaunchFor.open_tap, @data being the guest: make a private
 * tap and start its pump. */
int mose_home_net_make(const MoseTap *tap, gconstpointer data, GError **error);

/* At home, the same for a guest that comes back: what the tether has open. */
int mose_home_net_take(const MoseTap *tap, gconstpointer data, GError **error);

/* On the other host: let the other side of @link reach the pumps. */
gboolean mose_home_net_offer(const MoseGuest *guest, MoseLink *link, GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Existing tap interfaces, opened for a QEMU. No interface is made or changed. */
#pragma once

#include <glib.h>

/*
 * Open tap @ifname (IFF_TAP | IFF_NO_PI, and IFF_VNET_HDR unless told
 * otherwise, as QEMU's net/tap-linux.c does). An interface that doesn't exist
 * is an error (NOT_FOUND) and is not created.
 */
int mose_tap_open(const char *ifname, gboolean vnet_hdr, GError **error);

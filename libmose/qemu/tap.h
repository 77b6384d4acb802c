/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Existing tap interfaces, opened for a QEMU. No interface is made or changed. */
#pragma once

#include "util/process.h"

/*
 * Open tap @ifname (IFF_TAP | IFF_NO_PI, and IFF_VNET_HDR unless told
 * otherwise, as QEMU's net/tap-linux.c does). An interface that doesn't exist
 * is an error (NOT_FOUND) and is not created.
 */
int mose_tap_open(const char *ifname, gboolean vnet_hdr, GError **error);

/*
 * A copy of @process's open file of tap @ifname: found by what the kernel tells of its
 * descriptors (Linux drivers/net/tun.c:tun_chr_show_fdinfo), since one that was
 * plugged in has any number; @number where it tells nothing.
 */
int mose_tap_take(const MoseProcess *process, const char *ifname, int number,
                  GError **error);

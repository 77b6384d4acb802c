/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that goes to another host while its disks stay at home, and comes back: which
 * QEMU has them at which step. What exports them is guest/exports.h, what carries NBD
 * to the other host a service of the link (MOSE_SERVICE_DISKS), and later the tether's
 * (tether.h).
 *
 *   at home                              on the other host
 *   offer     while the guest runs here  adopt   its description, before its QEMU
 * starts give      it stands still here; the QEMU there may write from here on take it
 * stands still there, and comes home; what that QEMU wrote is flushed end       the
 * guest is here, or has ended
 */
#pragma once

#include "guest/exports.h"
#include "switch/far-end.h"

/* Export the disks that the process behind @qmp has, and let the other side of @link
 * reach them. */
MoseExports *mose_home_disks_offer(const MoseGuest *guest, MoseQmp *qmp,
                                   const MoseProcess *source, MoseLink *link,
                                   GError **error);

/* Let the other side of @link reach those that are exported. */
gboolean mose_home_disks_carry(const MoseGuest *guest, MoseLink *link, GError **error);

/* The images belong to the QEMU on the other host, or to nobody:
 * mose_exports_activate() and _deactivate() of what there is. FALSE where there is
 * nothing. */
gboolean mose_home_disks_give(const MoseGuest *guest, GError **error);
gboolean mose_home_disks_take(const MoseGuest *guest, GError **error);

/* There: replace the disks of guest->spec by the exports @disks of the other host, and
 * listen for its QEMU on behalf of @link. */
gboolean mose_home_disks_adopt(MoseGuest *guest, JsonArray *disks, GError **error);
gboolean mose_home_disks_listen(const MoseGuest *guest, MoseLink *link, GError **error);

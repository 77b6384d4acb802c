/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a guest's life. */
#pragma once

#include "guest/guest.h"

/* What becomes of overlays of its disks that hold what the images do not. */
typedef enum {
    MOSE_OVERLAYS_REFUSE, /* the guest is not ended */
    MOSE_OVERLAYS_DISCARD,
    MOSE_OVERLAYS_KEEP, /* they stay where they are */
} MoseOverlaysAtEnd;

/* End the guest on this host: its process is killed, its directory removed. */
gboolean mose_stop(MoseGuest *guest, GError **error);

/*
 * The same, with a look at its overlays (REFUSED), and on the other host where it is
 * away. @forget: that host is not asked, and the guest, if it lives, is left there.
 */
gboolean mose_stop_wherever(MoseGuest *guest, MoseOverlaysAtEnd overlays,
                            gboolean forget, GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's description brought to what its QEMU has. */
#pragma once

#include "guest/guest.h"

/* The driver of a device that somebody has plugged in without MOSE: it can be taken
 * out, but not described. */
#define MOSE_PLUG_UNKNOWN "?"

/*
 * Of @changed (MoseOption *), what is in QEMU comes into guest->spec, what is not
 * goes; so do devices and drives that went along with others. Devices get the places
 * at which they are, which QEMU would choose anew without those that are gone.
 */
gboolean mose_plug_describe(MoseGuest *guest, MoseQmp *qmp, const GPtrArray *changed,
                            GError **error);

/*
 * Write the places of all devices into guest->spec. REFUSED where a device without a
 * name would move to another place once @going (a device's id) is gone.
 */
gboolean mose_plug_fix_places(MoseGuest *guest, MoseQmp *qmp, const char *going,
                              GError **error);

/* Whether there is an option of the kind of @option with its name in @options. */
gboolean mose_plug_has(const GPtrArray *options, const MoseOption *option);

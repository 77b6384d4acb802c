/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that come to a guest while it runs, and go: in its QEMU and in its
 * description at once, so that its next process has them, at the same places.
 *
 * What is to be changed is written to the guest's file "plug" first, then QEMU is
 * told, then the description is written from what QEMU really has. A MOSE killed in
 * between leaves the file: whoever locks the guest next looks which of the things
 * named in it are there, and describes those. Nothing is undone or finished then, so
 * that it needs neither the guest's nor anybody else's help.
 */
#pragma once

#include "guest/guest.h"

/* How long a guest may take to let go of a device. */
#define MOSE_UNPLUG_TIMEOUT_MS 30000

/*
 * Add what @addition (mose_spec_parse_plug) names, in its order; what was added is
 * taken out again where something fails. @guest is locked. INVALID for a name that is
 * taken; QMP in QEMU's words.
 */
gboolean mose_plug(MoseGuest *guest, const MoseSpec *addition, GError **error);

/*
 * Take out what has the names @ids (NULL-terminated): of each, devices first. What is
 * gone already is only forgotten. REFUSED where something else uses it, or the guest
 * says no; TIMEOUT; INTERRUPTED when @interrupt_fd (0: none) becomes readable: the
 * guest may then let go later, and unplugging again forgets the device.
 */
gboolean mose_unplug(MoseGuest *guest, const char *const *ids, int timeout_ms,
                     int interrupt_fd, GError **error);

/* Whether a MOSE that died has left a change half described. */
gboolean mose_plug_is_open(const MoseGuest *guest);

/* Describe what it did, if so. @guest is locked. */
gboolean mose_plug_recover(MoseGuest *guest, GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forks: throw-away copies of a guest, each a guest of its own (guest->fork_of) whose
 * QEMU has the memory of a past moment of the other one under its own writes, and
 * overlays over that moment's images. As long as one is there, nobody may write that
 * memory or those images.
 */
#pragma once

#include "guest/guest.h"

/* The file of the devices' state that @guest's forks are made of. Free with g_free().
 */
char *mose_guest_fork_state(const MoseGuest *guest);

/* Names of the forks of guest @name, sorted; also of those that have ended and not been
 * discarded. NULL with @error, also where one cannot be read: who does not know of a
 * fork shall not write under it. Free with g_strfreev(). */
char **mose_guest_forks(const char *name, GError **error);

/*
 * Whether @guest may be switched, by what forks there are: INVALID for a fork, which
 * ends where it began; BUSY, with their names, while @guest has some. @freeze: it is to
 * be frozen for forks that have not begun (their directories may be there).
 */
gboolean mose_guest_may_move(const MoseGuest *guest, gboolean freeze, GError **error);

/* Whether its devices and its process may change: BUSY while it has forks, INVALID for
 * a fork. @what names the change: "stopped", "given other devices". */
gboolean mose_guest_may_change(const MoseGuest *guest, const char *what,
                               GError **error);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest taken out of the hands of a `mose receive`. */
#pragma once

#include "guest/guest.h"

/*
 * Open guest @name to change it, as mose_guest_open() does, but a `mose receive` that
 * holds its lock is ended, and its guardians waited for: its link may have broken
 * without it knowing. BUSY where another command holds it.
 */
MoseGuest *mose_guest_seize(const char *name, GError **error);

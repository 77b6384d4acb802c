/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guardian: a process in a session of its own that waits for the end of the
 * command that works on a guest. If that end comes in the middle of a switch,
 * it undoes or finishes it (recover.h).
 */
#pragma once

#include "switch/guest.h"

/* Start one for this process. Call it while this process has one thread. */
MoseProcess *mose_guardian_start(const MoseGuest *guest, GError **error);

/* End it: the work is done. */
void mose_guardian_stop(MoseProcess *guardian);

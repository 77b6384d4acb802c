/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper: a process that sees to forks while nobody else does. If the command that
 * makes them dies half way, it clears away what there is of them; when their owner
 * ends, it ends them; and it gives the guest its memory back after either.
 */
#pragma once

#include "guest/guest.h"

/*
 * Start it for this process, which has one thread, and the forks @names of @guest that
 * it is about to make, which end with process @owner (0: not by themselves). It goes by
 * itself when nothing is left to keep; who goes on for long has a zombie of it then.
 */
gboolean mose_keeper_start(const MoseGuest *guest, const char *const *names,
                           pid_t owner, GError **error);

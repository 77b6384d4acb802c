/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guardians: two processes in sessions of their own that wait for the end of the
 * command that works on a guest. If that end comes in the middle of a switch, they
 * undo or finish it (recover.h). Each also watches the other and replaces it, so that
 * no two deaths one after the other leave the guest alone.
 *
 * A command that lives but holds its guest still (it was stopped by a signal, say) is
 * ended by them after some seconds.
 */
#pragma once

#include "guest/guest.h"

typedef struct MoseGuardian MoseGuardian;

/* Start them for this process, which has one thread. */
MoseGuardian *mose_guardian_start(const MoseGuest *guest, GError **error);

/* Hangs up (poll(2): POLLHUP) when no guardian is left. */
int mose_guardian_fd(const MoseGuardian *guardian);

/* Whether one is left. */
gboolean mose_guardian_alive(const MoseGuardian *guardian);

/* One of them. */
pid_t mose_guardian_pid(const MoseGuardian *guardian);

/* The work is done: they end, and so does @guardian. */
void mose_guardian_stop(MoseGuardian *guardian);

/* Forget them; they go on, and see to the guest when this process has ended. */
void mose_guardian_leave(MoseGuardian *guardian);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of one guardian; for guardian.c alone. */
#pragma once

#include "guest/guest.h"

/*
 * Be the first guardian of @guest, in a process just forked: @command is a pidfd of
 * who is watched, @done becomes readable when the work is done, @held is to be held
 * open. Does not return.
 */
G_NORETURN void mose_guardian_main(const MoseGuest *guest, int command, int done,
                                   int held);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Undoing or finishing a switch that its MOSE did not: by what the journal
 * says, and by whoever holds the guest's lock: the guardian, or the next
 * command.
 */
#pragma once

#include "guest/guest.h"

typedef enum {
    MOSE_RECOVERED_NOTHING,  /* nothing was under way */
    MOSE_RECOVERED_UNDONE,   /* the guest is where it was */
    MOSE_RECOVERED_FINISHED, /* the guest is where it was to go */
} MoseRecovered;

/*
 * Bring @guest (locked) to one side, running if it was. An error means that
 * neither side could be brought to run; the journal is then kept. A guest that
 * has ended with its QEMU is no error: its timeline gets the event "ended", once.
 * NOT_FOUND where it never began to run: its directory is gone then.
 */
gboolean mose_recover(MoseGuest *guest, MoseRecovered *ret, GError **error);

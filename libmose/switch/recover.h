/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Undoing or finishing a switch that its MOSE did not: by what the journal
 * says, and by whoever holds the guest's lock: the guardian, or the next
 * command.
 */
#pragma once

#include "switch/guest.h"

typedef enum {
    MOSE_RECOVERED_NOTHING,  /* nothing was under way */
    MOSE_RECOVERED_UNDONE,   /* the guest is where it was */
    MOSE_RECOVERED_FINISHED, /* the guest is where it was to go */
} MoseRecovered;

/*
 * Bring @guest (locked) to one side, running if it was. An error means that
 * neither side could be brought to run; the journal is then kept. A guest that
 * has ended with its QEMU is no error: its timeline gets the event "ended", once.
 */
gboolean mose_recover(MoseGuest *guest, MoseRecovered *ret, GError **error);

/*
 * Make the source run again (if it is to) after a move that did not happen:
 * cancel what is under way, wait for its end, `cont`. With x-ignore-shared
 * nothing of the guest has been changed by the destination.
 */
gboolean mose_resume_source(MoseQmp *source, gboolean was_running, GError **error);

/* Whether query-status says @status of a guest that runs, or that sleeps and will
 * wake: QEMU's `cont` brings both back as they were (system/cpus.c:vm_prepare_start).
 */
gboolean mose_status_is_live(JsonObject *status);

/* The process of @guest's that has generation @generation; NULL if none runs. */
MoseProcess *mose_find_generation(const MoseGuest *guest, guint generation);

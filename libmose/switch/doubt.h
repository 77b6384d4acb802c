/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one bit of a switch between two hosts: did the other one take the guest?
 *
 * Its host is asked through a new connection. Who is asked sees to it that what was
 * under way there is over before it answers (guest/taken.h), so that the answer stays
 * true. Where it cannot be reached, and the lease (take.h) has run out, the guest's
 * images decide, if both hosts are known to see each other's locks: the source runs on
 * if nobody has locked or written them. In any other case the guest is kept here,
 * still, until the other host answers.
 */
#pragma once

#include "guest/guest.h"
#include "guest/journal.h"
#include "switch/far-end.h"

typedef enum {
    MOSE_DOUBT_UNKNOWN,
    MOSE_DOUBT_TAKEN,
    MOSE_DOUBT_NOT_TAKEN,
} MoseDoubt;

/* Ask the host of guest->far; UNKNOWN with @error. */
MoseDoubt mose_doubt_ask(const MoseGuest *guest, GError **error);

/* The answer of the asked one: whether switch @id has brought guest @name here. What is
 * under way with it is brought to its end first. UNKNOWN with @error. */
MoseDoubt mose_doubt_answer(const char *name, const char *id, GError **error);

/* The guest is the other host's: end its process here, if it lives, and keep a record
 * of where it is, or nothing where the other host is one that we cannot reach. The
 * journal ends. */
gboolean mose_doubt_give(MoseGuest *guest, MoseSide side, GError **error);

/*
 * A guest that was to come from another host did not: what was begun for it, by @entry,
 * is cleared away, and the other host, which may wait for a word, is told. NOT_FOUND
 * where nothing is left of it here; TRUE where it is away again, and its host has
 * heard: until then the journal stays. mose_doubt_refuse(): QEMU would not run it, and
 * has not; what has been refused once must not run here later, when the guest runs
 * there.
 */
gboolean mose_doubt_untake(MoseGuest *guest, const MoseJournalEntry *entry,
                           GError **error);
gboolean mose_doubt_refuse(MoseGuest *guest, MoseJournalEntry *entry, GError **error);

/* Settle a doubt that began at @since_us (CLOCK_BOOTTIME), by asking, or by the guest's
 * images. FALSE: it is still one. *@ret_taken:
 * which way it went; where it was not taken, the source is to be let run. */
gboolean mose_doubt_recover(MoseGuest *guest, gint64 since_us, gboolean was_running,
                            gboolean *ret_taken, GError **error);

/* Whether @guest has come home, and its host is not known to have heard that; tell it
 * that, if it was not told of late. */
gboolean mose_doubt_is_untold(const MoseGuest *guest);
void mose_doubt_tell_late(const MoseGuest *guest);

/* Tell the host of guest->far, which gave the guest to us or did not, what became of
 * that, in case it does not know. TRUE when it has heard, or there is nothing to tell
 * (UNKNOWN, a host that was started anew). */
gboolean mose_doubt_tell(const MoseGuest *guest, MoseDoubt doubt, GError **error);

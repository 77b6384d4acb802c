/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is under way with a guest, written before it is done, so that whoever
 * comes after a MOSE that died knows whether to undo or to finish.
 *
 * The file has one JSON object a line; the last whole line counts. It is there
 * only while a switch is under way. It must outlive processes, not the host: a
 * host that crashes takes both QEMUs with it (boot-id in guest.json tells), so
 * a write(2) that returned is durable enough, and no fsync lengthens the time
 * in which the guest stands still.
 */
#pragma once

#include <glib.h>

#include "qemu/spec.h"

/* Each phase says who may be ended when MOSE dies in it. */
typedef enum {
    MOSE_PHASE_START, /* the guest's first process; it may be ended, and no guest be */
    MOSE_PHASE_TAKE,  /* a guest comes from another host; the process may be ended */
    MOSE_PHASE_PREPARE, /* source runs; the destination may be ended */
    MOSE_PHASE_MOVE,    /* source stops at the end; the destination may be ended */
    MOSE_PHASE_DOUBT,   /* another host was told to run it, and has not answered yet:
                           neither may the source run nor be ended */
    MOSE_PHASE_COMMIT,  /* the guest is the destination's; the source must be ended */
    MOSE_N_PHASES,
} MosePhase;

const char *mose_phase_name(MosePhase phase);

/* Which of the two processes of a switch are on this host. */
typedef enum {
    MOSE_ROLE_BOTH,
    MOSE_ROLE_GIVER, /* the source */
    MOSE_ROLE_TAKER, /* the destination */
    MOSE_N_ROLES,
} MoseRole;

/* What has become of the guest's memory (writes.h). */
typedef enum {
    MOSE_WRITES_NONE,
    MOSE_WRITES_PLANNED, /* the record is there; some may be done */
    MOSE_WRITES_DONE,    /* all are, and the destination may be let run */
    MOSE_N_WRITES_STATES,
} MoseWritesState;

typedef struct {
    MosePhase phase;
    guint generation;     /* the destination's */
    guint source;         /* the source's; 0 when there is none */
    MoseSide side;        /* the destination's */
    gboolean was_running; /* the guest is to run afterwards */
    MoseWritesState writes;
    MoseRole role;
    gint64 since_us; /* when it was written: CLOCK_BOOTTIME */
} MoseJournalEntry;

typedef struct MoseJournal MoseJournal;

/* Begin the journal of guest directory @dir with @entry. */
MoseJournal *mose_journal_begin(const char *dir, const MoseJournalEntry *entry,
                                GError **error);

/* What the records to come say of the guest. */
void mose_journal_set_running(MoseJournal *journal, gboolean was_running);
void mose_journal_set_writes(MoseJournal *journal, MoseWritesState writes);

/* Write that @phase has been reached. After TRUE any later reader knows. */
gboolean mose_journal_advance(MoseJournal *journal, MosePhase phase, GError **error);

/* Replace the journal of a MOSE that died by @entry alone. */
gboolean mose_journal_rewrite(const char *dir, const MoseJournalEntry *entry,
                              GError **error);

/* Nothing is under way any more. */
gboolean mose_journal_end(const char *dir, GError **error);

/* Close it here; the file stays. */
void mose_journal_free(MoseJournal *journal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseJournal, mose_journal_free)

/* What is under way: TRUE and *@ret, or FALSE with NOT_FOUND when nothing is, or
 * with another error when the file cannot be read. */
gboolean mose_journal_read(const char *dir, MoseJournalEntry *ret, GError **error);

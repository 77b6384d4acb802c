/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps of one switch and what they share. switch.c puts them in order.
 */
#pragma once

#include "qemu/ram.h"
#include "switch/clock.h"
#include "switch/facts.h"
#include "switch/journal.h"
#include "switch/launch.h"
#include "switch/relay.h"
#include "switch/switch.h"

/* Time limit of each QMP command of a switch. */
#define MOSE_MOVE_QMP_TIMEOUT_MS 5000

typedef struct {
    MoseGuest *guest; /* borrowed, locked */
    const MoseSwitchOptions *options;

    MoseProcess *source;
    MoseQmp *source_qmp;
    int ram_fd;
    MoseRam *ram;
    gboolean was_running;    /* or slept, to be woken */
    char *run_state;         /* where it was not running: QEMU's name for the state */
    int wake_fd;             /* readable when a wait has to end: epoll of two others */
    gboolean touched_source; /* it was told to migrate */
    gboolean uncertain;      /* whether the destination runs: recovery will tell */

    MoseJournal *journal;
    MoseProcess *guardian;
    MoseLaunch *destination;
    MoseRelay *relay;
    guint64 stream_bytes;

    MoseTscSample tsc;   /* when it began */
    MoseClockLine clock; /* the guest's, and what becomes of it */
    GPtrArray *changed;  /* names of rules */
    GError *late;        /* what went wrong after the commit */
    GMutex stop_lock;    /* of the next two */
    GCond stop_cond;
    gboolean stopped_seen; /* atomic: stop_us is valid */
    gint64 stop_us;        /* wall clock of the source's STOP */
    gint64 resume_us;      /* and of the destination's RESUME */
    gint64 rewritten_us;   /* when the rules ran, */
    gint64 due_us;         /* when the guest is to resume by its clocks, */
    gint64 ready_us;       /* and when it could have: wall clocks; 0 if not set */
    gint64 begun_us, launched_us, moved_us, committed_us; /* monotonic */
} MoseMove;

MoseMove *mose_move_new(MoseGuest *guest, const MoseSwitchOptions *options);
void mose_move_free(MoseMove *move);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseMove, mose_move_free)

/* TRUE and INTERRUPTED when the user wants no more of it. */
gboolean mose_move_interrupted(const MoseMove *move, GError **error);
/* Find the source, open its monitor and RAM, begin journal and guardian. */
gboolean mose_move_begin(MoseMove *move, GError **error);
/* Start the destination, paused. */
gboolean mose_move_launch(MoseMove *move, GError **error);
/* From which accelerator to which (rule.h). */
guint mose_move_direction(const MoseMove *move);
/* Compare the two machines; REFUSED if a rule says no. */
MoseFactSet *mose_move_facts(MoseMove *move, GError **error);
gboolean mose_move_check(MoseMove *move, GError **error);
/* Put the relay between them. The guest still runs. */
gboolean mose_move_connect(MoseMove *move, GError **error);
/* Move it: it stops in here. */
gboolean mose_move_migrate(MoseMove *move, GError **error);
/* Give the guest to the destination, and end the source. */
gboolean mose_move_commit(MoseMove *move, GError **error);
/* Sockets, ports, records. */
gboolean mose_move_settle(MoseMove *move, GError **error);
/* Back to the source; what goes wrong is added to @error. Where it is uncertain who
 * has the guest, all is left to the guardian. */
void mose_move_undo(MoseMove *move, GError **error);

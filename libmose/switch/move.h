/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps of one switch and what they share. switch.c puts them in order.
 */
#pragma once

#include "qemu/ram.h"
#include "guest/clock.h"
#include "guest/exports.h"
#include "switch/facts.h"
#include "switch/guardian.h"
#include "guest/journal.h"
#include "guest/launch.h"
#include "guest/writes.h"
#include "net/tcp-relay.h"
#include "stream/relay.h"
#include "switch/far-end.h"
#include "switch/switch.h"

/* Time limit of each QMP command of a switch, */
#define MOSE_MOVE_QMP_TIMEOUT_MS 5000
/* ... and while the guest stands still and the destination is to answer. */
#define MOSE_MOVE_STILL_TIMEOUT_MS 3000
/* In place the stream has some 330 KB: a side that takes longer hangs. */
#define MOSE_MOVE_TIMEOUT_MS 15000

typedef struct {
    MoseGuest *guest; /* borrowed, locked */
    const MoseSwitchOptions *options;

    MoseFarEnd *far;     /* options->far: the destination is on that host; NULL: here */
    gint64 far_clock_us; /* its CLOCK_MONOTONIC minus ours */
    guint64 far_tsc_khz; /* its TSC's frequency; 0: not known */
    GPtrArray *images;   /* paths of those that the source has locked for writing */
    MoseExports *exports; /* its disks, where they stay here */

    MoseSide from; /* where the guest was */
    MoseProcess *source;
    MoseQmp *source_qmp;
    gboolean shared;        /* the source has the guest's memory in a memfd */
    gboolean frozen;        /* the source maps the memory privately (qemu/frozen.h) */
    gboolean much_to_merge; /* more than can be done while the guest stands still */
    guint64 merged_bytes;   /* that it had written, and that are in the memory now */
    gint64 merge_us;        /* to put them there */
    int ram_fd;
    MoseRam *ram;
    gboolean was_running;    /* or slept, to be woken */
    char *run_state;         /* where it was not running: QEMU's name for the state */
    int wake_fd;             /* readable when a wait has to end: epoll of two others */
    gboolean touched_source; /* it was told to migrate */
    gboolean uncertain;      /* whether the destination runs: recovery will tell */
    gboolean early;          /* somebody else has let the destination run */

    MoseJournal *journal;
    MoseGuardian *guardian;
    MoseLaunch *destination;
    MoseRelay *relay;
    MoseTcpRelay *tcp; /* of memory that goes to another host beside the link */
    guint64 stream_bytes;

    MoseTscSample tsc;     /* when it began */
    MoseClockLine clock;   /* the guest's, and what becomes of it */
    guint disks_committed; /* whose overlays went into their images */
    MoseFactHalf *before;  /* about the source's machine */
    MoseFactSet *facts;    /* about the two machines, once they were compared */
    GPtrArray *changed;    /* names of rules */
    MoseWrites *writes;    /* to the guest's memory, that they have planned */
    MoseRam *written; /* where: the destination's memory, once that is to be done */
    GError *late;     /* what went wrong after the commit */
    GMutex stop_lock; /* of the next two */
    GCond stop_cond;
    gboolean stopped_seen; /* atomic: stop_us is valid */
    char *own_state;       /* it stopped of itself meanwhile: QEMU's name for why */

    /* All of CLOCK_MONOTONIC, which nobody sets; 0 if not reached. */
    gint64 stop_us;       /* the source's STOP, */
    gint64 stop_stamp_us; /* the same by the clock that QEMU stamps events with */
    gint64 resume_us;     /* the destination's RESUME, */
    gint64 rewritten_us;  /* when the rules ran, */
    gint64 due_us;        /* when the guest is to resume by its clocks, */
    gint64 ready_us;      /* and when it could have */
    gint64 begun_us, launched_us, moved_us, committed_us;

    gboolean copy;             /* memory goes through sockets */
    guint channels;            /* for it; 1: through the relay */
    int listener;              /* for the first of several, or -1 */
    MoseSwitchProgress copied; /* what is known of it */
    gint64 copied_us;          /* when it last came on */
} MoseMove;

MoseMove *mose_move_new(MoseGuest *guest, const MoseSwitchOptions *options);
void mose_move_free(MoseMove *move);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseMove, mose_move_free)

/* TRUE and INTERRUPTED when the user wants no more of it. */
gboolean mose_move_interrupted(const MoseMove *move, GError **error);
/* FALSE with FAILED when nobody would see to the guest if this process ended. */
gboolean mose_move_guarded(const MoseMove *move, GError **error);
/* Limit each answer of the QEMU behind @qmp to @ms, or to what the options say. */
void mose_move_limit(const MoseMove *move, MoseQmp *qmp, int ms);
/* Find the source, open its monitor and RAM, begin journal and guardian. */
gboolean mose_move_begin(MoseMove *move, GError **error);
/* Start the destination, paused. */
gboolean mose_move_launch(MoseMove *move, GError **error);
/* From which accelerator to which (rule.h). */
guint mose_move_direction(const MoseMove *move);
/* Compare the two machines; REFUSED if a rule says no. */
MoseFactSet *mose_move_facts(MoseMove *move, GError **error);
gboolean mose_move_check(MoseMove *move, GError **error);
/* The emulator on overlays; on the way back, what they hold into the images while the
 * guest still runs there. */
gboolean mose_move_disks(MoseMove *move, GError **error);
/* Whether @guest can be frozen, by its disks: REFUSED where it works on overlays. */
gboolean mose_move_has_no_overlays(const MoseGuest *guest, GError **error);
/* What the rules do, on the relay's thread; @data is the move. */
gboolean mose_move_rewrite(MoseDoc *doc, gpointer data, GError **error);
/* Make the way from the one to the other. The guest still runs. */
gboolean mose_move_connect(MoseMove *move, GError **error);
/* Tell the source to migrate there. */
gboolean mose_move_send(MoseMove *move, GError **error);
/* Wait for one of @match's events of the source for as long as its memory is being
 * copied; in place, for the usual time. */
gboolean mose_move_await(MoseMove *move, MoseQmpMatch match, MoseQmpEvent *ret,
                         GError **error);
/* Move it: it stops in here. */
gboolean mose_move_migrate(MoseMove *move, GError **error);
/* By copy: what the guest may stand still to begin with. */
guint mose_move_first_downtime_ms(const MoseMove *move);
/* How much memory went, once it is all over. */
void mose_move_note_copied(MoseMove *move);
/* Why a move that did not end well did not: always FALSE. */
gboolean mose_move_explain(MoseMove *move, GError **error);
/* When @event was sent, by our own clock: QEMU stamps with one that people set. */
gint64 mose_move_event_us(const MoseQmpEvent *event);
/* What the rules have planned: have all at hand before the commit record, do it after
 * it, and take it back where the guest goes back to the source after all. */
gboolean mose_move_plan_writes(MoseMove *move, GError **error);
gboolean mose_move_do_writes(MoseMove *move, GError **error);
gboolean mose_move_undo_writes(MoseMove *move, GError **error);
/* Both stand still, and nobody can let the source run. */
gboolean mose_move_stand_still(MoseMove *move, GError **error);
/* Give the guest to the destination, and end the source. */
gboolean mose_move_commit(MoseMove *move, GError **error);
/* Sockets, ports, records. */
gboolean mose_move_settle(MoseMove *move, GError **error);
/* The same steps where the destination is on another host (move-far.c): only what this
 * one does of them. */
gboolean mose_move_far_launch(MoseMove *move, GError **error);
int mose_move_far_stream(MoseMove *move, GError **error);
gboolean mose_move_far_tcp(MoseMove *move, const char *path, GError **error);
gboolean mose_move_far_overlay(MoseMove *move, GError **error);
/* What was in overlays is in the images now, which the source has locked since. */
gboolean mose_move_far_images(MoseMove *move, GError **error);
char *mose_move_far_said(MoseMove *move);
gboolean mose_move_far_commit(MoseMove *move, GError **error);
gboolean mose_move_far_settle(MoseMove *move, GError **error);
void mose_move_far_abort(MoseMove *move);
/* Back to the source; what goes wrong is added to @error. Where it is uncertain who
 * has the guest, all is left to the guardian. */
void mose_move_undo(MoseMove *move, GError **error);

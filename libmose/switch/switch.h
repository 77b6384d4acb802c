/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch: a guest moved from one QEMU process into another, in place, as a
 * transaction.
 *
 *   check     what is against it is said before anything happens
 *   prepare   the destination is started, paused; the guest runs on
 *   move      the source stops and sends its devices' state through the rules
 *   commit    written to the journal; the destination runs, the source is ended
 *   settle    sockets, ports and records follow
 *
 * Until the commit, any failure ends the destination and the guest runs on in
 * the source; after it, the guest is the destination's.
 */
#pragma once

#include "stream/doc.h"
#include "switch/far-end.h"
#include "stream/rules/rule.h"
#include "guest/guest.h"

/* Which way the guest's memory goes. */
typedef enum {
    MOSE_WAY_AUTO,     /* in place where the guest has shared memory, else by copy */
    MOSE_WAY_IN_PLACE, /* it stays where it is: both QEMUs map it */
    MOSE_WAY_COPY,     /* from QEMU to QEMU, while the guest runs */
} MoseWay;

/* What becomes of the disks that the guest writes. */
typedef enum {
    MOSE_DISKS_SHARED,  /* both sides write the same images */
    MOSE_DISKS_OVERLAY, /* the emulator only reads them, and writes overlays */
    MOSE_DISKS_HOME,    /* to another host: they stay here (home-disks.h) */
} MoseDisks;

/* What a switch tells of itself while it is under way. */
typedef struct {
    /* In this order: "prepare", "check", "disks" (only back from overlays), "move",
     * "commit", "settle"; of forks (fork/) also "load", "export", "import"; told again
     * while a phase goes on. */
    const char *phase;
    /* In "move" by copy, and the second two in "disks"; 0 else. */
    guint64 sent, left, total; /* bytes (of memory): sent so far (more than once where
                                  the guest writes), to be sent, all there is */
    guint megabytes_per_second;
    guint rounds;      /* over all that was written meanwhile */
    guint throttle;    /* percent of its time that the guest is kept from writing */
    guint downtime_ms; /* that it may stand still at the end; grows by need */
} MoseSwitchProgress;

#define MOSE_TCP_AUTO "auto"

/* Between two hosts: memory over TCP, beside the link (net/tcp-relay.h). */
typedef struct {
    const char *address; /* of the host that takes it; MOSE_TCP_AUTO: as ssh has
                            reached it; NULL: all goes through the link */
    const char *tls_dir; /* certificates (net/tls.h), the same on both hosts; or NULL */
    guint compress_level; /* of zstd, done by QEMU; 0: none */
} MoseTcpOptions;

typedef struct {
    MoseSide side; /* where the guest is to go */
    MoseWay way;
    guint channels;          /* by copy; 0 or 1: one, which all goes through MOSE; more:
                                so many for memory, from QEMU to QEMU */
    guint max_downtime_ms;   /* by copy: what a guest that writes fast may be kept still
                                at the end; 0: MOSE_DOWNTIME_MS */
    gboolean overcommit;     /* copy even if the host has less memory */
    MoseDisks disks;         /* of the emulator */
    const char *overlay_dir; /* absolute; NULL: each beside its image */
    gboolean home_net;       /* to another host: its network stays here (home-net.h) */
    /* The host that the guest is to go to, which has been reached, and what guest->far
     * becomes; NULL: this one. */
    MoseFarEnd *far;
    const MoseFar *far_record;
    /*
     * In place and on the same side, into a process that maps the memory privately and
     * works on overlays of its disks: from then on nobody writes memory or images of
     * that moment. What the source sends of its devices goes to the file @keep_fd, too.
     */
    gboolean freeze;
    int keep_fd;
    /* Frozen memory is a guest's own again: what it has written goes into it, what its
     * overlays hold into the images. So it does in every switch of a guest whose forks
     * have ended; this makes one on the same side. */
    gboolean thaw;
    /* By copy, also on the same side: memory that is QEMU's own becomes shared. The
     * next switch but one to be frozen makes it QEMU's own again. */
    gboolean share;
    guint64 bytes_per_second; /* of a copy to another host; 0: no limit */
    MoseTcpOptions tcp;       /* with @channels */
    const char *without_rule; /* leave it, or "a,b", out (to see what it is for) */
    void (*progress)(const MoseSwitchProgress *progress, gpointer data); /* or NULL */
    /* Readable (an eventfd) when the user wants no more of it: until the commit the
     * switch is then undone. 0: nobody can say so. */
    int interrupt_fd;
    /* Time limit of each QMP answer; 0: MOSE_MOVE_QMP_TIMEOUT_MS (move.h). */
    int reply_ms;
    /* Called while the destination starts: what has to be done then by others. Its
     * failure is the switch's. May be NULL. */
    gboolean (*meanwhile)(gpointer data, GError **error);
    /* Called before the rules, on the relay's thread: what a test makes the
     * source say. May be NULL. */
    gboolean (*tamper)(MoseDoc *doc, gpointer data, GError **error);
    gpointer data;
} MoseSwitchOptions;

#define MOSE_DOWNTIME_MS 2000
#define MOSE_FIRST_DOWNTIME_MS 30 /* to begin with */
#define MOSE_MAX_DOWNTIME_MS 60000
#define MOSE_MAX_CHANNELS 255 /* QEMU's (MultiFDPages, a byte on the wire) */

typedef struct {
    const char *from_accel, *to_accel; /* of the guest's description */
    char *run_state;      /* QEMU's name for the guest's state before; NULL: running */
    gint64 blackout_us;   /* from the source's STOP to the destination's RESUME,
                             by QEMU's own time stamps; 0 for a stopped guest */
    gint64 rest_us;       /* of that, from the rules to when it could resume */
    gint64 launch_us;     /* to start the destination */
    gint64 move_us;       /* from `migrate` to RESUME */
    gint64 total_us;      /* all of it */
    guint64 merged_bytes; /* that the guest had written over frozen memory */
    gint64 merge_us;      /* to put them into it, while it stood still */
    guint64 stream_bytes; /* that the source sent through MOSE */
    gboolean copied;      /* and by copy: */
    guint64 copied_bytes; /* of memory, */
    gint64 copy_us;       /* in this time, while the guest ran, */
    guint rounds, throttle, downtime_ms; /* as in MoseSwitchProgress */
    GPtrArray *rules;                    /* names of the rules that changed something */
} MoseSwitchReport;

void mose_switch_report_clear(MoseSwitchReport *report);

/* The report of a switch to @side, as the timeline and `--json` have it. */
JsonObject *mose_switch_report_to_json(const MoseSwitchReport *report, MoseSide side);

/* What another host tells of a switch; @object may be NULL, where it told nothing. */
void mose_switch_report_read(JsonObject *object, MoseSwitchReport *ret);

/*
 * Switch @guest, which is locked and recovered, to options->side. INVALID when
 * it is there already; REFUSED with the rule's reason; AGAIN, after some tries, when
 * the guest could not move at those moments; ENDED; INTERRUPTED. On failure the guest
 * is where it was, and runs if it did: if even that fails, or who has it is not known
 * yet, the error says so. But where ret->rules is set, the guest was given over, and
 * the error is of what had to follow (a socket, a port).
 */
gboolean mose_switch(MoseGuest *guest, const MoseSwitchOptions *options,
                     MoseSwitchReport *ret, GError **error);

/*
 * What each rule says of a switch of @guest with @options: see mose_facts_judge().
 * A destination is started for it and ended again; the guest runs on. *@ret_good
 * tells whether nothing is refused.
 */
gboolean mose_switch_check(MoseGuest *guest, const MoseSwitchOptions *options,
                           GPtrArray **ret_found, GPtrArray **ret_reasons,
                           gboolean *ret_good, GError **error);

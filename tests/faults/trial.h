/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One fault in one switch, and what must be true after it:
 *
 *   - within WORLD_RUNS_MS exactly one QEMU of the guest is there, and runs it;
 *   - it answers, and its worker has found no damage;
 *   - nothing else is left of the switch: no process, file, socket or journal.
 *
 * Who kills the QEMU that has the guest ends the guest, as a crash of QEMU does
 * without MOSE. Then that must be told, and nothing be left either.
 */
#pragma once

#include "faults/victims.h"

/* The phases that a fault may be aimed at; "ram" is there only by copy, through one
 * channel (faulty-switch.c). "" is any moment of a whole command. */
#define TRIAL_PHASES "prepare", "check", "move", "ram", "stream", "commit", "settle"
#define TRIAL_ANY ""

typedef struct {
    const char *phase;
    Victim victim;
    gboolean exact;   /* at the phase's beginning; else at a random moment of it */
    guint channels;   /* the switch is by copy, through so many; 0: in place */
    guint limit_ms;   /* for the guest to run; 0: WORLD_RUNS_MS */
    const char *says; /* by the command; NULL: anything */
} Trial;

typedef enum {
    TRIAL_MISSED, /* the command was quicker */
    TRIAL_RUNS,
    TRIAL_GONE, /* the guest ended with its QEMU */
} TrialEnd;

/* Do it; the test fails, with all that is known, if anything is not as it must be. */
TrialEnd trial_run(World *world, const Trial *trial);

/* The same, the world begun first, and again as long as it is missed. FALSE: no guest
 * can run. */
gboolean trial_until_hit(World *world, const Trial *trial);

/*
 * The command alone, held in its phase: what is done to the guest meanwhile is the
 * caller's business. trial_end() lets it go and waits for its end (its exit status in
 * *@ret_status), for the one QEMU that runs the guest, which is healthy, and for
 * nothing to be left; the generation of that is returned.
 */
typedef struct TrialRun TrialRun;
TrialRun *trial_begin(World *world, const char *phase);
pid_t trial_pid(const TrialRun *run);
void trial_let_go(const TrialRun *run);
void trial_wait(const TrialRun *run); /* for the command's end */
guint trial_end(TrialRun *run, int *ret_status, char **ret_said);

/* The table of all trials until now, as messages. */
void trial_print_table(void);

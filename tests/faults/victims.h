/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be hit while a switch is under way, and by what. */
#pragma once

#include "faults/world.h"
#include "util/process.h"

typedef enum {
    /* killed (SIGKILL) */
    VICTIM_SOURCE,
    VICTIM_DESTINATION,
    VICTIM_COMMAND,
    VICTIM_GUARDIAN,
    VICTIM_COMMAND_GUARDIAN, /* one after the other */
    VICTIM_GUARDIAN_COMMAND,
    N_KILLED,
    /* stopped (SIGSTOP) */
    VICTIM_STOPPED_DESTINATION = N_KILLED,
    VICTIM_STOPPED_COMMAND,
    N_STOPPED,
    /* cut (shutdown(2)) */
    VICTIM_STREAM_SOURCE = N_STOPPED, /* the stream, at the source's end */
    VICTIM_STREAM_DESTINATION,
    VICTIM_MONITOR_SOURCE, /* the monitor that the switch uses */
    VICTIM_MONITOR_DESTINATION,
    N_VICTIMS,
} Victim;

const char *victim_name(Victim victim);

/* One command at work on the guest. */
typedef struct {
    MoseProcess *process;
    guint source; /* generation */
} Command;

/*
 * Hit @victim; FALSE: it is not there. *@ret_generation is that of a QEMU that was
 * killed, else 0. victim_await() waits for it to be there; FALSE: the command has
 * ended first.
 */
gboolean victim_hit(World *world, const Command *command, Victim victim,
                    guint *ret_generation);
gboolean victim_await(World *world, const Command *command, Victim victim,
                      guint *ret_generation);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The world that faults befall: one demo guest at work, and what can be seen of it
 * from outside, without `mose`, which would mend things.
 *
 * Environment, beside that of lib/vm.h: FAULTY_SWITCH (faulty-switch.c).
 */
#pragma once

#include "lib/vm.h"
#include "guest/guest.h"

/* A guest that ran is running again within this time, with nobody typing. */
#define WORLD_RUNS_MS 2000
/* What MOSE starts has ended, and what it makes is gone, within this time. */
#define WORLD_CLEAN_MS 30000

typedef struct {
    VmGuest *vm;
    char *dir;    /* of the guest, below $MOSE_RUNTIME_DIR */
    GRand *dice;  /* its seed is told */
    guint starts; /* how often the guest had to be started */
} World;

/* The guest's world; it is started by world_begin(). */
World *world_new(const char *name);
void world_free(World *world);

/* g_test_skip() and FALSE where no guest can run. Otherwise the guest runs, started
 * anew if the last fault took it along. */
gboolean world_begin(World *world);

/* Kinds of processes. */
typedef enum {
    WORLD_QEMU,     /* of the guest: told by -pidfile */
    WORLD_GUARDIAN, /* of a command with our $MOSE_RUNTIME_DIR */
} WorldKind;

typedef struct {
    pid_t pid;
    guint generation; /* of a QEMU */
} WorldProcess;

/* WorldProcess; free with g_array_unref(). */
GArray *world_processes(const World *world, WorldKind kind);

/* The generation of the QEMU that runs the guest, by its own word; 0: none does. */
guint world_running_generation(const World *world);

/* Whether that QEMU can't migrate any more: switch/resume.h:mose_source_hangs(). */
gboolean world_hangs(const World *world, guint generation);

/* guest.json's, which need not be true in a switch. */
guint world_known_generation(const World *world);

/* Names of what is left in the guest's directory and beside its shell's socket that
 * does not belong to a guest at rest in @generation; NULL: nothing. */
char *world_litter(const World *world, guint generation);

/* A number of [0, @limit). */
gint64 world_roll(World *world, gint64 limit);
